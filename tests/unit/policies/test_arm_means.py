"""Means of arms with little data, calculated by hand."""

import numpy as np
import pytest

from backend.domain import RewardSpec, RewardType
from backend.policies.arm_means import lagged_means, prior_mean, shrunk_means
from backend.statistics import ArmStats


def stats(pulls, reward_sum, **more):
    total = np.array(reward_sum, dtype=float)
    return ArmStats(np.array(pulls, dtype=float), total, total, **more)


def test_without_lag_means_are_plain():
    """3 of 4, and 1 of 10."""
    assert lagged_means(stats([4, 10], [3, 1]), 0.5).tolist() == [0.75, 0.1]


def test_an_arm_without_data_has_the_mean_of_all():
    """(3 + 0.5) / (4 + 1) = 0.7, the prior's 0.5 being one pull."""
    assert lagged_means(stats([4, 0], [3, 0]), 0.5) == pytest.approx([0.75, 0.7])


def test_pending_decisions_draw_a_mean_towards_that_of_all():
    """All: (1 + 2 + 0.5) / (1 + 19 + 1) = 1/6. One success and 9 pending: (1 + 1/6) / 2 = 7/12; 2 of 19 stays."""
    found = lagged_means(stats([1, 19], [1, 2], pending=np.array([9.0, 0.0])), 0.5)

    assert found == pytest.approx([7 / 12, 2 / 19])


def test_a_batch_draws_all_means_towards_that_of_all():
    """As above, for both: 7/12 and (2 + 1/6) / 20 = 13/120."""
    found = lagged_means(stats([1, 19], [1, 2], batch_size=100.0), 0.5)

    assert found == pytest.approx([7 / 12, 13 / 120])


def test_half_a_pending_decision_weighs_half():
    """All: 1.5 / 2 = 0.75; (1 + 0.5 * 0.75) / 1.5 = 11/12."""
    found = lagged_means(stats([1], [1], pending=np.array([0.5])), 0.5)

    assert found == pytest.approx([11 / 12])


def test_shrunk_means_have_one_more_pull():
    """All: 3.5 / 5 = 0.7. (3 + 0.7) / 5 = 0.74, and 0.7 without data."""
    assert shrunk_means(stats([4, 0], [3, 0]), 0.5) == pytest.approx([0.74, 0.7])


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (RewardSpec(), 0.5),
        (RewardSpec(type=RewardType.COUNT), 1.0),
        (RewardSpec(type=RewardType.CONTINUOUS, min=10.0, max=30.0), 20.0),
        (RewardSpec(type=RewardType.CONTINUOUS, min=None, max=None), 0.0),
    ],
)
def test_the_prior_mean_is_the_posteriors_without_data(reward, expected):
    """Beta(1, 1): 1/2. Gamma(1, 1): 1. Normal: the middle of the range, or 0."""
    assert prior_mean(reward) == pytest.approx(expected)
