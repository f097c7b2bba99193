"""The quick P(best) of normals: against closed forms, direct integration and the thorough one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from backend.inference.best_of_normals import best_of_normals
from backend.inference.probability_best import probability_best_normal


def test_two_arms_have_the_probability_of_a_difference():
    """P(N(1, 0.3^2) > N(0.8, 0.4^2)) = Phi(0.2 / 0.5)."""
    probabilities = best_of_normals(np.array([1.0, 0.8]), np.array([0.3, 0.4]))

    assert probabilities[0] == pytest.approx(stats.norm.cdf(0.4), abs=1e-8)


def test_one_arm_is_the_best():
    """Of one."""
    assert best_of_normals(np.array([-3.0]), np.array([2.0])).tolist() == [1.0]


def test_direct_integration_agrees():
    """Adaptive quadrature of the definition, for arms as different as 0.01 and 3 in width."""
    mean, deviation = np.array([0.0, 0.1, -0.5, 0.05]), np.array([0.01, 0.3, 3.0, 0.05])

    def density(t, arm):
        others = [j for j in range(4) if j != arm]
        below = np.prod([stats.norm.cdf(t, mean[j], deviation[j]) for j in others])
        return stats.norm.pdf(t, mean[arm], deviation[arm]) * below

    points = sorted((mean[:, None] + deviation[:, None] * np.array([-6, -2, 0, 2, 6])).ravel())
    pairs = list(pairwise(points))
    expected = [
        sum(integrate.quad(density, a, b, args=(arm,), epsabs=1e-12)[0] for a, b in pairs)
        for arm in range(4)
    ]

    assert best_of_normals(mean, deviation) == pytest.approx(expected, abs=1e-8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    n_arms=st.integers(1, 40),
    spread=st.floats(0.0, 16.0),
    distance=st.floats(-12.0, 3.0),
    shift=st.sampled_from([0.0, -5.0, 1e3]),
    scale=st.sampled_from([1.0, 1e-9, 1e12]),
)
def test_the_thorough_quadrature_agrees(seed, n_arms, spread, distance, shift, scale):
    """Widths that differ up to exp(16) = 9e6 times, means from all alike to far apart; both promise 1e-8 or better."""
    rng = np.random.default_rng(seed)
    deviation = scale * np.exp(-rng.uniform(0.0, spread, n_arms))
    mean = scale * (shift + np.exp(distance) * rng.normal(size=n_arms))

    quick = best_of_normals(mean, deviation)

    assert (quick >= 0.0).all()
    assert quick.sum() == pytest.approx(1.0)
    assert quick == pytest.approx(probability_best_normal(mean, deviation), abs=2e-8)


def test_a_thousand_arms_alike_share_alike():
    """1 / 1000 each."""
    probabilities = best_of_normals(np.full(1000, 0.3), np.full(1000, 0.1))

    assert probabilities == pytest.approx(np.full(1000, 1e-3), abs=1e-8)
