"""The statistics as they follow from the log, in SQL of its own: a second opinion on what the writers added up."""

from collections.abc import Sequence

from backend.domain import BUCKET_S
from backend.store.database import Connection, Row

# One value a decision and metric: the first, last or sum of its rewards that are neither late nor retracted.
LOGGED_SUMS = """
    CREATE TEMPORARY TABLE logged ON COMMIT DROP AS
    WITH counted AS (
        SELECT r.decision_id, r.metric,
               CASE e.document -> 'reward' ->> 'aggregation'
                   WHEN 'sum' THEN sum(r.value ORDER BY r.occurred_at)
                   WHEN 'last' THEN (array_agg(r.value ORDER BY coalesce(r.occurred_at, r.received_at) DESC,
                                                                r.value DESC))[1]
                   ELSE (array_agg(r.value ORDER BY coalesce(r.occurred_at, r.received_at), r.value))[1]
               END AS value
        FROM rewards r JOIN decisions d USING (decision_id) JOIN experiments e USING (experiment_id)
        WHERE r.retracted_at IS NULL AND NOT r.is_late
        GROUP BY r.decision_id, r.metric, e.document -> 'reward' ->> 'aggregation'
    ), additions AS (
        SELECT experiment_id, 'primary' AS metric, decided_at, arm_id, 1 AS decisions, 0 AS rewards,
               0.0::float8 AS value, propensity, importance_weight
        FROM decisions WHERE reason <> 'paused'
        UNION ALL
        SELECT d.experiment_id, c.metric, d.decided_at, d.arm_id, 0, 1, c.value, d.propensity, d.importance_weight
        FROM counted c JOIN decisions d USING (decision_id)
        WHERE d.reason <> 'paused'
    )
    SELECT experiment_id, metric, date_bin(%(bucket)s, decided_at, timestamptz 'epoch') AS bucket, arm_id,
           sum(decisions)::bigint AS decisions, sum(decisions * propensity) AS propensity_sum,
           sum(rewards)::bigint AS rewards, sum(exact) AS reward_sum, sum(exact * exact) AS reward_sum_squares,
           sum(decisions * w) AS weight_sum, sum(decisions * root) AS root_weight_sum,
           sum(rewards * w) AS rewarded_weight_sum, sum(rewards * root) AS rewarded_root_weight_sum,
           sum(exact * exact_decimal(w)) AS weighted_reward_sum,
           sum(exact * exact_decimal(root)) AS root_weighted_reward_sum,
           sum(exact * exact * exact_decimal(w)) AS weighted_reward_sum_squares,
           sum(decisions * offset_s) AS offset_sum, sum(rewards * offset_s) AS rewarded_offset_sum
    FROM additions, LATERAL (SELECT exact_decimal(value) AS exact, coalesce(importance_weight, 1 / propensity) AS w,
                                    1 / sqrt(propensity) AS root,
                                    extract(epoch FROM decided_at - date_bin(%(bucket)s, decided_at, timestamptz 'epoch'))
                                        ::float8 AS offset_s) e
    GROUP BY experiment_id, metric, bucket, arm_id
"""

# A bin counts how many of the edges a delay has reached.
LOGGED_DELAYS = """
    CREATE TEMPORARY TABLE logged_delays ON COMMIT DROP AS
    WITH first AS (
        SELECT d.experiment_id, d.decided_at, extract(epoch FROM min(r.received_at) - d.decided_at)::float8 AS delay_s
        FROM rewards r JOIN decisions d USING (decision_id)
        WHERE r.metric = 'primary' AND r.retracted_at IS NULL AND NOT r.is_late AND d.reason <> 'paused'
        GROUP BY d.decision_id, d.experiment_id, d.decided_at
    )
    SELECT experiment_id, date_bin(%(bucket)s, decided_at, timestamptz 'epoch') AS bucket,
           least(width_bucket(delay_s, %(edges)s::float8[]), %(last_bin)s) AS bin, count(*)::bigint AS rewards
    FROM first
    GROUP BY experiment_id, bucket, bin
"""

SELECT_DELAY_DIFFERENCES = """
    WITH served AS (
        SELECT experiment_id, bucket, (position - 1)::int AS bin, sum(n)::bigint AS rewards
        FROM reward_delays, unnest(counts) WITH ORDINALITY AS c (n, position)
        GROUP BY experiment_id, bucket, bin
    )
    SELECT e.experiment_key, bucket, bin, coalesce(s.rewards, 0) AS served_rewards,
           coalesce(l.rewards, 0) AS logged_rewards
    FROM served s FULL JOIN logged_delays l USING (experiment_id, bucket, bin) JOIN experiments e USING (experiment_id)
    WHERE coalesce(s.rewards, 0) <> coalesce(l.rewards, 0)
    ORDER BY e.experiment_key, bucket, bin
"""

