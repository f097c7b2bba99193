"""Rewards into the log, exactly once, and into the sums that are learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from backend.domain import (
    PRIMARY_METRIC,
    Aggregation,
    Reward,
    RewardResult,
    RewardStatus,
    Stickiness,
    utc_now,
)
from backend.inference.delay import delay_bin
from backend.service.snapshot import Snapshot
from backend.service.sums_of_batch import ContextAdditions
from backend.store.assignments import delete_assignments
from backend.store.context_statistics import add_to_contexts
from backend.store.database import Connection, Row
from backend.store.decisions import select_decided
from backend.store.reward_delays import Delay, add_to_delays
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

SnapshotById = Callable[[Connection, int], Snapshot]


def log_rewards(
    conn: Connection, rewards: Sequence[Reward], snapshot_by_id: SnapshotById, shard: int
) -> list[RewardResult]:
    """Store rewards and learn from them; one result each, in order.

    The first reward of a decision and metric takes a fast path, many in one statement; what follows on it, or comes
    again, is settled under a lock.
    """
    received_at = utc_now()
    decided = select_decided(conn, list({r.decision_id for r in rewards}))
    checked = [_check(conn, r, decided, snapshot_by_id, received_at) for r in rewards]
    first: dict[tuple[str, str], PendingReward] = {}
    for pending in checked:
        if isinstance(pending, PendingReward):
            first.setdefault(pending.key, pending)
    stored = (
        insert_first_rewards(conn, list(first.values()), received_at, shard) if first else set()
    )
    _learn(
        conn,
        [(pending, None, pending.value) for key, pending in first.items() if key in stored],
        snapshot_by_id,
        shard,
    )
    settled: dict[int, RewardResult] = {}
    following: list[tuple[str, str, int, PendingReward]] = []
    for i, pending in enumerate(checked):
        if isinstance(pending, RewardResult):
            settled[i] = pending
        elif pending is first[pending.key] and pending.key in stored:
            settled[i] = _recorded(pending)
        else:
            following.append((*pending.key, i, pending))
    # All writers lock in the order of decision and metric, so that no two wait for each other.
    for _, _, i, pending in sorted(following):
        settled[i] = _log_another(conn, pending, snapshot_by_id, shard)
    results = [settled[i] for i in range(len(checked))]
    _release_units(conn, results, checked, decided, snapshot_by_id)
    return results


def _check(
    conn: Connection,
    reward: Reward,
    decided: dict[str, Row],
    snapshot_by_id: SnapshotById,
    received_at: datetime,
) -> PendingReward | RewardResult:
    decision = decided.get(reward.decision_id)
    if decision is None:
        return RewardResult(
            reward.decision_id, RewardStatus.UNKNOWN_DECISION, "no decision has this id"
        )
    spec = snapshot_by_id(conn, decision["experiment_id"]).experiment.reward
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
    return _pending(decision, reward, received_at, is_late=is_late)


def _pending(
    decision: Row, reward: Reward, received_at: datetime, *, is_late: bool
) -> PendingReward:
    """A valid reward, with what is known of its decision."""
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
        weight=decision["weight"],
        propensity=decision["propensity"],
        context=decision["learned_context"],
        bucket_s=decision["bucket_s"],
    )


def _recorded(pending: PendingReward) -> RewardResult:
    if pending.is_late:
        detail = "after the attribution window: stored, not learned from"
        return RewardResult(pending.decision_id, RewardStatus.LATE, detail)
    return RewardResult(pending.decision_id, RewardStatus.RECORDED)


def _log_another(
    conn: Connection, pending: PendingReward, snapshot_by_id: SnapshotById, shard: int
) -> RewardResult:
    """Settle a reward whose decision and metric have one already."""
    aggregation = snapshot_by_id(conn, pending.experiment_id).experiment.reward.aggregation
    rows = lock_rewards(conn, pending.decision_id, pending.metric)
    if any(_is_same(row, pending) for row in rows):
        return RewardResult(pending.decision_id, RewardStatus.DUPLICATE)
    insert_reward(conn, pending, sequence=len(rows))
    if pending.is_late:
        return _recorded(pending)
    before = aggregate(rows, aggregation)
    after = aggregate([*rows, _as_row(pending)], aggregation)
    if before != after:
        learn_difference(conn, pending, before, after, snapshot_by_id, shard)
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


def as_learned(decision: Row, rows: Sequence[Row], metric: str) -> PendingReward:
    """The reward of a decision and metric that counts in the sums, from its rows in the log: the first to come in time."""
    first = min(
        (row for row in rows if row["retracted_at"] is None and not row["is_late"]),
        key=lambda row: row["received_at"],
    )
    reward = Reward(decision["decision_id"], first["value"], metric, first["occurred_at"])
    return _pending(decision, reward, first["received_at"], is_late=False)


def learn_difference(
    conn: Connection,
    reward: PendingReward,
    before: float | None,
    after: float | None,
    snapshot_by_id: SnapshotById,
    shard: int,
) -> None:
    """Add to all sums what changes when the value of a decision and metric goes from one to another; None: it has none."""
    if not reward.is_learned:
        return
    add_to_statistics(
        conn,
        experiment_id=reward.experiment_id,
        metric=reward.metric,
        arm_id=reward.arm_id,
        decided_at=reward.decided_at,
        shard=shard,
        weight=reward.weight,
        propensity=reward.propensity,
        bucket_s=reward.bucket_s,
        before=before,
        after=after,
    )
    _learn(conn, [(reward, before, after)], snapshot_by_id, shard)


def _learn(
    conn: Connection,
    changes: Sequence[tuple[PendingReward, float | None, float | None]],
    snapshot_by_id: SnapshotById,
    shard: int,
) -> None:
    """Delays and regressions: what primary rewards add to them, given each one's value before and after."""
    learned = [c for c in changes if c[0].is_learned and c[0].metric == PRIMARY_METRIC]
    contexts = ContextAdditions()
    for reward, before, after in learned:
        if reward.context is None:
            continue
        features = snapshot_by_id(conn, reward.experiment_id).features_of(reward.context)
        if features is not None:
            contexts.add_reward(
                reward.experiment_id, reward.decided_at, reward.arm_id, features, before, after
            )
    if contexts:
        add_to_contexts(conn, contexts, shard)
    for change in (1, -1):
        delays = [
            _delay(reward)
            for reward, before, after in learned
            if (after is not None) - (before is not None) == change
        ]
        if delays:
            add_to_delays(conn, delays, shard, change)


def _delay(reward: PendingReward) -> Delay:
    delay_s = (reward.received_at - reward.decided_at).total_seconds()
    return reward.experiment_id, reward.decided_at, delay_bin(delay_s)


def _release_units(
    conn: Connection,
    results: Sequence[RewardResult],
    checked: Sequence[PendingReward | RewardResult],
    decided: dict[str, Row],
    snapshot_by_id: SnapshotById,
) -> None:
    """Units that keep their arm until a reward comes are drawn afresh from now on."""
    drawn_by = [
        decided[pending.decision_id]["drawn_by"]
        for result, pending in zip(results, checked, strict=True)
        if isinstance(pending, PendingReward)
        and pending.metric == PRIMARY_METRIC
        and result.status in (RewardStatus.RECORDED, RewardStatus.LATE)
        and snapshot_by_id(conn, pending.experiment_id).experiment.allocation.stickiness
        is Stickiness.UNTIL_REWARD
    ]
    if drawn_by:
        units = [
            (row["experiment_id"], row["unit_id"], row["drawn_by"])
            for row in decided.values()
            if row["drawn_by"] in drawn_by
        ]
        delete_assignments(conn, sorted(set(units)))
