"""The statistics as they follow from the log, in SQL of its own: a second opinion on what the writers added up."""

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
        SELECT experiment_id, 'primary' AS metric, decided_at, arm_id, 1 AS decisions, propensity AS propensity_sum,
               0 AS rewards, 0.0::float8 AS value
        FROM decisions WHERE reason <> 'paused'
        UNION ALL
        SELECT d.experiment_id, c.metric, d.decided_at, d.arm_id, 0, 0.0, 1, c.value
        FROM counted c JOIN decisions d USING (decision_id)
        WHERE d.reason <> 'paused'
    )
    SELECT experiment_id, metric, date_bin(%(bucket)s, decided_at, timestamptz 'epoch') AS bucket, arm_id,
           sum(decisions)::bigint AS decisions, sum(propensity_sum) AS propensity_sum, sum(rewards)::bigint AS rewards,
           sum(exact) AS reward_sum, sum(exact * exact) AS reward_sum_squares
    FROM additions, LATERAL (SELECT exact_decimal(value) AS exact) e
    GROUP BY experiment_id, metric, bucket, arm_id
"""

SELECT_DIFFERENCES = """
    WITH served AS (
        SELECT experiment_id, metric, bucket, arm_id, sum(decisions)::bigint AS decisions,
               sum(propensity_sum) AS propensity_sum, sum(rewards)::bigint AS rewards, sum(reward_sum) AS reward_sum,
               sum(reward_sum_squares) AS reward_sum_squares
        FROM arm_statistics
        GROUP BY experiment_id, metric, bucket, arm_id
    ), compared AS (
        SELECT experiment_id, metric, bucket, arm_id,
               coalesce(s.decisions, 0) AS served_decisions, coalesce(l.decisions, 0) AS logged_decisions,
               coalesce(s.rewards, 0) AS served_rewards, coalesce(l.rewards, 0) AS logged_rewards,
               coalesce(s.propensity_sum, 0) AS served_propensity_sum,
               coalesce(l.propensity_sum, 0) AS logged_propensity_sum,
               coalesce(s.reward_sum, 0) AS served_reward_sum, coalesce(l.reward_sum, 0) AS logged_reward_sum,
               coalesce(s.reward_sum_squares, 0) AS served_reward_sum_squares,
               coalesce(l.reward_sum_squares, 0) AS logged_reward_sum_squares
        FROM served s FULL JOIN logged l USING (experiment_id, metric, bucket, arm_id)
    )
    SELECT e.experiment_key, c.*
    FROM compared c JOIN experiments e USING (experiment_id)
    WHERE served_decisions <> logged_decisions OR served_rewards <> logged_rewards
       OR abs(served_propensity_sum - logged_propensity_sum) > 1e-9 * (1 + abs(logged_propensity_sum))
       OR abs(served_reward_sum - logged_reward_sum) > 1e-9 * (1 + sqrt(abs(logged_reward_sum_squares) * logged_rewards))
       OR abs(served_reward_sum_squares - logged_reward_sum_squares) > 1e-9 * (1 + logged_reward_sum_squares)
    ORDER BY e.experiment_key, c.bucket, c.arm_id, c.metric
"""

LOCK_STATISTICS = "LOCK TABLE arm_statistics IN EXCLUSIVE MODE"
ONE_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"

# Rows are emptied, not deleted, so that workers notice the change.
EMPTY_STATISTICS = """
    UPDATE arm_statistics
    SET decisions = 0, propensity_sum = 0, rewards = 0, reward_sum = 0, reward_sum_squares = 0,
        changed_xid = pg_current_xact_id()
"""
INSERT_STATISTICS = """
    INSERT INTO arm_statistics (experiment_id, metric, bucket, arm_id, shard, decisions, propensity_sum, rewards,
                                reward_sum, reward_sum_squares)
    SELECT experiment_id, metric, bucket, arm_id, 0, decisions, propensity_sum, rewards, reward_sum, reward_sum_squares
    FROM logged
    ON CONFLICT (experiment_id, metric, bucket, arm_id, shard) DO UPDATE
    SET decisions = excluded.decisions, propensity_sum = excluded.propensity_sum, rewards = excluded.rewards,
        reward_sum = excluded.reward_sum, reward_sum_squares = excluded.reward_sum_squares
"""


def compare_with_log(conn: Connection) -> list[Row]:
    """Buckets in which the statistics differ from the log, as of one moment; sums may differ by rounding."""
    conn.execute(ONE_SNAPSHOT)
    conn.execute(LOGGED_SUMS, {"bucket": f"{BUCKET_S} seconds"})
    return conn.execute(SELECT_DIFFERENCES).fetchall()


def mend_statistics(conn: Connection) -> None:
    """Replace all statistics by what follows from the log; writers wait meanwhile."""
    conn.execute(LOCK_STATISTICS)
    conn.execute(LOGGED_SUMS, {"bucket": f"{BUCKET_S} seconds"})
    conn.execute(EMPTY_STATISTICS)
    conn.execute(INSERT_STATISTICS)