# Sums that are no counts may differ by rounding, relative to the sizes of what was added.
SELECT_DIFFERENCES = """
    WITH served AS (
        SELECT experiment_id, metric, minute AS bucket, arm_id,
               sum(decisions)::bigint AS decisions, sum(propensity_sum) AS propensity_sum,
               sum(rewards)::bigint AS rewards, sum(reward_sum) AS reward_sum,
               sum(reward_sum_squares) AS reward_sum_squares, sum(weight_sum) AS weight_sum,
               sum(root_weight_sum) AS root_weight_sum, sum(rewarded_weight_sum) AS rewarded_weight_sum,
               sum(rewarded_root_weight_sum) AS rewarded_root_weight_sum,
               sum(weighted_reward_sum) AS weighted_reward_sum,
               sum(root_weighted_reward_sum) AS root_weighted_reward_sum,
               sum(weighted_reward_sum_squares) AS weighted_reward_sum_squares,
               sum(offset_sum + decisions * extract(epoch FROM s.bucket - minute)::float8) AS offset_sum,
               sum(rewarded_offset_sum + rewards * extract(epoch FROM s.bucket - minute)::float8) AS rewarded_offset_sum
        FROM arm_statistics s, date_bin(%(bucket)s, bucket, timestamptz 'epoch') AS minute
        GROUP BY experiment_id, metric, minute, arm_id
    ), pairs AS (
        SELECT experiment_id, metric, bucket, arm_id, to_jsonb(s) AS served, to_jsonb(l) AS logged,
               1 + sqrt(abs(coalesce(l.reward_sum_squares, 0)::float8) * coalesce(l.rewards, 0))
                 + abs(coalesce(l.reward_sum_squares, 0)::float8) AS size,
               1 + coalesce(l.rewarded_weight_sum, 0) AS weight
        FROM served s FULL JOIN logged l USING (experiment_id, metric, bucket, arm_id)
    )
    SELECT e.experiment_key, p.metric, p.bucket, p.arm_id, name,
           coalesce((served ->> name)::float8, 0) AS served, coalesce((logged ->> name)::float8, 0) AS logged
    FROM pairs p JOIN experiments e USING (experiment_id)
    CROSS JOIN unnest(%(names)s::text[]) WITH ORDINALITY AS n (name, position)
    WHERE abs(coalesce((served ->> name)::float8, 0) - coalesce((logged ->> name)::float8, 0))
          > CASE WHEN name IN ('decisions', 'rewards') THEN 0
                 WHEN name IN ('reward_sum', 'reward_sum_squares') THEN 1e-9 * size
                 WHEN name LIKE '%%reward_sum%%' THEN 1e-9 * size * weight
                 ELSE 1e-9 * (1 + abs(coalesce((logged ->> name)::float8, 0))) END
    ORDER BY e.experiment_key, p.bucket, p.arm_id, p.metric, position
"""

NAMES = [
    "decisions",
    "rewards",
    "reward_sum",
    "reward_sum_squares",
    "propensity_sum",
    "weight_sum",
    "root_weight_sum",
    "rewarded_weight_sum",
    "rewarded_root_weight_sum",
    "weighted_reward_sum",
    "root_weighted_reward_sum",
    "weighted_reward_sum_squares",
    "offset_sum",
    "rewarded_offset_sum",
]

LOCK_STATISTICS = """
    LOCK TABLE arm_statistics, reward_delays, allocation_statistics, context_statistics IN EXCLUSIVE MODE
"""
ONE_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"

