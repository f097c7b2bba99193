"""Table ``arm_statistics``: additive sums per experiment, metric, time bucket and arm."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from backend.domain import BUCKET_S
from backend.store.context_statistics import select_all_contexts, select_changed_contexts
from backend.store.database import Connection, Row

ADD_TO_STATISTICS = """
    WITH change AS (
        SELECT coalesce(exact_decimal(%(before)s), 0) AS before,
               coalesce(exact_decimal(%(after)s), 0) AS after,
               date_bin(%(bucket)s, %(decided_at)s, timestamptz 'epoch') AS bucket
    )
    INSERT INTO arm_statistics AS s
        (experiment_id, metric, bucket, arm_id, shard, rewards, reward_sum, reward_sum_squares, rewarded_weight_sum,
         rewarded_root_weight_sum, weighted_reward_sum, root_weighted_reward_sum, weighted_reward_sum_squares,
         rewarded_offset_sum)
    SELECT %(experiment_id)s, %(metric)s, bucket, %(arm_id)s,
           %(shard)s, %(rewards)s, after - before, after * after - before * before,
           %(rewards)s * %(weight)s::float8, %(rewards)s * %(root_weight)s::float8,
           (after - before) * exact_decimal(%(weight)s), (after - before) * exact_decimal(%(root_weight)s),
           (after * after - before * before) * exact_decimal(%(weight)s),
           %(rewards)s * extract(epoch FROM %(decided_at)s - bucket)::float8
    FROM change
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
"""

# The block of a bucket: itself from `fine_since` on, its minute from `recent_since` on, before that its hour.
_BLOCK = """
    CASE WHEN bucket >= %(fine_since)s THEN bucket
         WHEN bucket >= %(recent_since)s THEN date_bin('1 minute', bucket, timestamptz 'epoch')
         ELSE date_bin('1 hour', bucket, timestamptz 'epoch') END
"""
_WIDTH = """
    CASE WHEN bucket >= %(fine_since)s THEN interval '1 microsecond'
         WHEN bucket >= %(recent_since)s THEN interval '1 minute'
         ELSE interval '1 hour' END
"""
_SUMS = """
    sum(decisions)::float8 AS decisions, sum(weight_sum) AS weight_sum, sum(root_weight_sum) AS root_weight_sum,
    sum(rewards)::float8 AS rewards, sum(rewarded_weight_sum) AS rewarded_weight_sum,
    sum(rewarded_root_weight_sum) AS rewarded_root_weight_sum, sum(reward_sum)::float8 AS reward_sum,
    sum(weighted_reward_sum)::float8 AS weighted_reward_sum,
    sum(root_weighted_reward_sum)::float8 AS root_weighted_reward_sum,
    sum(reward_sum_squares)::float8 AS reward_sum_squares,
    sum(weighted_reward_sum_squares)::float8 AS weighted_reward_sum_squares,
    sum(offset_sum + decisions * extract(epoch FROM bucket - block)::float8) AS offset_sum,
    sum(rewarded_offset_sum + rewards * extract(epoch FROM bucket - block)::float8) AS rewarded_offset_sum
"""

# Every block that holds a row changed at or after `since`, whole. LATERAL: the planner would join experiments as a whole.
SELECT_CHANGED_SUMS = f"""
    WITH changed AS (
        SELECT DISTINCT experiment_id, {_BLOCK} AS block, {_WIDTH} AS width
        FROM arm_statistics JOIN experiments USING (experiment_id)
        WHERE metric = 'primary' AND changed_xid >= %(since)s::xid8 AND status IN ('running', 'paused')
    )
    SELECT c.experiment_id, c.block, s.*
    FROM changed c CROSS JOIN LATERAL (
        SELECT arm_id, {_SUMS}
        FROM arm_statistics
        WHERE experiment_id = c.experiment_id AND metric = 'primary'
              AND bucket >= c.block AND bucket < c.block + c.width
        GROUP BY arm_id
    ) s
"""  # noqa: S608 - only constants of this file
SELECT_ALL_SUMS = f"""
    SELECT experiment_id, block, arm_id, {_SUMS}
    FROM arm_statistics, LATERAL (SELECT {_BLOCK} AS block) b
    WHERE metric = 'primary' AND experiment_id = ANY (%(experiment_ids)s)
    GROUP BY experiment_id, block, arm_id
"""  # noqa: S608 - only constants of this file

SELECT_CHANGED_DELAYS = f"""
    WITH changed AS (
        SELECT DISTINCT experiment_id, {_BLOCK} AS block, {_WIDTH} AS width
        FROM reward_delays JOIN experiments USING (experiment_id)
        WHERE changed_xid >= %(since)s::xid8 AND status IN ('running', 'paused')
    )
    SELECT c.experiment_id, c.block, d.counts
    FROM changed c CROSS JOIN LATERAL (
        SELECT counts FROM reward_delays
        WHERE experiment_id = c.experiment_id AND bucket >= c.block AND bucket < c.block + c.width
    ) d
