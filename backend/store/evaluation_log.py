"""The log as off-policy evaluation reads it."""

from collections.abc import Iterator
from datetime import datetime

from backend.domain import Experiment
from backend.store.database import Connection, Database, Row

# The newest decision that is too old to be among the newest n.
SELECT_LAST_LEFT_OUT = """
    SELECT decision_id FROM decisions
    WHERE experiment_id = %(experiment_id)s AND experiment_version <= %(version)s AND reason <> 'paused'
    ORDER BY decision_id DESC OFFSET %(n)s LIMIT 1
"""

SELECT_ARM_STATUSES = """
    SELECT version, array_agg(arm ->> 'status' ORDER BY position) AS statuses
    FROM experiment_versions, json_array_elements(document -> 'arms') WITH ORDINALITY AS arms (arm, position)
    WHERE experiment_id = %(experiment_id)s
    GROUP BY version
"""

# Blocks are minutes for the last hour or two, and hours before.
SELECT_DELAYS = """
    WITH blocks AS (
        SELECT CASE WHEN bucket >= %(recent_since)s THEN bucket
                    ELSE date_bin('1 hour', bucket, timestamptz 'epoch') END AS block,
               CASE WHEN bucket >= %(recent_since)s THEN interval '1 minute' ELSE interval '1 hour' END AS width, counts
        FROM reward_delays WHERE experiment_id = %(experiment_id)s
    )
    SELECT block + width AS ends_at, position - 1 AS delay_bin, sum(n) AS n
    FROM blocks, unnest(counts) WITH ORDINALITY AS bins (n, position)
    GROUP BY block, width, position
"""

SELECT_LOG = """
    SELECT d.arm_id, d.propensity, d.decided_at, d.experiment_version, d.eligible_arm_ids, d.context, r.rewards
    FROM decisions d LEFT JOIN LATERAL (
        SELECT json_agg(json_build_object('value', value, 'is_late', is_late, 'retracted_at', NULL, 'occurred_at',
                                          extract(epoch FROM coalesce(occurred_at, received_at)))) AS rewards
        FROM rewards
        WHERE rewards.decision_id = d.decision_id AND metric = 'primary' AND retracted_at IS NULL
    ) r ON true
    WHERE d.experiment_id = %(experiment_id)s AND d.experiment_version <= %(version)s AND d.reason <> 'paused'
          AND (%(after)s::uuid IS NULL OR d.decision_id > %(after)s)
    ORDER BY d.decision_id
"""


def select_last_left_out(conn: Connection, experiment: Experiment, n: int) -> object | None:
    """The id of the decision before the newest ``n``; None when there are no more than those."""
    params = {"experiment_id": experiment.experiment_id, "version": experiment.version, "n": n}
    row = conn.execute(SELECT_LAST_LEFT_OUT, params).fetchone()
    return None if row is None else row["decision_id"]


def select_arm_statuses(conn: Connection, experiment_id: int) -> dict[int, list[str]]:
    """The status of each arm, in their order, at each version of the experiment."""
    rows = conn.execute(SELECT_ARM_STATUSES, {"experiment_id": experiment_id})
    return {row["version"]: row["statuses"] for row in rows}


def select_delays(conn: Connection, experiment_id: int, recent_since: datetime) -> list[Row]:
    """How many rewards of each block of decision time came with a delay of each bin."""
    params = {"experiment_id": experiment_id, "recent_since": recent_since}
    return conn.execute(SELECT_DELAYS, params).fetchall()


def stream_log(database: Database, experiment: Experiment, after: object | None) -> Iterator[Row]:
    """Decisions that were not paused, with their primary rewards that stand, oldest first.

    Up to the version of ``experiment``, so that there is no arm which it does not know.
    """
    params = {
        "experiment_id": experiment.experiment_id,
        "version": experiment.version,
        "after": after,
    }
    with database.stream(SELECT_LOG, params) as rows:
        yield from rows
