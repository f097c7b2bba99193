"""Divergences against their textbook formulas, and the bounds of an index against the index found by bisection."""

import numpy as np
import pytest
from scipy import special

from backend.policies.divergences import (
    BernoulliDivergence,
    GaussianDivergence,
    PoissonDivergence,
)

RATES = np.array([1e-12, 1e-6, 0.02, 0.5, 0.93, 1.0 - 1e-6])
COUNTS = np.array([1e-12, 0.01, 1.0, 40.0])


def bernoulli(mean, q):
    return mean * np.log(mean / q) + (1.0 - mean) * np.log((1.0 - mean) / (1.0 - q))


def poisson(mean, q):
    return mean * np.log(mean / q) - mean + q


def test_bernoulli_is_the_textbooks():
    """kl(m, q) at q = 0.95 and three smaller means; log(0.95 / 0.05) is its level."""
    means = np.array([0.02, 0.5, 0.93])

    found, _ = BernoulliDivergence.around(means).at(special.logit(0.95))

    assert found == pytest.approx(bernoulli(means, 0.95), rel=1e-12)


def test_poisson_is_the_textbooks():
    """kl(m, q) at q = 50; log(50) is its level."""
    found, _ = PoissonDivergence.around(COUNTS).at(np.log(50.0))

    assert found == pytest.approx(poisson(COUNTS, 50.0), rel=1e-12)


def test_gaussian_by_hand():
    """(3 - 1)^2 / (2 * 4) = 0.5 and (3 - 2)^2 / (2 * 0.5) = 1; slopes 2 / 4 and 1 / 0.5."""
    divergence = GaussianDivergence(np.array([1.0, 2.0]), np.array([4.0, 0.5]))

    found, slope = divergence.at(3.0)

    assert found == pytest.approx([0.5, 1.0])
    assert slope == pytest.approx([0.5, 2.0])


DIVERGENCES = {
    "bernoulli": BernoulliDivergence.around(RATES),
    "poisson": PoissonDivergence.around(COUNTS),
    "gaussian": GaussianDivergence(np.array([-3.0, 0.0, 9.0]), np.array([1e-3, 1.0, 50.0])),
}
every_divergence = pytest.mark.parametrize("name", DIVERGENCES)


@every_divergence
@pytest.mark.parametrize("above", [1e-2, 0.5, 4.0])
def test_the_slope_is_the_derivative(name, above):
    """Central differences with a step of 1e-4 of the distance err by about its square, 1e-8."""
    divergence = DIVERGENCES[name]
    level = divergence.locations.max() + above
    step = 1e-4 * above

    rise = divergence.at(level + step)[0] - divergence.at(level - step)[0]

    assert divergence.at(level)[1] == pytest.approx(rise / (2.0 * step), rel=1e-5, abs=1e-9)


@every_divergence
def test_nothing_diverges_from_itself(name):
    """d is 0 at an arm's own mean, and so is its slope."""
    divergence = DIVERGENCES[name]
    top = int(divergence.locations.argmax())

    found, slope = divergence.at(float(divergence.locations[top]))

    assert found[top] == 0.0
    assert slope[top] == 0.0


@pytest.mark.parametrize("distance", [0.0, 1e-9, 1e-3, 0.3, 5.0, 40.0])
@every_divergence
def test_an_index_lies_within_its_bounds(name, distance):
    """Below the lower bound d is at most ``distance``, above the upper one at least; but for rounding.

    Each arm by itself, because levels below another arm's mean are never asked for. Levels of chances end near 600:
    the least chance but one of this test has d = 6e-4 there, the others over 40.
    """
    divergence = DIVERGENCES[name]
    distances = np.full_like(divergence.locations, distance)
    lower, upper = divergence.index_at_least(distances), divergence.index_at_most(distances)

    below = np.array([divergence.at(level)[0][arm] for arm, level in enumerate(lower)])
    above = np.array([divergence.at(level)[0][arm] for arm, level in enumerate(upper)])

    assert (lower >= divergence.locations).all()
    assert (below <= distance * (1.0 + 1e-5) + 1e-12).all()
    assert (above >= np.minimum(distance, 5e-4) * (1.0 - 1e-5) - 1e-12).all()
    assert name == "bernoulli" or (above >= distance * (1.0 - 1e-5) - 1e-12).all()


@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_means_at_the_ends_are_finite(mean):
    """An arm that never, or always, succeeded."""
    divergence = BernoulliDivergence.around(np.array([mean]))

    values, slopes = divergence.at(500.0)

    assert np.isfinite([*divergence.locations, *values, *slopes]).all()
