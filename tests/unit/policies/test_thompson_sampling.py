"""Thompson sampling, calculated by hand."""

import numpy as np
import pytest

from backend.domain import RewardSpec, RewardType
from backend.policies.thompson_sampling import ThompsonSampling
from backend.statistics import ArmStats

CONTINUOUS = RewardSpec(type=RewardType.CONTINUOUS, min=0.0, max=1.0)


def stats(pulls, reward_sum, reward_sum_squares=None):
    total = np.array(reward_sum, dtype=float)
    squares = total if reward_sum_squares is None else np.array(reward_sum_squares, dtype=float)
    return ArmStats(np.array(pulls, dtype=float), total, squares)


def test_one_success_against_one_failure():
    """P(Beta(2,1) > Beta(1,2)): integral of 2x * (1 - (1-x)^2) over (0, 1) = 4/3 - 1/2 = 5/6."""
    policy = ThompsonSampling.for_reward(RewardSpec())

    assert policy.probabilities(stats([1, 1], [1, 0])) == pytest.approx([5 / 6, 1 / 6], abs=1e-9)


def test_one_success_against_no_data():
    """P(Beta(2,1) > Beta(1,1)): integral of 2x * x over (0, 1) = 2/3."""
    policy = ThompsonSampling.for_reward(RewardSpec())

    assert policy.probabilities(stats([1, 0], [1, 0])) == pytest.approx([2 / 3, 1 / 3], abs=1e-9)


def test_counts_against_no_data():
    """P(Gamma(2, rate 2) > Gamma(1, rate 1)) = 5/9.

    One pull with a count of 1 makes the prior Gamma(1, 1) a Gamma(2, 2): the time of the second of two events that
    come at rate 2. The other arm is one event at rate 1. Each next event is of the first arm with probability 2/3,
    so both of its events come before the other one with (2/3)^2 = 4/9; else it is the larger.
    """
    policy = ThompsonSampling.for_reward(RewardSpec(type=RewardType.COUNT))

    assert policy.probabilities(stats([1, 0], [1, 0])) == pytest.approx([5 / 9, 4 / 9], abs=1e-9)


def test_continuous_rewards_against_no_data():
    """Prior of the range 0 to 1: mean 1/2, variance (1/4)^2 = 1/16, worth one observation.

    One reward of 1: mean (0.5 + 1) / 2 = 0.75, variance (2/16 + 0 + 0.25/2) / 3 = 1/12, over weight 2: 1/24. The
    other arm stays at mean 0.5 and variance 1/16. P(better) = Phi(0.25 / sqrt(1/24 + 1/16)) = Phi(0.774597).
    """
    policy = ThompsonSampling.for_reward(CONTINUOUS)

    probabilities = policy.probabilities(stats([1, 0], [1, 0], [1, 0]))

    assert probabilities == pytest.approx([0.780711, 0.219289], abs=1e-6)


@pytest.mark.parametrize(
    ("reward", "prior"),
    [
        (RewardSpec(), {"family": "beta", "alpha": 1.0, "beta": 1.0}),
        (RewardSpec(type=RewardType.COUNT), {"family": "gamma", "shape": 1.0, "rate": 1.0}),
        (CONTINUOUS, {"family": "normal", "mean": 0.5, "variance": 0.0625, "weight": 1.0}),
    ],
)
def test_its_prior_follows_the_reward(reward, prior):
    """Conjugate to the reward; the continuous one is centred in the range, with a quarter of it as deviation."""
    assert ThompsonSampling.for_reward(reward).prior() == prior
