"""Rules between the fields of an experiment, and what a reward may be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain import (
    AllocationSpec,
    Arm,
    ArmStatus,
    Experiment,
    RewardSpec,
    RewardType,
    Role,
    Stickiness,
    check_experiment,
    default_floor,
    format_time,
    from_microseconds,
    to_microseconds,
)
from backend.errors import ArmNotFound, InvalidInput
from backend.statistics import ArmStatistics, ArmStats

ARMS = (Arm("a", "A", is_control=True), Arm("b", "B"))
EXPERIMENT = Experiment("test", ARMS, "Test")


def errors_of(**changes):
    with pytest.raises(InvalidInput) as refused:
        check_experiment(replace(EXPERIMENT, **changes))
    return refused.value.errors


def test_a_plain_experiment_breaks_no_rule():
    """The defaults agree with each other."""
    check_experiment(EXPERIMENT)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"arms": (*ARMS, Arm("b", "Other"))}, "arms"),
        ({"arms": (*ARMS, Arm("c", "C", is_control=True))}, "arms"),
        ({"arms": tuple(Arm(f"a{i}", "A") for i in range(1001))}, "arms"),
        ({"allocation": AllocationSpec(probability_floor=0.51)}, "allocation.probability_floor"),
        (
            {
                "arms": (Arm("a", "A"), Arm("b", "B")),
                "allocation": AllocationSpec(control_share=0.1),
            },
            "allocation.control_share",
        ),
        ({"allocation": AllocationSpec(stickiness=Stickiness.TTL)}, "allocation.sticky_ttl_s"),
        ({"allocation": AllocationSpec(sticky_ttl_s=60)}, "allocation.sticky_ttl_s"),
        ({"reward": RewardSpec(min=1.0, max=1.0)}, "reward.min"),
        ({"reward": RewardSpec(default_reward=0.5)}, "reward.default_reward"),
        (
            {"reward": RewardSpec(type=RewardType.COUNT, default_reward=-1.0)},
            "reward.default_reward",
        ),
        (
            {"reward": RewardSpec(type=RewardType.CONTINUOUS, default_reward=1.5)},
            "reward.default_reward",
        ),
        ({"decay_half_life_s": 1.0, "decay_half_life_decisions": 1.0}, "decay_half_life_s"),
    ],
)
def test_each_broken_rule_names_its_field(changes, field):
    """The path of the field, with a sentence."""
    assert field in errors_of(**changes)


def test_all_broken_rules_are_named_at_once():
    """Three independent mistakes give three fields."""
    errors = errors_of(
        allocation=AllocationSpec(probability_floor=0.6, stickiness=Stickiness.TTL),
        reward=RewardSpec(default_reward=0.5),
    )

    assert set(errors) == {
        "allocation.probability_floor",
        "allocation.sticky_ttl_s",
        "reward.default_reward",
    }


def test_a_thousand_arms_are_allowed_under_the_default_floor():
    """0.5 / 1000 = 0.0005 each, which takes half of the traffic."""
    arms = tuple(Arm(f"a{i}", "A") for i in range(1000))
    allocation = AllocationSpec(probability_floor=default_floor(1000))

    check_experiment(replace(EXPERIMENT, arms=arms, allocation=allocation))

    assert allocation.probability_floor == 0.0005


@pytest.mark.parametrize(("n_arms", "floor"), [(2, 0.01), (50, 0.01), (100, 0.005)])
def test_the_default_floor_takes_at_most_half(n_arms, floor):
    """0.01, until 0.01 * n_arms would be more than 0.5: from 51 arms on."""
    assert default_floor(n_arms) == pytest.approx(floor)


@pytest.mark.parametrize(
    ("reward", "value", "is_allowed"),
    [
        (RewardSpec(), 1.0, True),
        (RewardSpec(), 0.5, False),
        (RewardSpec(), -1.0, False),
        (RewardSpec(type=RewardType.COUNT), 12.0, True),
        (RewardSpec(type=RewardType.COUNT), 1.5, False),
        (RewardSpec(type=RewardType.COUNT), -1.0, False),
        (RewardSpec(type=RewardType.CONTINUOUS), 0.25, True),
        (RewardSpec(type=RewardType.CONTINUOUS), 1.01, False),
        (RewardSpec(type=RewardType.CONTINUOUS), -0.01, False),
        (RewardSpec(type=RewardType.CONTINUOUS, min=None, max=None), -1e12, True),
    ],
)
def test_which_values_are_rewards(reward, value, is_allowed):
    """Binary is 0 or 1, a count a whole number from 0 on, a continuous value inside its bounds."""
    assert (reward.rejects(value) is None) == is_allowed


def test_decisions_without_a_reward_count_as_the_default():
    """10 decisions, 4 rewarded with a sum of 3: with default 0.5 the sum is 3 + 6 / 2 = 6, squares 3 + 6 / 4."""
    statistics = ArmStatistics.from_matrix(np.array([[10.0, 4.0, 3.0, 3.0]]))

    observed = statistics.observed(0.5)

    assert observed.pulls.tolist() == [10.0]
    assert observed.reward_sum.tolist() == [6.0]
    assert observed.reward_sum_squares.tolist() == [4.5]


def test_without_a_default_only_rewarded_decisions_count():
    """10 decisions, 4 rewarded: 4 pulls."""
    observed = ArmStatistics.from_matrix(np.array([[10.0, 4.0, 3.0, 3.0]])).observed(None)

    assert observed.pulls.tolist() == [4.0]
    assert observed.means().tolist() == [0.75]


def test_statistics_survive_the_way_to_a_matrix_and_back(rng):
    """Shape (n_arms, 4), in the order of the fields."""
    sums = rng.random((3, 4))

    assert np.array_equal(ArmStatistics.from_matrix(sums).to_matrix(), sums)


def test_the_mean_without_data_is_not_a_number():
    """0 / 0, without a warning."""
    assert np.isnan(ArmStats(np.zeros(1), np.zeros(1), np.zeros(1)).means()).all()


def test_an_arm_is_known_by_its_position():
    """The second arm is number 1; an unknown one is an error."""
    assert EXPERIMENT.arm_id("b") == 1
    with pytest.raises(ArmNotFound, match="no arm 'x'"):
        EXPERIMENT.arm_id("x")


def test_only_active_arms_can_be_chosen():
    """Neither a paused nor a retired one."""
    arms = (
        Arm("a", "A"),
        Arm("b", "B", status=ArmStatus.PAUSED),
        Arm("c", "C", status=ArmStatus.RETIRED),
    )

    assert replace(EXPERIMENT, arms=arms).active_arms().tolist() == [True, False, False]


def test_an_experiment_without_control_has_none():
    """No arm is the control unless one says so."""
    assert EXPERIMENT.control_arm_id == 0
    assert replace(EXPERIMENT, arms=(Arm("a", "A"), Arm("b", "B"))).control_arm_id is None


@pytest.mark.parametrize(
    ("role", "included"),
    [
        (Role.READER, [Role.READER]),
        (Role.WRITER, [Role.READER, Role.WRITER]),
        (Role.ADMIN, [Role.READER, Role.WRITER, Role.ADMIN]),
    ],
)
def test_each_role_includes_the_ones_before(role, included):
    """reader < writer < admin."""
    assert [other for other in Role if role.includes(other)] == included


@given(at=st.datetimes(timezones=st.just(UTC)))
def test_microseconds_are_exact_both_ways(at):
    """Floats would lose the last digits."""
    assert from_microseconds(to_microseconds(at)) == at


def test_times_are_written_in_utc_with_microseconds():
    """11:30 at UTC+2 is 09:30 UTC; whole seconds keep their six zeros, so that text sorts like time."""
    at = datetime(2026, 1, 31, 11, 30, tzinfo=timezone(timedelta(hours=2)))

    assert format_time(at) == "2026-01-31T09:30:00.000000Z"
    assert format_time(None) is None
