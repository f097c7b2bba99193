"""Rewards into the log, exactly once, and into the sums that are learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from backend.domain import (
    PRIMARY_METRIC,
    Aggregation,
    Experiment,
    Reward,
    RewardResult,
    RewardStatus,
    Stickiness,
    utc_now,
)
from backend.store.assignments import delete_assignments
from backend.store.database import Connection, Row
from backend.store.decisions import select_decided
from backend.store.rewards import (
    PendingReward,
    aggregate,
    insert_first_rewards,
    insert_reward,
    lock_rewards,
)
from backend.store.statistics import add_to_statistics

CLOCK_SKEW = timedelta(minutes=5)
"""How far a caller's clock may be off before its time of occurrence is refused."""

ExperimentById = Callable[[Connection, int], Experiment]


def log_rewards(
    conn: Connection, rewards: Sequence[Reward], experiment_by_id: ExperimentById, shard: int
) -> list[RewardResult]:
    """Store rewards and learn from them; one result each, in order.

    The first reward of a decision and metric takes a fast path, many in one statement; what follows on it, or comes
    again, is settled under a lock.
    """
    received_at = utc_now()
    decided = select_decided(conn, list({r.decision_id for r in rewards}))
    checked = [_check(conn, r, decided, experiment_by_id, received_at) for r in rewards]
    first: dict[tuple[str, str], PendingReward] = {}
    for pending in checked:
        if isinstance(pending, PendingReward):
            first.setdefault((pending.decision_id, pending.metric), pending)
    stored = (
        insert_first_rewards(conn, list(first.values()), received_at, shard) if first else set()
    )
    settled: dict[int, RewardResult] = {}
    following: list[tuple[str, str, int, PendingReward]] = []
    for i, pending in enumerate(checked):
        if isinstance(pending, RewardResult):
            settled[i] = pending
        elif (
            pending is first[pending.decision_id, pending.metric]
            and (pending.decision_id, pending.metric) in stored
        ):
            settled[i] = _recorded(pending)
        else:
            following.append((pending.decision_id, pending.metric, i, pending))
    # All writers lock in the order of decision and metric, so that no two wait for each other.
    for _, _, i, pending in sorted(following):
        experiment = experiment_by_id(conn, pending.experiment_id)
        settled[i] = _log_another(conn, pending, experiment.reward.aggregation, shard)
    results = [settled[i] for i in range(len(checked))]
    _release_units(conn, results, checked, decided, experiment_by_id)
    return results


def _check(
    conn: Connection,
    reward: Reward,
    decided: dict[str, Row],
    experiment_by_id: ExperimentById,
    received_at: datetime,
) -> PendingReward | RewardResult:
    decision = decided.get(reward.decision_id)
    if decision is None:
        return RewardResult(
            reward.decision_id, RewardStatus.UNKNOWN_DECISION, "no decision has this id"
        )
    spec = experiment_by_id(conn, decision["experiment_id"]).reward
    is_primary = reward.metric == PRIMARY_METRIC
    if is_primary and (why := spec.rejects(reward.value)):
        return RewardResult(reward.decision_id, RewardStatus.INVALID, why)
    at = reward.occurred_at or received_at
    is_late = at > decision["decided_at"] + timedelta(seconds=spec.attribution_window_s)
    if at < decision["decided_at"] - CLOCK_SKEW:
        return RewardResult(
            reward.decision_id, RewardStatus.INVALID, "occurred_at is before the decision"
        )
    if at > received_at + CLOCK_SKEW and not is_late:
        return RewardResult(
            reward.decision_id, RewardStatus.INVALID, "occurred_at is in the future"
        )
    return PendingReward(
        decision_id=reward.decision_id,
        metric=reward.metric,
        value=reward.value,
        occurred_at=reward.occurred_at,
        received_at=received_at,
        is_late=is_late,
        is_learned=not is_late and not decision["is_paused"],
        experiment_id=decision["experiment_id"],
        arm_id=decision["arm_id"],
        decided_at=decision["decided_at"],
    )


def _recorded(pending: PendingReward) -> RewardResult:
    if pending.is_late:
        detail = "after the attribution window: stored, not learned from"
        return RewardResult(pending.decision_id, RewardStatus.LATE, detail)
    return RewardResult(pending.decision_id, RewardStatus.RECORDED)


def _log_another(
    conn: Connection, pending: PendingReward, aggregation: Aggregation, shard: int
) -> RewardResult:
    """Settle a reward whose decision and metric have one already."""
    rows = lock_rewards(conn, pending.decision_id, pending.metric)
    if any(_is_same(row, pending) for row in rows):
        return RewardResult(pending.decision_id, RewardStatus.DUPLICATE)
    insert_reward(conn, pending, sequence=len(rows))
    if pending.is_late:
        return _recorded(pending)
    before = aggregate(rows, aggregation)
    after = aggregate([*rows, _as_row(pending)], aggregation)
    if pending.is_learned:
        _learn_difference(conn, pending, before, after, shard)
    stands = aggregation is not Aggregation.SUM and before is not None and before == after
    if stands and pending.value != after:
        detail = f"stored; the decision's {aggregation} reward stays {before:g}"
        return RewardResult(pending.decision_id, RewardStatus.DUPLICATE, detail)
    return _recorded(pending)


def _is_same(row: Row, pending: PendingReward) -> bool:
    """Whether this very reward was taken before (and not retracted since)."""
    return (
        row["retracted_at"] is None
        and row["value"] == pending.value
        and row["occurred_at"] == pending.occurred_at
    )


def _as_row(pending: PendingReward) -> Row:
    return {
        "value": pending.value,
        "occurred_at": pending.occurred_at,
        "received_at": pending.received_at,
        "is_late": pending.is_late,
        "retracted_at": None,
    }


def _learn_difference(
    conn: Connection,
    pending: PendingReward,
    before: float | None,
    after: float | None,
    shard: int,
) -> None:
    if before == after:
        return
    add_to_statistics(
        conn,
        experiment_id=pending.experiment_id,
        metric=pending.metric,
        arm_id=pending.arm_id,
        decided_at=pending.decided_at,
        shard=shard,
        before=before,
        after=after,
    )


def _release_units(
    conn: Connection,
    results: Sequence[RewardResult],
    checked: Sequence[PendingReward | RewardResult],
    decided: dict[str, Row],
    experiment_by_id: ExperimentById,
) -> None:
    """Units that keep their arm until a reward comes are drawn afresh from now on."""
    drawn_by = [
        decided[pending.decision_id]["drawn_by"]
        for result, pending in zip(results, checked, strict=True)
        if isinstance(pending, PendingReward)
        and pending.metric == PRIMARY_METRIC
        and result.status in (RewardStatus.RECORDED, RewardStatus.LATE)
        and experiment_by_id(conn, pending.experiment_id).allocation.stickiness
        is Stickiness.UNTIL_REWARD
    ]
    if drawn_by:
        units = [
            (row["experiment_id"], row["unit_id"], row["drawn_by"])
            for row in decided.values()
            if row["drawn_by"] in drawn_by
        ]
        delete_assignments(conn, sorted(set(units)))
