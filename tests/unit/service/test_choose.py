"""From a snapshot, a request and a random number to a decision, without any database."""

from dataclasses import replace

import numpy as np
import pytest

from backend.domain import (
    AllocationSpec,
    Arm,
    ArmStatus,
    DecisionRequest,
    Experiment,
    PolicySpec,
    Reason,
    Status,
)
from backend.errors import InvalidInput, WrongState
from backend.service.decide import choose
from backend.service.snapshot import MAX_CACHED_VECTORS, Snapshot
from backend.statistics import ArmStatistics
from backend.store.policy_snapshots import Published

ARMS = (Arm("a", "A", is_control=True), Arm("b", "B"), Arm("c", "C"))
EXPERIMENT = Experiment(
    "test",
    ARMS,
    "Test",
    policy=PolicySpec("uniform"),
    allocation=AllocationSpec(probability_floor=0.0),
    status=Status.RUNNING,
)


def published(statistics):
    return Published(statistics, statistics.observed(0.0))


def decide(random_number=0.5, eligible_arms=None, statistics=None, **changes):
    experiment = replace(EXPERIMENT, **changes)
    known = Published.empty(experiment.n_arms) if statistics is None else published(statistics)
    request = DecisionRequest("test", "unit", eligible_arms=eligible_arms)
    return choose(Snapshot(experiment, 3, known), request, random_number)


def with_status(arm_key, status):
    return tuple(replace(arm, status=status) if arm.key == arm_key else arm for arm in ARMS)


def test_the_arm_is_drawn_from_the_probabilities():
    """A third each: 0.5 falls to the second arm."""
    decision = decide(0.5)

    assert decision.arm.key == "b"
    assert decision.propensity == decision.probabilities["b"] == pytest.approx(1 / 3)
    assert decision.reason is Reason.POLICY
    assert (decision.policy_version, decision.random_number) == (3, 0.5)


def test_the_id_carries_the_time():
    """The first 48 bits of a UUIDv7 are milliseconds since 1970; version 7, variant 8 to b."""
    decision = decide()

    assert int(decision.decision_id.replace("-", "")[:12], 16) == decision.decided_at_us // 1000
    assert decision.decision_id[14] == "7"
    assert decision.decision_id[19] in "89ab"


def test_a_draw_in_the_control_share_says_so():
    """Share 0.2 of a: a has 0.2 + 0.8 / 3 = 0.4667, of which numbers below 0.2 are the fixed share."""
    allocation = AllocationSpec(probability_floor=0.0, control_share=0.2)

    fixed, drawn = (decide(u, allocation=allocation) for u in (0.19, 0.21))

    assert (fixed.arm.key, fixed.reason) == ("a", Reason.CONTROL)
    assert (drawn.arm.key, drawn.reason) == ("a", Reason.POLICY)
    assert fixed.propensity == pytest.approx(0.2 + 0.8 / 3)


def test_only_eligible_arms_can_be_drawn():
    """Half each for a and c; the order and repetitions in the request do not matter."""
    decision = decide(0.6, eligible_arms=["c", "a", "c"])

    assert decision.arm.key == "c"
    assert decision.probabilities == {"a": 0.5, "b": 0.0, "c": 0.5}
    assert decision.eligible_arm_ids == (0, 2)


@pytest.mark.parametrize("status", [ArmStatus.PAUSED, ArmStatus.RETIRED])
def test_an_arm_that_is_not_active_has_probability_zero(status):
    """b is out: a and c share, although the caller would allow b."""
    decision = decide(0.6, eligible_arms=["a", "b", "c"], arms=with_status("b", status))

    assert decision.probabilities == {"a": 0.5, "b": 0.0, "c": 0.5}


def test_an_unknown_eligible_arm_is_an_error():
    """A misspelt arm must not silently shrink the choice."""
    with pytest.raises(InvalidInput, match=r"eligible_arms.*no arm 'x'"):
        decide(eligible_arms=["a", "x"])


def test_no_eligible_arm_that_is_active_is_a_conflict():
    """b is paused, and the caller allows nothing else."""
    with pytest.raises(WrongState, match="none of eligible_arms is active"):
        decide(eligible_arms=["b"], arms=with_status("b", ArmStatus.PAUSED))


def test_no_active_arm_at_all_is_a_conflict():
    """The service never lets it come to that, but must not fail on it."""
    arms = tuple(replace(arm, status=ArmStatus.PAUSED) for arm in ARMS)

    with pytest.raises(WrongState, match="has no active arm"):
        decide(arms=arms)


def test_a_paused_experiment_answers_its_control():
    """For certain, whatever the number."""
    decision = decide(0.99, status=Status.PAUSED)

    assert (decision.arm.key, decision.propensity, decision.reason) == ("a", 1.0, Reason.PAUSED)


def test_a_paused_experiment_without_control_answers_its_first_active_arm():
    """No control, and a is retired: b."""
    arms = (Arm("a", "A", status=ArmStatus.RETIRED), Arm("b", "B"), Arm("c", "C"))

    assert decide(status=Status.PAUSED, arms=arms).arm.key == "b"


def test_a_paused_experiment_keeps_to_the_eligible_arms():
    """The control is not allowed here: the first arm that is."""
    assert decide(status=Status.PAUSED, eligible_arms=["c", "b"]).arm.key == "b"


def test_learns_only_from_the_eligible_arms_statistics():
    """Greedy on b (9 of 10) and c (1 of 10); a, the best of all, is not allowed."""
    statistics = ArmStatistics.from_matrix(
        np.array([[10.0, 10, 10, 10], [10, 9, 9, 9], [10, 1, 1, 1]])
    )

    decision = decide(
        0.99,
        eligible_arms=["b", "c"],
        statistics=statistics,
        policy=PolicySpec("epsilon_greedy", {"epsilon": 0.0}),
    )

    assert decision.probabilities == {"a": 0.0, "b": 1.0, "c": 0.0}


def test_remembers_vectors_but_not_without_end():
    """One vector for each set of eligible arms, and never more than MAX_CACHED_VECTORS."""
    n_arms = 10
    arms = tuple(Arm(f"a{i}", "A") for i in range(n_arms))
    snapshot = Snapshot(replace(EXPERIMENT, arms=arms), 1, Published.empty(n_arms))

    assert snapshot.vector((0, 1), None) is snapshot.vector((0, 1), None)
    for subset in range(1, 2**n_arms):
        snapshot.vector(tuple(i for i in range(n_arms) if subset >> i & 1), None)

    assert len(snapshot._vectors) <= MAX_CACHED_VECTORS
