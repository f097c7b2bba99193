"""Table ``rewards``: every reward that was taken, written many at a time together with the sums that follow from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from backend.domain import Aggregation, Json
from backend.store.arrays import plain_array
from backend.store.database import Connection, Row

INSERT_FIRST_REWARDS = """
    WITH input AS (
        SELECT * FROM unnest(
            %(decision_id)s::uuid[], %(metric)s::text[], %(value)s::float8[],
            %(occurred_at)s::timestamptz[], %(is_late)s::bool[], %(experiment_id)s::int[], %(arm_id)s::int[],
            %(decided_at)s::timestamptz[], %(is_learned)s::bool[], %(weight)s::float8[], %(root_weight)s::float8[],
            %(bucket_s)s::float8[]
        ) AS input (decision_id, metric, value, occurred_at, is_late, experiment_id, arm_id, decided_at,
                    is_learned, weight, root_weight, bucket_s)
    ), inserted AS (
        INSERT INTO rewards (decision_id, metric, sequence, value, occurred_at, received_at, is_late)
        SELECT decision_id, metric, 0, value, occurred_at, %(received_at)s, is_late
        FROM input ORDER BY decision_id, metric
        ON CONFLICT (decision_id, metric, sequence) DO NOTHING
        RETURNING decision_id, metric
    ), learned AS (
        INSERT INTO arm_statistics AS s
            (experiment_id, metric, bucket, arm_id, shard, rewards, reward_sum, reward_sum_squares,
             rewarded_weight_sum, rewarded_root_weight_sum, weighted_reward_sum, root_weighted_reward_sum,
             weighted_reward_sum_squares, rewarded_offset_sum)
        SELECT experiment_id, metric, bucket, arm_id,
               %(shard)s, count(*), sum(exact), sum(exact * exact), sum(weight), sum(root_weight),
               sum(exact * exact_decimal(weight)), sum(exact * exact_decimal(root_weight)),
               sum(exact * exact * exact_decimal(weight)), sum(extract(epoch FROM decided_at - bucket)::float8)
        FROM input JOIN inserted USING (decision_id, metric), exact_decimal(value) AS exact,
             date_bin(make_interval(secs => bucket_s), decided_at, timestamptz 'epoch') AS bucket
        WHERE is_learned
        GROUP BY experiment_id, metric, bucket, arm_id
        ORDER BY experiment_id, metric, bucket, arm_id
        ON CONFLICT (experiment_id, metric, bucket, arm_id, shard) DO UPDATE
        SET rewards = s.rewards + excluded.rewards,
            reward_sum = s.reward_sum + excluded.reward_sum,
            reward_sum_squares = s.reward_sum_squares + excluded.reward_sum_squares,
            rewarded_weight_sum = s.rewarded_weight_sum + excluded.rewarded_weight_sum,
            rewarded_root_weight_sum = s.rewarded_root_weight_sum + excluded.rewarded_root_weight_sum,
            weighted_reward_sum = s.weighted_reward_sum + excluded.weighted_reward_sum,
            root_weighted_reward_sum = s.root_weighted_reward_sum + excluded.root_weighted_reward_sum,
            weighted_reward_sum_squares = s.weighted_reward_sum_squares + excluded.weighted_reward_sum_squares,
            rewarded_offset_sum = s.rewarded_offset_sum + excluded.rewarded_offset_sum,
            changed_xid = excluded.changed_xid
    )
    SELECT decision_id::text, metric FROM inserted
"""

LOCK_REWARDS = """
    SELECT 1 FROM rewards
    WHERE decision_id = %(decision_id)s AND metric = %(metric)s AND sequence = 0
    FOR UPDATE
"""

SELECT_REWARDS = """
    SELECT * FROM rewards
    WHERE decision_id = %(decision_id)s AND (%(metric)s::text IS NULL OR metric = %(metric)s)
    ORDER BY metric, sequence
"""

INSERT_REWARD = """
    INSERT INTO rewards (decision_id, metric, sequence, value, occurred_at, received_at, is_late)
    VALUES (%(decision_id)s, %(metric)s, %(sequence)s, %(value)s, %(occurred_at)s, %(received_at)s, %(is_late)s)
