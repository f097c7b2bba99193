"""Table ``policy_snapshots``: the numbered statistics that decisions are made with."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from backend.domain import FloatArray
from backend.statistics import ArmStatistics, ArmStats
from backend.store.database import Connection, Row

INSERT_SNAPSHOT = """
    INSERT INTO policy_snapshots (experiment_id, policy_version, statistics, observed, n_decisions, batch_size, model)
    VALUES (%(experiment_id)s, %(policy_version)s, %(statistics)s, %(observed)s, %(n_decisions)s, %(batch_size)s,
            %(model)s)
    ON CONFLICT (experiment_id, policy_version) DO NOTHING
"""

# The same statistics under the next number, because the experiment itself changed.
RENUMBER_SNAPSHOT = """
    INSERT INTO policy_snapshots (experiment_id, policy_version, statistics, observed, n_decisions, batch_size, model)
    SELECT experiment_id, policy_version + 1, statistics, observed, n_decisions, batch_size, model
    FROM policy_snapshots
    WHERE experiment_id = %(experiment_id)s
    ORDER BY policy_version DESC LIMIT 1
    ON CONFLICT (experiment_id, policy_version) DO NOTHING
"""

# Of every running or paused experiment whose newest snapshot is not the one the caller knows.
SELECT_NEWER = """
    SELECT e.*, s.policy_version, s.statistics, s.observed, s.n_decisions, s.batch_size, s.model,
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
    SELECT e.*, s.policy_version, s.statistics, s.observed, s.n_decisions, s.batch_size, s.model,
           extract(epoch FROM now() - s.published_at)::float8 AS age_s
    FROM experiments e
    CROSS JOIN LATERAL (
        SELECT * FROM policy_snapshots p WHERE p.experiment_id = e.experiment_id
        ORDER BY policy_version DESC LIMIT 1
    ) s
    WHERE e.experiment_key = %(key)s
"""

# Scores are logged with decisions, so only workers need a model, and only the newest.
FORGET_MODELS = """
    UPDATE policy_snapshots SET model = NULL
    WHERE experiment_id = %(experiment_id)s AND policy_version < %(policy_version)s AND model IS NOT NULL
"""

SELECT_SNAPSHOT = """
    SELECT * FROM policy_snapshots
    WHERE experiment_id = %(experiment_id)s AND policy_version = %(policy_version)s
"""


KEPT_MODELS = 2
OBSERVED = (
    "pulls",
    "reward_sum",
    "reward_sum_squares",
    "pending",
    "weight_sum",
    "weighted_reward_sum",
)
"""Columns of the stored matrix, by their names in ``ArmStats``."""


@dataclass(frozen=True, slots=True)
class Published:
    """The numbers of one policy version.

    Attributes:
        statistics: plain sums over the log.
        stats: what policies learn from: after forgetting and delay.
        model: the fitted model of a contextual policy (``LinearModel.to_bytes``).
    """

    statistics: ArmStatistics
    stats: ArmStats
    model: bytes | None = None

    @classmethod
    def empty(cls, n_arms: int) -> Self:
        """Before any decision."""
        return cls(ArmStatistics.zeros(n_arms), ArmStats(*np.zeros((3, n_arms))))

    @classmethod
    def from_row(cls, row: Row | None, n_arms: int, default_reward: float | None) -> Self:
        """From what was stored, of the arms there were then: arms added since have no data.

        ``default_reward`` serves for rows of an older version of the service, which did not store ``stats``.
        """
        if row is None:
            return cls.empty(n_arms)
        statistics = ArmStatistics.from_matrix(_padded(row["statistics"], n_arms, 4))
        if row["observed"] is None:
            return cls(statistics, statistics.observed(default_reward))
        observed = _padded(row["observed"], n_arms, len(OBSERVED))
        stats = replace(
            ArmStats(*np.ascontiguousarray(observed.T)),
            n_decisions=row["n_decisions"],
            batch_size=row["batch_size"],
        )
        return cls(statistics, stats, row["model"])


def insert_snapshot(
    conn: Connection, experiment_id: int, policy_version: int, published: Published
) -> bool:
    """Publish numbers as ``policy_version``; False if another worker published that version first."""
    stats = published.stats
    params = {
        "experiment_id": experiment_id,
        "policy_version": policy_version,
        "statistics": published.statistics.to_matrix().tolist(),
        "observed": np.column_stack([getattr(stats, name) for name in OBSERVED]).tolist(),
        "n_decisions": stats.n_decisions,
        "batch_size": stats.batch_size,
        "model": published.model,
    }
    is_first = conn.execute(INSERT_SNAPSHOT, params).rowcount == 1
    if is_first and published.model is not None:
        old = {"experiment_id": experiment_id, "policy_version": policy_version - KEPT_MODELS}
        conn.execute(FORGET_MODELS, old)
    return is_first


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


def _padded(rows: list[list[float]], n_arms: int, n_columns: int) -> FloatArray:
    stored: FloatArray = np.array(rows, dtype=np.float64).reshape(-1, n_columns)
    return np.vstack([stored, np.zeros((n_arms - len(stored), n_columns))])
