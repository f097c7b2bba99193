"""What of the log determines the sums that are kept as arrays, and putting them anew."""

from collections.abc import Iterator

from backend.store.allocation_statistics import Draws
from backend.store.database import Connection, Row

SELECT_EXPERIMENTS = """
    SELECT experiment_id, experiment_key FROM experiments WHERE status <> 'draft' ORDER BY experiment_id
"""
NEWEST_VERSION = "SELECT version FROM experiments WHERE experiment_id = %(experiment_id)s"

# Fresh draws of policies without context: those of one version and set of arms share their vector.
SELECT_DRAWN = """
    SELECT experiment_version, policy_version, arm_id, (array_agg(eligible_arm_ids))[1] AS eligible_arm_ids, count(*) AS n
    FROM decisions
    WHERE experiment_id = %(experiment_id)s AND reason IN ('policy', 'control') AND scores IS NULL
    GROUP BY experiment_version, policy_version, eligible_arm_ids::text, arm_id
    ORDER BY experiment_version, policy_version
"""
SELECT_CONTEXTUAL = """
    SELECT d.experiment_version, d.policy_version, d.arm_id, d.eligible_arm_ids, d.scores, d.context, d.decided_at,
           d.reason IN ('policy', 'control') AS is_fresh, coalesce(r.rewards, '[]') AS rewards
    FROM decisions d LEFT JOIN LATERAL (
        SELECT json_agg(json_build_object('value', value, 'occurred_at', coalesce(occurred_at, received_at),
                                          'received_at', received_at, 'is_late', is_late,
                                          'retracted_at', retracted_at)) AS rewards
        FROM rewards WHERE rewards.decision_id = d.decision_id AND metric = 'primary'
    ) r ON true
    WHERE d.experiment_id = %(experiment_id)s AND d.scores IS NOT NULL
    ORDER BY d.decision_id
"""

# Contexts are emptied, not deleted, so that workers notice the change.
EMPTY_CONTEXTS = """
    UPDATE context_statistics
    SET decision_xtx = array_fill(0.0::float8, ARRAY[cardinality(decision_xtx)]),
        reward_xtx = array_fill(0.0::float8, ARRAY[cardinality(reward_xtx)]),
        reward_xty = array_fill(0.0::float8, ARRAY[cardinality(reward_xty)]), changed_xid = pg_current_xact_id()
"""
DELETE_DRAWS = "DELETE FROM allocation_statistics"
INSERT_DRAWS = """
    INSERT INTO allocation_statistics (experiment_id, shard, drawn, probability_sum, probability_sum_squares)
    VALUES (%(experiment_id)s, 0, %(drawn)s, %(probability_sum)s, %(probability_sum_squares)s)
"""
PAGE = 1000


def select_experiments(conn: Connection) -> list[tuple[int, str]]:
    """Id and key of every experiment that was started."""
    rows = conn.execute(SELECT_EXPERIMENTS)
    return [(row["experiment_id"], row["experiment_key"]) for row in rows]


def newest_version(conn: Connection, experiment_id: int) -> int:
    """The version that an experiment is at."""
    row = conn.execute(NEWEST_VERSION, {"experiment_id": experiment_id}).fetchone()
    assert row is not None
    return int(row["version"])


def select_drawn(conn: Connection, experiment_id: int) -> list[Row]:
    """How often each arm was drawn, by what its vector depends on; policies without context."""
    return conn.execute(SELECT_DRAWN, {"experiment_id": experiment_id}).fetchall()


def stream_contextual(conn: Connection, experiment_id: int) -> Iterator[Row]:
    """Decisions of contextual policies with their primary rewards, oldest first."""
    with conn.cursor(name="contextual") as cursor:
        cursor.itersize = PAGE
        cursor.execute(SELECT_CONTEXTUAL, {"experiment_id": experiment_id})
        yield from cursor


def empty_arrays(conn: Connection) -> None:
    """Forget all sums that are kept as arrays."""
    conn.execute(DELETE_DRAWS)
    conn.execute(EMPTY_CONTEXTS)


def insert_draws(conn: Connection, draws: Draws) -> None:
    """Put the draws of an experiment that has none."""
    arrays = ("drawn", "probability_sum", "probability_sum_squares")
    params = {name: getattr(draws, name).tolist() for name in arrays}
    conn.execute(INSERT_DRAWS, {"experiment_id": draws.experiment_id, **params})