"""

RETRACT_REWARDS = """
    UPDATE rewards SET retracted_at = now()
    WHERE decision_id = %(decision_id)s AND metric = %(metric)s AND retracted_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class PendingReward:
    """A valid reward on its way into the log, with what is known of its decision.

    ``is_learned``: it counts in the statistics; late ones and those of paused decisions do not. ``weight`` and
    ``propensity`` are the decision's; ``context`` is that of a decision of a contextual policy, else None; ``bucket_s``
    is the width of the statistics bucket that counts the decision.
    """

    decision_id: str
    metric: str
    value: float
    occurred_at: datetime | None
    received_at: datetime
    is_late: bool
    is_learned: bool
    experiment_id: int
    arm_id: int
    decided_at: datetime
    weight: float
    propensity: float
    context: Json | None
    bucket_s: int

    @property
    def key(self) -> tuple[str, str]:
        """(decision_id, metric)."""
        return self.decision_id, self.metric


def insert_first_rewards(
    conn: Connection, rewards: Sequence[PendingReward], received_at: datetime, shard: int
) -> set[tuple[str, str]]:
    """Store rewards that are the first of their decision and metric, and add them to the statistics.

    Returns:
        (decision_id, metric) of those stored; the others have a predecessor.
    """
    params: Row = {
        "decision_id": plain_array(r.decision_id for r in rewards),
        "metric": [r.metric for r in rewards],  # a metric may be called null
        "value": plain_array(r.value for r in rewards),
        "occurred_at": [r.occurred_at for r in rewards],
        "is_late": plain_array(r.is_late for r in rewards),
        "experiment_id": plain_array(r.experiment_id for r in rewards),
        "arm_id": plain_array(r.arm_id for r in rewards),
        "decided_at": [r.decided_at for r in rewards],
        "is_learned": plain_array(r.is_learned for r in rewards),
        "weight": plain_array(r.weight for r in rewards),
        "root_weight": plain_array(r.propensity**-0.5 for r in rewards),
        "received_at": received_at,
        "bucket_s": plain_array(r.bucket_s for r in rewards),
        "shard": shard,
    }
    rows = conn.execute(INSERT_FIRST_REWARDS, params)
    return {(row["decision_id"], row["metric"]) for row in rows}


def lock_rewards(conn: Connection, decision_id: str, metric: str) -> list[Row]:
    """All rewards of a decision and metric, oldest first; nobody else adds to them before this transaction ends."""
    params = {"decision_id": decision_id, "metric": metric}
    conn.execute(LOCK_REWARDS, params)
    return conn.execute(SELECT_REWARDS, params).fetchall()


def select_rewards(conn: Connection, decision_id: str) -> list[Row]:
    """All rewards of a decision."""
    return conn.execute(SELECT_REWARDS, {"decision_id": decision_id, "metric": None}).fetchall()


def insert_reward(conn: Connection, reward: PendingReward, sequence: int) -> None:
    """Store one more reward of a decision and metric whose rewards are locked."""
    params = {
        "decision_id": reward.decision_id,
        "metric": reward.metric,
        "sequence": sequence,
        "value": reward.value,
        "occurred_at": reward.occurred_at,
        "received_at": reward.received_at,
        "is_late": reward.is_late,
    }
    conn.execute(INSERT_REWARD, params)


def retract_rewards(conn: Connection, decision_id: str, metric: str) -> bool:
    """Take back what was recorded; False if there was nothing."""
    params = {"decision_id": decision_id, "metric": metric}
    return conn.execute(RETRACT_REWARDS, params).rowcount > 0


def aggregate(rewards: Iterable[Row], aggregation: Aggregation) -> float | None:
    """The one value that several rewards of a decision and metric count as; None without any that counts.

    First and last are by the time of occurrence (of receipt, where the caller gave none), so the order of arrival
    does not matter; equal times are ordered by value.
    """
    counted = sorted(
        (row["occurred_at"] or row["received_at"], row["value"])
        for row in rewards
        if row["retracted_at"] is None and not row["is_late"]
    )
    if not counted:
        return None
    if aggregation is Aggregation.SUM:
        return float(sum(value for _, value in counted))
    return float(counted[0][1] if aggregation is Aggregation.FIRST else counted[-1][1])
