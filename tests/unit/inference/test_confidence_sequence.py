"""Confidence sequences: closed forms where they exist, the definition elsewhere, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from backend.domain import RewardSpec, RewardType
from backend.inference.confidence_sequence import (
    EpochSums,
    asymptotic_sequence,
    confidence_sequence,
    large_values,
)

BINARY = RewardSpec()
COUNT = RewardSpec(type=RewardType.COUNT)
BOUNDED = RewardSpec(type=RewardType.CONTINUOUS, min=0.0, max=1.0)
FREE = RewardSpec(type=RewardType.CONTINUOUS, min=None, max=None)


def totals(n, total, squares):
    """One epoch, one arm each."""
    return EpochSums(*(np.atleast_2d(np.array(x, dtype=float)) for x in (n, total, squares)))


def test_one_success():
    """Evidence B(3/2, 1/2) / B(1/2, 1/2) / p = 1 / (2 p) reaches 20 at p = 0.025."""
    assert confidence_sequence(totals(1, 1, 1), BINARY) == pytest.approx(np.array([[0.025, 1.0]]))


def test_no_success_in_a_hundred():
    """B(1/2, 100.5) / B(1/2, 1/2) / (1 - p)^100 = 20 at p = 1 - (B / 20)^(1/100)."""
    ratio = special.beta(0.5, 100.5) / special.beta(0.5, 0.5)

    interval = confidence_sequence(totals(100, 0, 0), BINARY)

    assert interval == pytest.approx(np.array([[0.0, 1 - (ratio / 20) ** 0.01]]))


def test_wider_than_one_look_would_need():
    """5,000 of 10,000: one look needs 1.96 * 0.005; all looks sqrt(2 ln 20 + ln(pi 10^4 / 2)) = 3.96 times 0.005."""
    low, high = confidence_sequence(totals(1e4, 5e3, 5e3), BINARY)[0]

    assert (high - low) / 2 == pytest.approx(3.96 * 0.005, rel=0.01)


@pytest.mark.parametrize("reward", [BINARY, COUNT, BOUNDED, FREE])
def test_no_data(reward):
    assert np.isnan(confidence_sequence(totals(0, 0, 0), reward)).all()


def test_rewards_of_a_range_are_moved_and_scaled():
    """Range [10, 30] instead of [0, 1]: 10 + 20 y, sum 10 n + 20 s, squares 100 n + 400 s + 400 q."""
    n, s, q = 500.0, 150.0, 60.0
    wide = RewardSpec(type=RewardType.CONTINUOUS, min=10.0, max=30.0)

    unit = confidence_sequence(totals(n, s, q), BOUNDED)
    moved = confidence_sequence(totals(n, 10 * n + 20 * s, 100 * n + 400 * s + 400 * q), wide)

    assert moved == pytest.approx(10 + 20 * unit)


def test_epochs_learn_the_variance():
    """Mean 0.3, standard deviation 0.05; 16 decisions, then doubling: at n = 16,368 five times narrower than the range
    alone allows (0.46 / 0.05 = 9 in the limit), and at most 1.6 times wider than the asymptotic sequence."""
    n = 16.0 * 2.0 ** np.arange(10)[:, None]
    sums = EpochSums(n, 0.3 * n, (0.09 + 0.0025) * n)
    collapsed = totals(*sums.totals())

    learned = np.ptp(confidence_sequence(sums, BOUNDED))

    assert learned < np.ptp(confidence_sequence(collapsed, BINARY)) / 5
    assert learned < 1.6 * np.ptp(confidence_sequence(collapsed, FREE))
    assert learned < np.ptp(confidence_sequence(collapsed, BOUNDED))


def test_the_asymptotic_formula():
    """n = 10,000, mean 0, variance 1; two more at distance 1: shift 2 / 10,002, variance 1 - shift^2.

    rho^2 = (2 L + ln(1 + 2 L)) / 1000 with L = ln 20: 0.0079368; n rho^2 + 1 = 80.38; half = shift +
    sqrt(2 * 80.38 / (10,002^2 * 0.0079368) * (ln(80.38) / 2 + L)) = 0.0002 + 0.03243.
    """
    n = np.array([1e4])

    bounds = asymptotic_sequence(n, np.zeros(1), n, np.ones(1))

    assert bounds == pytest.approx(np.array([[-0.03263, 0.03263]]), abs=2e-5)


def test_too_little_for_an_asymptotic_sequence():
    """99 decisions are fewer than 100; of rewards that are never negative, 19 events are fewer than 20."""
    assert np.isnan(confidence_sequence(totals(99, 50, 60), FREE)).all()
    assert np.isnan(confidence_sequence(totals(99, 50, 50), COUNT)).all()
    assert np.isnan(confidence_sequence(totals(1000, 19, 19), COUNT)).all()
    assert np.isfinite(confidence_sequence(totals(1000, 21, 21), COUNT)).all()
    assert np.isnan(confidence_sequence(totals(1000, 0, 0), COUNT)).all()
    assert np.isnan(confidence_sequence(totals(1000, 0, 0), FREE)).all()


@pytest.mark.parametrize(("low", "high"), [(0.0, None), (None, 2.0)])
def test_half_open_ranges_cut_the_asymptotic_sequence(low, high):
    """Mean 1, standard deviation 7: the free interval of 1,000 decisions, 1 -/+ 0.8, reaches beyond both 0.3 and 1.7."""
    reward = RewardSpec(type=RewardType.CONTINUOUS, min=low, max=high)
    sums = totals(1000, 1000, 50_000)

    free = confidence_sequence(sums, FREE)[0]
    cut = confidence_sequence(sums, reward)[0]

    assert cut == pytest.approx(np.clip(free, low, high))


def test_large_values():
    """Of 0/1 values 1; of 10 threes and zeros 3; of zeros 0; never above the root of the sum of squares, 5 for 3 and -4 + 1."""
    total, squares = np.array([7.0, 30.0, 0.0, 0.0]), np.array([7.0, 90.0, 0.0, 25.0])

    assert large_values(total, squares) == pytest.approx([1.0, 3.0, 0.0, 5.0])


@given(
    st.integers(1, 10**7),
    st.floats(0.0, 1.0),
    st.sampled_from([BINARY, BOUNDED]),
    st.floats(0.0, 1.0),
)
def test_laws_of_ranges(n, rate, reward, spread):
    """Inside the range, around the mean, and wider at a higher level; without a warning (which would be an error)."""
    total = np.floor(n * rate)
    sums = totals(n, total, total * (spread + (1 - spread) * total / n))

    low, high = confidence_sequence(sums, reward)[0]
    lower, higher = confidence_sequence(sums, reward, 0.999)[0]

    assert 0.0 <= lower <= low <= total / n <= high <= higher <= 1.0


@given(st.integers(0, 10**7), st.floats(-1e6, 1e6), st.floats(0.0, 1e6))
def test_laws_without_a_range(n, mean, deviation):
    sums = totals(n, n * mean, n * (mean**2 + deviation**2))

    low, high = confidence_sequence(sums, FREE)[0]

    assert np.isnan(low) == np.isnan(high)
    assert not low > mean + 1e-6
    assert not high < mean - 1e-6


def test_arms_are_apart():
    """Each arm as if alone."""
    sums = totals([10, 1000, 0], [3, 500, 0], [3, 500, 0])

    together = confidence_sequence(sums, BINARY)

    for arm, (n, s) in enumerate([(10, 3), (1000, 500), (0, 0)]):
        assert together[arm] == pytest.approx(
            confidence_sequence(totals(n, s, s), BINARY)[0], nan_ok=True
        )
