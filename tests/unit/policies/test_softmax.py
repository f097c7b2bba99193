"""Softmax, calculated by hand."""

import numpy as np
import pytest

from backend.domain import RewardSpec, RewardType
from backend.errors import InvalidPolicy
from backend.policies.softmax import Softmax
from backend.statistics import ArmStats


def stats(pulls, reward_sum):
    total = np.array(reward_sum, dtype=float)
    return ArmStats(np.array(pulls, dtype=float), total, total)


def test_a_temperature_of_difference_is_a_factor_of_e():
    """All: (8 + 4 + 0.5) / 25 = 0.5. Means (8 + 0.5) / 13 and (4 + 0.5) / 13 differ by 4/13, the temperature."""
    probabilities = Softmax(4 / 13).probabilities(stats([12, 12], [8, 4]))

    assert probabilities == pytest.approx([np.e / (1 + np.e), 1 / (1 + np.e)])


def test_an_arm_without_data_stands_at_the_mean_of_all():
    """All: (3 + 1 + 0.5) / 9 = 0.5. Means 3.5 / 5 = 0.7, 1.5 / 5 = 0.3 and 0.5: weights e^2, 1, e at 0.2."""
    probabilities = Softmax(0.2).probabilities(stats([4, 4, 0], [3, 1, 0]))

    weights = np.exp([2.0, 0.0, 1.0])
    assert probabilities == pytest.approx(weights / weights.sum())


@pytest.mark.parametrize(("temperature", "expected"), [(1e9, [0.5, 0.5]), (1e-9, [1.0, 0.0])])
def test_the_ends_of_the_range(temperature, expected):
    """Hot is an even split, cold is greedy; also where rewards are huge."""
    probabilities = Softmax(temperature).probabilities(stats([10, 10], [8, 2]))
    assert probabilities == pytest.approx(expected, abs=1e-9)

    huge = Softmax(1e-9).probabilities(stats([1, 1], [1e307, -1e307]))
    assert huge.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("temperature", [0.0, -1.0, 1e-10, 1e10, float("nan"), float("inf")])
def test_a_temperature_out_of_range_is_refused(temperature):
    """The message names the range and the unit."""
    with pytest.raises(InvalidPolicy, match=r"unit of the reward, must be in \[1e-09, 1e\+09\]"):
        Softmax(temperature)


def test_the_prior_is_that_of_the_reward():
    """Gamma(1, 1) has mean 1."""
    counts = RewardSpec(type=RewardType.COUNT, min=None, max=None)

    assert Softmax.for_reward(counts).prior() == {"mean": 1.0}