# Rows are emptied, not deleted, so that workers notice the change.
EMPTY_STATISTICS = """
    UPDATE arm_statistics
    SET decisions = 0, propensity_sum = 0, rewards = 0, reward_sum = 0, reward_sum_squares = 0, weight_sum = 0,
        root_weight_sum = 0, rewarded_weight_sum = 0, rewarded_root_weight_sum = 0, weighted_reward_sum = 0,
        root_weighted_reward_sum = 0, weighted_reward_sum_squares = 0, offset_sum = 0, rewarded_offset_sum = 0,
        changed_xid = pg_current_xact_id()
"""
INSERT_STATISTICS = """
    INSERT INTO arm_statistics (experiment_id, metric, bucket, arm_id, shard, decisions, propensity_sum, rewards,
                                reward_sum, reward_sum_squares, weight_sum, root_weight_sum, rewarded_weight_sum,
                                rewarded_root_weight_sum, weighted_reward_sum, root_weighted_reward_sum,
                                weighted_reward_sum_squares, offset_sum, rewarded_offset_sum)
    SELECT experiment_id, metric, bucket, arm_id, 0, decisions, propensity_sum, rewards, reward_sum,
           reward_sum_squares, weight_sum, root_weight_sum, rewarded_weight_sum, rewarded_root_weight_sum,
           weighted_reward_sum, root_weighted_reward_sum, weighted_reward_sum_squares, offset_sum, rewarded_offset_sum
    FROM logged
    ON CONFLICT (experiment_id, metric, bucket, arm_id, shard) DO UPDATE
    SET decisions = excluded.decisions, propensity_sum = excluded.propensity_sum, rewards = excluded.rewards,
        reward_sum = excluded.reward_sum, reward_sum_squares = excluded.reward_sum_squares,
        weight_sum = excluded.weight_sum, root_weight_sum = excluded.root_weight_sum,
        rewarded_weight_sum = excluded.rewarded_weight_sum,
        rewarded_root_weight_sum = excluded.rewarded_root_weight_sum,
        weighted_reward_sum = excluded.weighted_reward_sum,
        root_weighted_reward_sum = excluded.root_weighted_reward_sum,
        weighted_reward_sum_squares = excluded.weighted_reward_sum_squares,
        offset_sum = excluded.offset_sum, rewarded_offset_sum = excluded.rewarded_offset_sum
"""
EMPTY_DELAYS = "UPDATE reward_delays SET counts = ARRAY[0.0], changed_xid = pg_current_xact_id()"
INSERT_DELAYS = """
    INSERT INTO reward_delays AS d (experiment_id, bucket, shard, counts)
    SELECT experiment_id, bucket, 0, array_agg(coalesce(rewards, 0)::float8 ORDER BY bins.bin)
    FROM (SELECT DISTINCT experiment_id, bucket FROM logged_delays) blocks
    CROSS JOIN generate_series(0, %(last_bin)s) AS bins (bin)
    LEFT JOIN logged_delays USING (experiment_id, bucket, bin)
    GROUP BY experiment_id, bucket
    ON CONFLICT (experiment_id, bucket, shard) DO UPDATE SET counts = excluded.counts
"""


def compare_with_log(conn: Connection, delay_edges_s: Sequence[float]) -> list[Row]:
    """What differs from the log, as of one moment: a name and two numbers a row; sums may differ by rounding.

    Args:
        delay_edges_s: upper edge of each bin in which delays of rewards are counted, in seconds.
    """
    conn.execute(ONE_SNAPSHOT)
    _sum_log(conn, delay_edges_s)
    params = {"bucket": f"{BUCKET_S} seconds", "names": NAMES}
    sums = conn.execute(SELECT_DIFFERENCES, params).fetchall()
    delays = conn.execute(SELECT_DELAY_DIFFERENCES).fetchall()
    return sums + [_as_difference(row) for row in delays]


def mend_statistics(conn: Connection, delay_edges_s: Sequence[float]) -> None:
    """Replace all statistics by what follows from the log; writers wait meanwhile."""
    conn.execute(LOCK_STATISTICS)
    _sum_log(conn, delay_edges_s)
    conn.execute(EMPTY_STATISTICS)
    conn.execute(INSERT_STATISTICS)
    conn.execute(EMPTY_DELAYS)
    conn.execute(INSERT_DELAYS, {"last_bin": len(delay_edges_s) - 1})


def _sum_log(conn: Connection, delay_edges_s: Sequence[float]) -> None:
    bucket = f"{BUCKET_S} seconds"
    conn.execute(LOGGED_SUMS, {"bucket": bucket})
    edges: Row = {"edges": list(delay_edges_s), "last_bin": len(delay_edges_s) - 1}
    conn.execute(LOGGED_DELAYS, {"bucket": bucket, **edges})


def _as_difference(row: Row) -> Row:
    return {
        "experiment_key": row["experiment_key"],
        "metric": "primary",
        "bucket": row["bucket"],
        "arm_id": None,
        "name": f"rewards with a delay in bin {row['bin']}",
        "served": row["served_rewards"],
        "logged": row["logged_rewards"],
    }
