"""Exp3-IX: its parameters by hand, and its vector against the algorithm as published."""

import numpy as np
import pytest

from backend.domain import PolicySpec, RewardSpec, RewardType
from backend.errors import InvalidPolicy
from backend.policies.exp3_ix import Exp3IX
from backend.policies.registry import build_policy
from backend.statistics import ArmStats


def stats(weight_sum, weighted_reward_sum, n_decisions):
    weights, rewards = np.array(weight_sum, float), np.array(weighted_reward_sum, float)
    zeros = np.zeros_like(weights)
    return ArmStats(zeros, zeros, zeros, zeros, weights, rewards, n_decisions=n_decisions)


def test_the_rate_falls_with_time():
    """K = 2, t = 50: gamma = sqrt(ln 2 / (2 * 50)) / 2 = 0.0416277."""
    assert Exp3IX().implicit_exploration(stats([0, 0], [0, 0], 50.0)) == pytest.approx(0.0416277)


def test_the_rate_of_a_horizon_is_constant():
    """K = 2, T = 200: gamma = sqrt(2 ln 2 / (2 * 200)) / 2 = 0.02943525, at any time."""
    policy = Exp3IX(horizon=200.0)

    found = [policy.implicit_exploration(stats([0, 0], [0, 0], t)) for t in (0.0, 50.0, 1e7)]

    assert found == pytest.approx([0.02943525] * 3)


def test_losses_by_hand():
    """Rewards in [-1, 3], weights 10 and 20, weighted rewards 6 and 20.

    Losses (3 * 10 - 6) / 4 = 6 and (3 * 20 - 20) / 4 = 10; rate at t = 50 is 0.0832555: exp(0.0832555 * 4) : 1.
    """
    reward = RewardSpec(type=RewardType.CONTINUOUS, min=-1.0, max=3.0, default_reward=None)

    probabilities = Exp3IX.for_reward(reward).probabilities(stats([10, 20], [6, 20], 50.0))

    assert probabilities[0] / probabilities[1] == pytest.approx(np.exp(0.0832555 * 4))


@pytest.mark.parametrize("horizon", [None, 300.0])
def test_is_the_published_algorithm(horizon):
    """300 rounds of three arms: loss estimates added up round by round give the same vector as the sums that are kept."""
    rng = np.random.default_rng(20240501)
    policy = Exp3IX(horizon=horizon)
    weight_sum, weighted_reward_sum, losses = np.zeros(3), np.zeros(3), np.zeros(3)
    for t in range(300):
        known = stats(weight_sum, weighted_reward_sum, float(t))
        gamma = policy.implicit_exploration(known)
        p = policy.probabilities(known)
        weights = np.exp(-2.0 * gamma * losses)
        assert p == pytest.approx(weights / weights.sum())
        arm = rng.choice(3, p=p)
        reward = float(rng.random() < (0.2, 0.5, 0.8)[arm])
        losses[arm] += (1.0 - reward) / (p[arm] + gamma)
        weight_sum[arm] += 1.0 / (p[arm] + gamma)
        weighted_reward_sum[arm] += reward / (p[arm] + gamma)


def test_a_hopeless_arm_underflows_to_nothing():
    """A loss of 1e9 more: exp(-1e9 * rate) is 0, and no warning."""
    assert Exp3IX().probabilities(stats([0, 1e9], [0, 0], 1e6)).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (
            RewardSpec(type=RewardType.COUNT, min=None, max=None),
            "exp3_ix needs .* counts have none",
        ),
        (
            RewardSpec(type=RewardType.CONTINUOUS, min=0.0, max=None),
            "exp3_ix needs .* give reward.min and reward.max",
        ),
    ],
)
def test_rewards_without_a_range_are_refused(reward, message):
    """A loss needs a largest reward."""
    with pytest.raises(InvalidPolicy, match=message):
        build_policy(PolicySpec("exp3_ix"), reward)


@pytest.mark.parametrize("horizon", [0.0, -1.0, 2e12, float("nan")])
def test_a_horizon_out_of_range_is_refused(horizon):
    """At least one decision."""
    with pytest.raises(InvalidPolicy, match=r"horizon, .*, must be in \[1, 1e\+12\]"):
        build_policy(PolicySpec("exp3_ix", {"horizon": horizon}), RewardSpec())