"""  # noqa: S608 - only constants of this file
SELECT_ALL_DELAYS = f"""
    SELECT experiment_id, {_BLOCK} AS block, counts FROM reward_delays
    WHERE experiment_id = ANY (%(experiment_ids)s)
"""  # noqa: S608 - only constants of this file

SELECT_GOING_ON = "SELECT experiment_id FROM experiments WHERE status IN ('running', 'paused')"

# Buckets narrower than a minute, once they are old. What is added to one meanwhile waits, and makes it anew.
MERGE_FINE_BUCKETS = """
    WITH fine AS (
        DELETE FROM arm_statistics
        WHERE bucket < %(before)s AND bucket <> date_bin('1 minute', bucket, timestamptz 'epoch')
              AND experiment_id IN (
                  SELECT experiment_id FROM experiments
                  WHERE coalesce(document ->> 'decay_half_life_s', document ->> 'decay_half_life_decisions') IS NOT NULL
              )
        RETURNING *
    )
    INSERT INTO arm_statistics AS s
        (experiment_id, metric, bucket, arm_id, shard, decisions, propensity_sum, rewards, reward_sum,
         reward_sum_squares, weight_sum, root_weight_sum, rewarded_weight_sum, rewarded_root_weight_sum,
         weighted_reward_sum, root_weighted_reward_sum, weighted_reward_sum_squares, offset_sum, rewarded_offset_sum)
    SELECT experiment_id, metric, minute, arm_id, shard,
           sum(decisions), sum(propensity_sum), sum(rewards), sum(reward_sum), sum(reward_sum_squares),
           sum(weight_sum), sum(root_weight_sum), sum(rewarded_weight_sum), sum(rewarded_root_weight_sum),
           sum(weighted_reward_sum), sum(root_weighted_reward_sum), sum(weighted_reward_sum_squares),
           sum(offset_sum + decisions * extract(epoch FROM bucket - minute)::float8),
           sum(rewarded_offset_sum + rewards * extract(epoch FROM bucket - minute)::float8)
    FROM fine, date_bin('1 minute', bucket, timestamptz 'epoch') AS minute
    GROUP BY experiment_id, metric, minute, arm_id, shard
    ORDER BY experiment_id, metric, minute, arm_id, shard
    ON CONFLICT (experiment_id, metric, bucket, arm_id, shard) DO UPDATE
    SET decisions = s.decisions + excluded.decisions,
        propensity_sum = s.propensity_sum + excluded.propensity_sum,
        rewards = s.rewards + excluded.rewards,
        reward_sum = s.reward_sum + excluded.reward_sum,
        reward_sum_squares = s.reward_sum_squares + excluded.reward_sum_squares,
        weight_sum = s.weight_sum + excluded.weight_sum,
        root_weight_sum = s.root_weight_sum + excluded.root_weight_sum,
        rewarded_weight_sum = s.rewarded_weight_sum + excluded.rewarded_weight_sum,
        rewarded_root_weight_sum = s.rewarded_root_weight_sum + excluded.rewarded_root_weight_sum,
        weighted_reward_sum = s.weighted_reward_sum + excluded.weighted_reward_sum,
        root_weighted_reward_sum = s.root_weighted_reward_sum + excluded.root_weighted_reward_sum,
        weighted_reward_sum_squares = s.weighted_reward_sum_squares + excluded.weighted_reward_sum_squares,
        offset_sum = s.offset_sum + excluded.offset_sum,
        rewarded_offset_sum = s.rewarded_offset_sum + excluded.rewarded_offset_sum,
        changed_xid = excluded.changed_xid
"""

SELECT_HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon"

SELECT_PENDING = """
    SELECT coalesce(sum(decisions - rewards), 0)::bigint AS pending FROM arm_statistics
    WHERE experiment_id = %(experiment_id)s AND metric = 'primary' AND bucket >= %(since)s
"""

SELECT_METRIC = """
    SELECT metric, arm_id, sum(rewards)::float8 AS rewards, sum(reward_sum)::float8 AS reward_sum,
           sum(reward_sum_squares)::float8 AS reward_sum_squares
    FROM arm_statistics
    WHERE experiment_id = %(experiment_id)s AND metric = ANY (%(metrics)s)
    GROUP BY metric, arm_id
"""

SELECT_SERIES = """
    SELECT date_trunc(%(unit)s, bucket) AS bucket, arm_id, sum(decisions)::bigint AS decisions,
           sum(propensity_sum) AS propensity_sum,
           coalesce(sum(rewards) FILTER (WHERE metric = %(metric)s), 0)::bigint AS rewards,
           coalesce(sum(reward_sum) FILTER (WHERE metric = %(metric)s), 0)::float8 AS reward_sum
    FROM arm_statistics
    WHERE experiment_id = %(experiment_id)s AND metric IN ('primary', %(metric)s)
          AND date_trunc(%(unit)s, bucket) >= coalesce(%(since)s::timestamptz, '-infinity')
    GROUP BY 1, 2
    ORDER BY 1, 2
