"""Table ``policy_snapshots``: the numbered statistics that decisions are made with."""

import numpy as np

from backend.domain import FloatArray
from backend.statistics import ArmStatistics
from backend.store.database import Connection, Row

INSERT_SNAPSHOT = """
    INSERT INTO policy_snapshots (experiment_id, policy_version, statistics)
    VALUES (%(experiment_id)s, %(policy_version)s, %(statistics)s)
    ON CONFLICT (experiment_id, policy_version) DO NOTHING
"""

# The same statistics under the next number, because the experiment itself changed.
RENUMBER_SNAPSHOT = """
    INSERT INTO policy_snapshots (experiment_id, policy_version, statistics)
    SELECT experiment_id, policy_version + 1, statistics FROM policy_snapshots
    WHERE experiment_id = %(experiment_id)s
    ORDER BY policy_version DESC LIMIT 1
    ON CONFLICT (experiment_id, policy_version) DO NOTHING
"""

# Of every running or paused experiment whose newest snapshot is not the one the caller knows.
SELECT_NEWER = """
    SELECT e.*, s.policy_version, s.statistics,
           extract(epoch FROM now() - s.published_at)::float8 AS age_s
    FROM experiments e
    CROSS JOIN LATERAL (
        SELECT * FROM policy_snapshots p WHERE p.experiment_id = e.experiment_id
        ORDER BY policy_version DESC LIMIT 1
    ) s
    LEFT JOIN unnest(%(experiment_ids)s::int[], %(versions)s::int[], %(policy_versions)s::int[])
        AS known (experiment_id, version, policy_version) ON known.experiment_id = e.experiment_id
    WHERE (known.experiment_id IS NULL AND e.status IN ('running', 'paused'))
       OR known.version <> e.version OR known.policy_version <> s.policy_version
"""

SELECT_LATEST = """
    SELECT e.*, s.policy_version, s.statistics,
           extract(epoch FROM now() - s.published_at)::float8 AS age_s
    FROM experiments e
    CROSS JOIN LATERAL (
        SELECT * FROM policy_snapshots p WHERE p.experiment_id = e.experiment_id
        ORDER BY policy_version DESC LIMIT 1
    ) s
    WHERE e.experiment_key = %(key)s
"""

SELECT_SNAPSHOT = """
    SELECT * FROM policy_snapshots
    WHERE experiment_id = %(experiment_id)s AND policy_version = %(policy_version)s
"""


def insert_snapshot(
    conn: Connection, experiment_id: int, policy_version: int, statistics: ArmStatistics
) -> bool:
    """Publish statistics as ``policy_version``; False if another worker published that version first."""
    params = {
        "experiment_id": experiment_id,
        "policy_version": policy_version,
        "statistics": statistics.to_matrix().tolist(),
    }
    return conn.execute(INSERT_SNAPSHOT, params).rowcount == 1


def renumber_snapshot(conn: Connection, experiment_id: int) -> None:
    """Give the newest statistics a new policy version."""
    conn.execute(RENUMBER_SNAPSHOT, {"experiment_id": experiment_id})


def select_newer(conn: Connection, known: dict[int, tuple[int, int]]) -> list[Row]:
    """Newest snapshot, with its experiment, where it differs from ``known``.

    Args:
        known: (version, policy_version) by experiment id.
    """
    params = {
        "experiment_ids": list(known),
        "versions": [version for version, _ in known.values()],
        "policy_versions": [policy_version for _, policy_version in known.values()],
    }
    return conn.execute(SELECT_NEWER, params).fetchall()


def select_latest(conn: Connection, key: str) -> Row | None:
    """Newest snapshot of one experiment, with the experiment."""
    return conn.execute(SELECT_LATEST, {"key": key}).fetchone()


def select_snapshot(conn: Connection, experiment_id: int, policy_version: int) -> Row | None:
    """One published snapshot."""
    params = {"experiment_id": experiment_id, "policy_version": policy_version}
    return conn.execute(SELECT_SNAPSHOT, params).fetchone()


def statistics_from(rows: list[list[float]], n_arms: int) -> ArmStatistics:
    """Statistics of ``n_arms`` arms from a stored matrix, which may be of fewer: arms added since have no data."""
    sums: FloatArray = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return ArmStatistics.from_matrix(np.vstack([sums, np.zeros((n_arms - len(sums), 4))]))
