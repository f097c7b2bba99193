"""Value remaining, against closed forms and random draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from backend.inference.probability_best import probability_best_beta
from backend.inference.quadrature import BETA, GAMMA, NORMAL
from backend.inference.value_remaining import value_remaining

Z = stats.norm.ppf(0.95)


def floats(*values):
    return np.array(values, dtype=np.float64)


def test_two_uniform_posteriors():
    """P(M - x > d) = (1 - d)^2 / 2 = 0.05 at d = 1 - sqrt(0.1); P(M > (1 + v) x) = 1 / (2 (1 + v)) = 0.05 at v = 9."""
    left = value_remaining(BETA, floats(1, 1), floats(1, 1), 0)

    assert left.absolute == pytest.approx(1 - np.sqrt(0.1), rel=1e-5)
    assert left.relative == pytest.approx(9.0, rel=1e-5)


def test_two_exponentials():
    """Of two equal exponentials the ratio exceeds r with probability 1 / (1 + r), so r = 19 and v = 18.

    Their difference has a Laplace distribution: P(M - x > d) = exp(-d) / 2 = 0.05 at d = ln 10.
    """
    left = value_remaining(GAMMA, floats(1, 1), floats(1, 1), 0)

    assert left.absolute == pytest.approx(np.log(10), rel=1e-5)
    assert left.relative == pytest.approx(18.0, rel=1e-4)


@pytest.mark.parametrize("sd", [floats(1, 2), floats(1e-4, 1), floats(1, 1e-4)])
def test_two_normals(sd):
    """M - x is Normal(-0.5, hypot(sd)): its 95% quantile."""
    left = value_remaining(NORMAL, floats(0, -0.5), sd, 0)

    assert left.absolute == pytest.approx(Z * np.hypot(*sd) - 0.5, rel=1e-4)


def test_relative_to_a_mean_far_from_zero():
    """x ~ Normal(100, 1), M ~ Normal(100, 1): M - (1 + v) x is Normal(-100 v, sqrt(1 + (1 + v)^2)); v solves 100 v = Z * sd."""
    left = value_remaining(NORMAL, floats(0, 0), floats(1, 1), 0, offset=100.0)

    v = left.relative
    assert 100 * v == pytest.approx(Z * np.sqrt(1 + (1 + v) ** 2), rel=1e-4)


def test_no_relative_bound_for_a_mean_that_may_be_negative():
    """x ~ Normal(1, 1) is below 0 with probability 0.16 > 0.05: no multiple of it is a bound."""
    assert value_remaining(NORMAL, floats(0, 0), floats(1, 1), 0, offset=1.0).relative is None


def test_a_sure_arm_leaves_nothing():
    """P(best) of Beta(21, 1) against a uniform is 1 - 1/22 = 0.9545 > 0.95: the quantile is at 0."""
    left = value_remaining(BETA, floats(21, 1), floats(1, 1), 0)

    assert (left.absolute, left.relative) == (0.0, 0.0)


def test_an_arm_far_above_leaves_nothing():
    """Even where no rival reaches the arm's lowest point."""
    left = value_remaining(BETA, floats(9e6, 1e6), floats(1e6, 9e6), 0)

    assert (left.absolute, left.relative) == (0.0, 0.0)


def test_a_lone_arm_leaves_nothing():
    left = value_remaining(BETA, floats(1), floats(1), 0)

    assert (left.absolute, left.relative) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("alpha", "beta"),
    [
        (floats(50, 60, 5, 1), floats(450, 470, 30, 1)),
        (floats(5e4, 40, 45), floats(9.5e5, 700, 900)),
        (1.0 + np.arange(100.0), np.full(100, 900.0)),
    ],
    ids=["four", "mature beside young", "hundred"],
)
def test_agrees_with_draws(alpha, beta):
    """200,000 draws: the probability of exceeding our bound is 0.05 within 5 standard errors, 0.0024."""
    rng = np.random.default_rng(20240501)
    best = int(np.argmax(probability_best_beta(alpha, beta)))
    draws = rng.beta(alpha, beta, size=(200_000, len(alpha)))
    gap = draws.max(axis=1) - draws[:, best]

    left = value_remaining(BETA, alpha, beta, best)

    assert np.mean(gap > left.absolute) == pytest.approx(0.05, abs=0.0024)
    assert np.mean(gap / draws[:, best] > left.relative) == pytest.approx(0.05, abs=0.0024)


def test_a_thousand_arms_agree_with_draws():
    """Pulls from 1 to 1e7; 20,000 draws: 5 standard errors are 0.0077."""
    rng = np.random.default_rng(20240501)
    pulls = 10.0 ** rng.uniform(0.0, 7.0, 1000)
    successes = np.floor(pulls * rng.uniform(0.04, 0.06, 1000))
    alpha, beta = 1.0 + successes, 1.0 + pulls - successes
    best = int(np.argmax(probability_best_beta(alpha, beta)))
    draws = rng.beta(alpha, beta, size=(20_000, 1000))
    gap = draws.max(axis=1) - draws[:, best]

    left = value_remaining(BETA, alpha, beta, best)

    assert np.mean(gap > left.absolute) == pytest.approx(0.05, abs=0.0077)
    assert np.mean(gap / draws[:, best] > left.relative) == pytest.approx(0.05, abs=0.0077)


@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.floats(0.0, 1.0)), min_size=2, max_size=8),
    st.floats(0.5, 0.99),
)
def test_never_negative_and_never_above_the_range(arms, quantile):
    """From no data to 1e7 trials, without a warning (which would be an error)."""
    n, rate = np.array(arms, dtype=np.float64).T
    alpha, beta = 1.0 + np.floor(n * rate), 1.0 + n - np.floor(n * rate)
    best = int(np.argmax(probability_best_beta(alpha, beta)))

    left = value_remaining(BETA, alpha, beta, best, quantile=quantile)

    assert 0.0 <= left.absolute <= 1.0
    assert left.relative is None or left.relative >= 0.0
