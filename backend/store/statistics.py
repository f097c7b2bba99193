"""Table ``arm_statistics``: additive sums per experiment, metric, time bucket and arm."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.domain import BUCKET_S
from backend.store.context_statistics import SELECT_CHANGED_CONTEXTS
from backend.store.database import Connection, Row
from backend.store.reward_delays import SELECT_CHANGED_DELAYS

ADD_TO_STATISTICS = """
    WITH change AS (
        SELECT coalesce(exact_decimal(%(before)s), 0) AS before,
               coalesce(exact_decimal(%(after)s), 0) AS after
    )
    INSERT INTO arm_statistics AS s
        (experiment_id, metric, bucket, arm_id, shard, rewards, reward_sum, reward_sum_squares, rewarded_weight_sum,
         rewarded_root_weight_sum, weighted_reward_sum, root_weighted_reward_sum, weighted_reward_sum_squares)
    SELECT %(experiment_id)s, %(metric)s, date_bin(%(bucket)s, %(decided_at)s, timestamptz 'epoch'), %(arm_id)s,
           %(shard)s, %(rewards)s, after - before, after * after - before * before,
           %(rewards)s * %(weight)s::float8, %(rewards)s * %(root_weight)s::float8,
           (after - before) * exact_decimal(%(weight)s), (after - before) * exact_decimal(%(root_weight)s),
           (after * after - before * before) * exact_decimal(%(weight)s)
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
        changed_xid = excluded.changed_xid
"""

# Reads every block that holds a row changed at or after `since`, whole: a block is a bucket from `recent_since` on, and an
# hour before.
SELECT_CHANGED_SUMS = """
    WITH changed AS (
        SELECT DISTINCT experiment_id,
               CASE WHEN bucket >= %(recent_since)s THEN bucket
                    ELSE date_bin('1 hour', bucket, timestamptz 'epoch') END AS block,
               CASE WHEN bucket >= %(recent_since)s THEN interval '1 microsecond' ELSE interval '1 hour' END AS width
        FROM arm_statistics JOIN experiments USING (experiment_id)
        WHERE metric = 'primary' AND (changed_xid >= %(since)s::xid8 OR experiment_id = ANY (%(anew)s))
              AND (status IN ('running', 'paused') OR experiment_id = ANY (%(anew)s))
    )
    SELECT c.experiment_id, c.block, s.arm_id, sum(s.decisions)::float8 AS decisions, sum(s.weight_sum) AS weight_sum,
           sum(s.root_weight_sum) AS root_weight_sum, sum(s.rewards)::float8 AS rewards,
           sum(s.rewarded_weight_sum) AS rewarded_weight_sum,
           sum(s.rewarded_root_weight_sum) AS rewarded_root_weight_sum, sum(s.reward_sum)::float8 AS reward_sum,
           sum(s.weighted_reward_sum)::float8 AS weighted_reward_sum,
           sum(s.root_weighted_reward_sum)::float8 AS root_weighted_reward_sum,
           sum(s.reward_sum_squares)::float8 AS reward_sum_squares,
           sum(s.weighted_reward_sum_squares)::float8 AS weighted_reward_sum_squares
    FROM changed c JOIN arm_statistics s
        ON s.experiment_id = c.experiment_id AND s.metric = 'primary'
        AND s.bucket >= c.block AND s.bucket < c.block + c.width
    GROUP BY c.experiment_id, c.block, s.arm_id
"""

# Buckets narrower than a minute, once they are old. What is added to one meanwhile waits, and makes it anew.
MERGE_FINE_BUCKETS = """
    WITH fine AS (
        DELETE FROM arm_statistics
        WHERE bucket < %(before)s AND bucket <> date_bin('1 minute', bucket, timestamptz 'epoch')
        RETURNING *
    )
    INSERT INTO arm_statistics AS s
        (experiment_id, metric, bucket, arm_id, shard, decisions, propensity_sum, rewards, reward_sum,
         reward_sum_squares, weight_sum, root_weight_sum, rewarded_weight_sum, rewarded_root_weight_sum,
         weighted_reward_sum, root_weighted_reward_sum, weighted_reward_sum_squares)
    SELECT experiment_id, metric, date_bin('1 minute', bucket, timestamptz 'epoch') AS minute, arm_id, shard,
           sum(decisions), sum(propensity_sum), sum(rewards), sum(reward_sum), sum(reward_sum_squares),
           sum(weight_sum), sum(root_weight_sum), sum(rewarded_weight_sum), sum(rewarded_root_weight_sum),
           sum(weighted_reward_sum), sum(root_weighted_reward_sum), sum(weighted_reward_sum_squares)
    FROM fine
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
        changed_xid = excluded.changed_xid
"""

NEVER = str(2**64 - 1)
"""A horizon that no transaction reaches."""
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


def select_changes(
    conn: Connection, since: str, recent_since: datetime, anew: Iterable[int]
) -> Changes:
    """Primary sums of every block of time in which anything changed, of experiments that go on.

    Args:
        since: the horizon of the last call, or "0" for everything.
        recent_since: a full hour; blocks are buckets from then on and hours before.
        anew: ids of experiments to read from their start.
    Returns:
        Nothing is missed: the horizon is the oldest transaction that was still open before the sums were read, so
        what it or a later one writes is read next time.
    """
    row = conn.execute(SELECT_HORIZON).fetchone()
    assert row is not None
    params = {"since": since, "recent_since": recent_since, "anew": list(anew)}
    return Changes(
        row["horizon"],
        conn.execute(SELECT_CHANGED_SUMS, params).fetchall(),
        conn.execute(SELECT_CHANGED_DELAYS, params).fetchall(),
        conn.execute(SELECT_CHANGED_CONTEXTS, params).fetchall(),
    )


def select_all(conn: Connection, experiment_id: int, recent_since: datetime) -> Changes:
    """All blocks of one experiment, whatever its status."""
    return select_changes(conn, NEVER, recent_since, [experiment_id])


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
