"""What can be planned, and what is refused with the reason."""

from dataclasses import replace

import pytest

from backend.domain import AllocationSpec, PolicySpec, RewardType
from backend.errors import InvalidInput, InvalidPolicy
from backend.policies.simulation.scenario import AssumedArm, Scenario, assumed_reward

BINARY = assumed_reward(RewardType.BINARY)
COUNT = assumed_reward(RewardType.COUNT)
CONTINUOUS = assumed_reward(RewardType.CONTINUOUS, -1.0, 4.0)
PLAIN = Scenario((AssumedArm("a", 0.1), AssumedArm("b", 0.2)), BINARY, 1000, n_runs=10)


def messages(**changes):
    """What is wrong with ``PLAIN`` after these changes, by field."""
    with pytest.raises(InvalidInput) as refused:
        replace(PLAIN, **changes)
    return refused.value.errors


@pytest.mark.parametrize(
    ("reward", "mean", "spread", "allowed"),
    [
        (BINARY, 1.01, None, "from 0 to 1"),
        (BINARY, -0.01, None, "from 0 to 1"),
        (COUNT, -1.0, None, "from 0 to 1e+06"),
        (COUNT, 2e6, None, "from 0 to 1e+06"),
        (CONTINUOUS, 4.5, 1.0, "from -1 to 4"),
        (assumed_reward(RewardType.CONTINUOUS, low=0.0), -1.0, 1.0, "at least 0"),
        (assumed_reward(RewardType.CONTINUOUS, high=0.0), 1.0, 1.0, "at most 0"),
    ],
)
def test_a_mean_outside_of_the_rewards_range_is_refused(reward, mean, spread, allowed):
    """The other arm's mean 0 is inside of every range."""
    arms = (AssumedArm("a", 0.0, spread), AssumedArm("b", mean, spread))

    assert messages(arms=arms, reward=reward) == {
        "arms.1.mean": [f"With {reward.type} rewards it must be {allowed}."]
    }


@pytest.mark.parametrize(("reward", "spread"), [(BINARY, 1.0), (COUNT, 1.0), (CONTINUOUS, None)])
def test_standard_deviations_go_with_continuous_rewards(reward, spread):
    """Bernoulli and Poisson rewards have theirs from the mean."""
    arms = (AssumedArm("a", 0.1, spread), AssumedArm("b", 0.1, spread))

    assert messages(arms=arms, reward=reward).keys() == {
        "arms.0.standard_deviation",
        "arms.1.standard_deviation",
    }


def test_the_rules_of_experiments_hold():
    """A floor of 0.6 for two arms, and a control share without a control."""
    allocation = AllocationSpec(probability_floor=0.6, control_share=0.1)

    assert messages(allocation=allocation).keys() == {
        "allocation.probability_floor",
        "allocation.control_share",
    }
    assert "unique" in messages(arms=PLAIN.arms[:1] * 2)["arms"][0]


def test_policies_are_checked():
    """As when an experiment is created."""
    with pytest.raises(InvalidPolicy, match="no policy 'nope'"):
        replace(PLAIN, policy=PolicySpec("nope"))


@pytest.mark.parametrize("policy", ["linear_thompson", "lin_ucb", "squarecb"])
@pytest.mark.parametrize("params", [{}, {"context_features": {"new": {"type": "boolean"}}}])
def test_a_contextual_policy_is_refused_and_told_why(policy, params):
    """Assumed means do not depend on a context; whether its features are declared does not matter."""
    (why,) = messages(policy=PolicySpec(policy, params))["policy.type"]

    assert why.startswith(f"{policy} decides by context, and a plan assumes one mean for each arm")


def test_too_much_work_is_refused_with_the_limit():
    """Daily updates for 28 days are 28 (the even looks fall on them): 840,000 / (28 x (2 + 11)) = 2307.7."""
    daily = replace(PLAIN, update_interval_s=86_400.0)

    assert replace(daily, n_runs=2307).n_runs == 2307
    with pytest.raises(InvalidInput, match="Must be at most 2307 with 2 arms and 28 updates"):
        replace(daily, n_runs=2308)


def test_survives_json():
    """Every field, changed from its default."""
    scenario = Scenario(
        arms=(AssumedArm("a", 0.5, 2.0, is_control=True), AssumedArm("b", 0.2, 1.0)),
        reward=CONTINUOUS,
        policy=PolicySpec("epsilon_greedy", {"epsilon": 0.2}),
        allocation=AllocationSpec(probability_floor=0.05, control_share=0.1),
        decisions_per_day=77,
        max_days=3,
        n_runs=11,
        update_interval_s=60.0,
        reward_delay_s=5.0,
        seed=9,
    )

    assert Scenario.from_json(scenario.to_json()) == scenario


def test_gaps_are_to_the_highest_mean():
    """0.2 - 0.1, and 0."""
    assert PLAIN.gaps() == pytest.approx([0.1, 0.0])
