"""Unbiased means from sums, by hand, and against the definition of their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from backend.domain import RewardSpec, RewardType
from backend.inference.unbiased_mean import PropensitySums, population_means, unbiased_means

BINARY = RewardSpec()
COUNT = RewardSpec(type=RewardType.COUNT)
BOUNDED = RewardSpec(type=RewardType.CONTINUOUS, min=-10.0, max=10.0)
FREE = RewardSpec(type=RewardType.CONTINUOUS, min=None, max=None)


def sums_of(rewards, propensities):
    """Of one arm."""
    y, e = np.array(rewards, dtype=float), np.array(propensities, dtype=float)
    values = (1 / np.sqrt(e), y / np.sqrt(e), 1 / e, y / e, y**2 / e)
    return PropensitySums(*(np.array([value.sum()]) for value in values))


def test_weights_by_hand():
    """Y = 1 at e = 1/4 and Y = 0 at e = 1: (1 * 2 + 0 * 1) / (2 + 1)."""
    assert unbiased_means(sums_of([1, 0], [0.25, 1]), BINARY).mean == pytest.approx([2 / 3])


def test_an_even_split_of_binary_rewards_has_wilsons_interval():
    """20 of 100 at e = 1/2: (0.2 + z^2/200 -/+ z sqrt(0.16/100 + z^2/40000)) / (1 + z^2/100) = [0.1334, 0.2888]."""
    result = unbiased_means(sums_of([1] * 20 + [0] * 80, [0.5] * 100), BINARY)

    assert result.mean == pytest.approx([0.2])
    assert result.interval == pytest.approx(np.array([[0.1334, 0.2888]]), abs=5e-5)


def test_uneven_weights_cost_effective_sample_size():
    """50 at e = 1 and 50 at e = 0.01: (50 + 500)^2 / (50 + 5000) = 59.9 instead of 100."""
    rewards = [1, 0] * 50
    even = unbiased_means(sums_of(rewards, [0.5] * 100), BINARY)
    uneven = unbiased_means(sums_of(rewards, [1] * 50 + [0.01] * 50), BINARY)

    assert np.ptp(uneven.interval) / np.ptp(even.interval) == pytest.approx(
        np.sqrt((100 + 3.84) / (59.9 + 3.84)), rel=1e-3
    )


def test_no_success_still_has_an_upper_bound():
    """Wilson at 0 of n: z^2 / (n + z^2) = 3.8415 / 103.84."""
    result = unbiased_means(sums_of([0] * 100, [0.5] * 100), BINARY)

    assert result.interval == pytest.approx(np.array([[0.0, 0.036994]]), abs=1e-6)


def test_equal_propensities_have_the_students_interval():
    """With equal weights (m - mu)^2 <= t^2 / n (s^2 + (m - mu)^2): m -/+ t s / sqrt(n - t^2), s^2 = 2 of [1, 2, 3, 4, 5] * 4."""
    rewards = [1, 2, 3, 4, 5] * 4
    result = unbiased_means(sums_of(rewards, [0.3] * 20), FREE)

    t = stats.t.ppf(0.975, 19)
    half = t * np.sqrt(2) / np.sqrt(20 - t**2)
    assert result.interval == pytest.approx(np.array([[3 - half, 3 + half]]))


@pytest.mark.parametrize(
    ("reward", "expected"), [(BOUNDED, [-10, 10]), (COUNT, [0, np.nan]), (FREE, [np.nan, np.nan])]
)
@pytest.mark.parametrize(
    ("rewards", "propensities"),
    [([2] * 50, [0.5] * 50), ([1, 3], [0.5, 0.5]), ([], [])],
    ids=["no spread", "two", "none"],
)
def test_nothing_excluded(reward, expected, rewards, propensities):
    """Equal rewards show no spread, two are fewer than t^2, none are none: the interval is the range, NaN where it is open."""
    result = unbiased_means(sums_of(rewards, propensities), reward)

    assert result.interval == pytest.approx(np.array([expected]), nan_ok=True)


def test_no_data_has_no_mean():
    result = unbiased_means(sums_of([], []), BINARY)

    assert np.isnan(result.mean).all()
    assert result.interval.tolist() == [[0.0, 1.0]]


logs = st.lists(
    st.tuples(st.floats(-5.0, 5.0), st.floats(0.01, 1.0)), min_size=12, max_size=60
).filter(lambda log: np.ptp([y for y, _ in log]) > 0.1)


@given(logs)
def test_ends_are_where_the_statistic_meets_its_quantile(log):
    """At both ends (sum (Y - mu) / sqrt(e))^2 = t^2 sum (Y - mu)^2 / e, computed from the log itself."""
    y, e = np.array(log).T
    effective = (1 / np.sqrt(e)).sum() ** 2 / (1 / e).sum()
    t = stats.t.ppf(0.975, max(effective - 1, 1))

    interval = unbiased_means(sums_of(y, e), FREE).interval[0]

    if effective <= t**2:
        assert np.isnan(interval).all()
        return
    for mu in interval:
        score = ((y - mu) / np.sqrt(e)).sum() ** 2
        assert score == pytest.approx(t**2 * ((y - mu) ** 2 / e).sum(), rel=1e-5)


def test_ten_million_decisions():
    """Mean 0.5, effective sample size 1e7: -/+ 1.96 * 0.5 / sqrt(1e7)."""
    n = 1e7
    sums = PropensitySums(*(np.array([x]) for x in (2 * n, n, 4 * n, 2 * n, 2 * n)))

    interval = unbiased_means(sums, BINARY).interval[0]

    assert interval == pytest.approx([0.5 - 0.98 / np.sqrt(n), 0.5 + 0.98 / np.sqrt(n)], abs=1e-8)


def test_the_mean_over_all_units_weighs_each_by_the_inverse_of_its_own_propensity():
    """Half of the units, who like it (1), got the arm with 0.9; the others, who do not (0), with 0.1.

    90 and 10 decisions of 100 each: (90 / 0.9) / (90 / 0.9 + 10 / 0.1) = 1/2, where the root weights say
    (90 / sqrt(0.9)) / (90 / sqrt(0.9) + 10 / sqrt(0.1)) = 3/4. An arm without data has none.
    """
    n, e, y = np.array([90.0, 10.0]), np.array([0.9, 0.1]), np.array([1.0, 0.0])
    values = [n / e**0.5, n * y / e**0.5, n / e, n * y / e, n * y**2 / e]
    sums = PropensitySums(*(np.array([value.sum(), 0.0]) for value in values))

    found = population_means(sums)

    assert found[0] == pytest.approx(0.5)
    assert np.isnan(found[1])
    assert unbiased_means(sums, RewardSpec()).mean[0] == pytest.approx(0.75)
