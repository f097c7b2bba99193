"""Epsilon-greedy, calculated by hand."""

import numpy as np
import pytest

from backend.policies.epsilon_greedy import EpsilonGreedy
from backend.statistics import ArmStats


def stats(pulls, reward_sum):
    total = np.array(reward_sum, dtype=float)
    return ArmStats(np.array(pulls, dtype=float), total, total)


def test_the_best_mean_gets_all_but_epsilon():
    """Means 0.1, 0.3, 0.2: 0.3 / 3 = 0.1 each, and 0.7 more for the second."""
    probabilities = EpsilonGreedy(0.3).probabilities(stats([10, 10, 10], [1, 3, 2]))

    assert probabilities == pytest.approx([0.1, 0.8, 0.1])


def test_arms_that_tie_for_best_share():
    """Means 0.5, 0.5, 0.1: 0.1 each, and 0.7 / 2 = 0.35 more for the first two."""
    probabilities = EpsilonGreedy(0.3).probabilities(stats([10, 20, 10], [5, 10, 1]))

    assert probabilities == pytest.approx([0.45, 0.45, 0.1])


def test_an_arm_without_data_counts_as_best():
    """The third arm has no pull: 0.05 each, and 0.9 more for it, although the first never failed."""
    probabilities = EpsilonGreedy(0.1).probabilities(stats([4, 4], [4, 0]))
    fresh = EpsilonGreedy(0.1).probabilities(stats([4, 0], [4, 0]))

    assert probabilities == pytest.approx([0.95, 0.05])
    assert fresh == pytest.approx([0.05, 0.95])


@pytest.mark.parametrize(("epsilon", "expected"), [(0.0, [0.0, 1.0]), (1.0, [0.5, 0.5])])
def test_the_ends_of_the_range(epsilon, expected):
    """0 only exploits, 1 only explores."""
    assert EpsilonGreedy(epsilon).probabilities(stats([9, 9], [1, 2])) == pytest.approx(expected)


def test_negative_means_are_compared_like_others():
    """Means -0.2 and -0.1: the second is better."""
    assert EpsilonGreedy(0.0).probabilities(stats([10, 10], [-2, -1])) == pytest.approx([0, 1])


def test_a_new_arm_gets_one_decision_of_a_batch():
    """Of 10 decisions one goes to the new arm, 9 to the best: 0.9 * (0.9, 0, 0.1) and 0.1 / 3 each."""
    data = ArmStats(
        np.array([50.0, 50.0, 0.0]), np.array([40.0, 10.0, 0.0]), np.zeros(3), batch_size=10.0
    )

    probabilities = EpsilonGreedy(0.1).probabilities(data)

    assert probabilities == pytest.approx(np.array([0.81, 0.0, 0.09]) + 0.1 / 3)


def test_an_arm_that_waits_for_its_first_outcome_is_not_the_best():
    """It has pending decisions, so it stands at the mean of all, (40 + 0.5) / 51, below 0.8."""
    data = ArmStats(
        np.array([50.0, 0.0]), np.array([40.0, 0.0]), np.zeros(2), pending=np.array([0.0, 3.0])
    )

    assert EpsilonGreedy(0.1).probabilities(data) == pytest.approx([0.95, 0.05])