"""


def add_to_statistics(
    conn: Connection,
    *,
    experiment_id: int,
    metric: str,
    arm_id: int,
    decided_at: datetime,
    shard: int,
    weight: float,
    propensity: float,
    bucket_s: int,
    before: float | None,
    after: float | None,
) -> None:
    """Add what one decision's reward changed, from its value ``before`` to ``after``; None: it has none.

    ``weight`` is the decision's importance weight, ``bucket_s`` the width of the experiment's buckets.
    """
    params = {
        "experiment_id": experiment_id,
        "metric": metric,
        "arm_id": arm_id,
        "decided_at": decided_at,
        "shard": shard,
        "rewards": (after is not None) - (before is not None),
        "weight": weight,
        "root_weight": propensity**-0.5,
        "before": before,
        "after": after,
        "bucket": f"{bucket_s} seconds",
    }
    conn.execute(ADD_TO_STATISTICS, params)


def merge_fine_buckets(conn: Connection, before: datetime) -> None:
    """Make minutes of narrower buckets that are older than the full minute ``before``; all sums stay as they are."""
    conn.execute(MERGE_FINE_BUCKETS, {"before": before})


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since a horizon: rows of whole blocks, to be put in place of what was read before."""

    horizon: str
    sums: list[Row]
    delays: list[Row]
    contexts: list[Row]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Where blocks of time begin to be coarser; both are full minutes, ``recent_since`` a full hour.

    A block is a bucket from ``fine_since`` on, a minute from ``recent_since`` on, and an hour before that.
    """

    fine_since: datetime
    recent_since: datetime


def select_changes(conn: Connection, since: str, blocks: Blocks, anew: Iterable[int]) -> Changes:
    """Primary sums of every block of time in which anything changed, of experiments that go on.

    Args:
        since: the horizon of the last call, or "0" for everything.
        anew: ids of experiments to read from their start.
    Returns:
        Nothing is missed: the horizon is the oldest transaction that was still open before the sums were read, so
        what it or a later one writes is read next time.
    """
    row = conn.execute(SELECT_HORIZON).fetchone()
    assert row is not None
    horizon: str = row["horizon"]
    if since == "0":
        going_on = [row["experiment_id"] for row in conn.execute(SELECT_GOING_ON)]
        return _select_whole(conn, horizon, blocks, [*going_on, *anew])
    whole = _select_whole(conn, horizon, blocks, list(anew))
    params: Row = {**asdict(blocks), "since": since}
    return Changes(
        horizon,
        whole.sums + conn.execute(SELECT_CHANGED_SUMS, params).fetchall(),
        whole.delays + conn.execute(SELECT_CHANGED_DELAYS, params).fetchall(),
        whole.contexts + select_changed_contexts(conn, since),
    )


def select_all(conn: Connection, experiment_id: int, blocks: Blocks) -> Changes:
    """All blocks of one experiment, whatever its status."""
    return _select_whole(conn, "0", blocks, [experiment_id])


def _select_whole(
    conn: Connection, horizon: str, blocks: Blocks, experiment_ids: list[int]
) -> Changes:
    if not experiment_ids:
        return Changes(horizon, [], [], [])
    params: Row = {**asdict(blocks), "experiment_ids": experiment_ids}
    return Changes(
        horizon,
        conn.execute(SELECT_ALL_SUMS, params).fetchall(),
        conn.execute(SELECT_ALL_DELAYS, params).fetchall(),
        select_all_contexts(conn, experiment_ids),
    )


def select_pending(conn: Connection, experiment_id: int, since: datetime) -> int:
    """How many decisions since then have no reward yet."""
    params = {"experiment_id": experiment_id, "since": since - timedelta(seconds=BUCKET_S)}
    row = conn.execute(SELECT_PENDING, params).fetchone()
    assert row is not None
    return int(row["pending"])


def select_metrics(conn: Connection, experiment_id: int, metrics: Sequence[str]) -> list[Row]:
    """Number, sum and sum of squares of the values of each metric and arm."""
    params = {"experiment_id": experiment_id, "metrics": list(metrics)}
    return conn.execute(SELECT_METRIC, params).fetchall()


def select_series(
    conn: Connection, experiment_id: int, *, unit: str, metric: str, since: datetime | None
) -> list[Row]:
    """Sums per bucket (``unit``: minute, hour or day, UTC) and arm, oldest first; ``since`` None: from the start."""
    params = {"experiment_id": experiment_id, "unit": unit, "metric": metric, "since": since}
    return conn.execute(SELECT_SERIES, params).fetchall()
