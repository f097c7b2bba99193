"""Table ``context_statistics``: sums for regressions, per hour of the decisions' time and arm."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from backend.domain import FloatArray
from backend.store.arrays import plain_array
from backend.store.database import Connection, Row

SELECT_CHANGED_CONTEXTS = """
    WITH changed AS (
        SELECT DISTINCT experiment_id, bucket
        FROM context_statistics JOIN experiments USING (experiment_id)
        WHERE changed_xid >= %(since)s::xid8 AND status IN ('running', 'paused')
    )
    SELECT experiment_id, bucket AS block, s.arm_id, s.decision_xtx, s.reward_xtx, s.reward_xty
    FROM changed JOIN context_statistics s USING (experiment_id, bucket)
"""
SELECT_ALL_CONTEXTS = """
    SELECT experiment_id, bucket AS block, arm_id, decision_xtx, reward_xtx, reward_xty FROM context_statistics
    WHERE experiment_id = ANY (%(experiment_ids)s)
"""

ADD_TO_CONTEXTS = """
    INSERT INTO context_statistics AS s
        (experiment_id, bucket, arm_id, shard, decision_xtx, reward_xtx, reward_xty)
    SELECT experiment_id, date_bin('1 hour', decided_at, timestamptz 'epoch'), arm_id, %(shard)s,
           decision_xtx::float8[], reward_xtx::float8[], reward_xty::float8[]
    FROM unnest(%(experiment_id)s::int[], %(decided_at)s::timestamptz[], %(arm_id)s::int[], %(decision_xtx)s::text[],
                %(reward_xtx)s::text[], %(reward_xty)s::text[])
        AS input (experiment_id, decided_at, arm_id, decision_xtx, reward_xtx, reward_xty)
    ORDER BY 1, 2, 3
    ON CONFLICT (experiment_id, bucket, arm_id, shard) DO UPDATE
    SET decision_xtx = add_arrays(s.decision_xtx, excluded.decision_xtx),
        reward_xtx = add_arrays(s.reward_xtx, excluded.reward_xtx),
        reward_xty = add_arrays(s.reward_xty, excluded.reward_xty),
        changed_xid = excluded.changed_xid
"""


@dataclass(frozen=True, slots=True)
class ContextSums:
    """What is added for one experiment, hour and arm.

    ``decision_xtx`` and ``reward_xtx`` are lower triangles, row by row, shape (d (d + 1) / 2,); ``reward_xty`` has
    shape (d,).
    """

    experiment_id: int
    hour: datetime
    arm_id: int
    decision_xtx: FloatArray
    reward_xtx: FloatArray
    reward_xty: FloatArray


def add_to_contexts(conn: Connection, additions: Iterable[ContextSums], shard: int) -> None:
    """Add sums; at most one entry an experiment, hour and arm."""
    sums = list(additions)
    params: Row = {
        "experiment_id": plain_array(s.experiment_id for s in sums),
        "decided_at": [s.hour for s in sums],
        "arm_id": plain_array(s.arm_id for s in sums),
        "decision_xtx": [_literal(s.decision_xtx) for s in sums],
        "reward_xtx": [_literal(s.reward_xtx) for s in sums],
        "reward_xty": [_literal(s.reward_xty) for s in sums],
        "shard": shard,
    }
    conn.execute(ADD_TO_CONTEXTS, params)


def _literal(array: FloatArray) -> str:
    """Zeros alone need not be sent: the shorter of two arrays is filled up with them."""
    return plain_array(array.tolist()) if array.any() else "{}"


def select_changed_contexts(conn: Connection, since: str) -> list[Row]:
    """Rows of every hour in which anything changed since that horizon, of experiments that go on."""
    return _fetch(conn, SELECT_CHANGED_CONTEXTS, {"since": since})


def select_all_contexts(conn: Connection, experiment_ids: list[int]) -> list[Row]:
    """All rows of these experiments; several writers' rows of an hour and arm add up, and may be shorter than others."""
    return _fetch(conn, SELECT_ALL_CONTEXTS, {"experiment_ids": experiment_ids})


def _fetch(conn: Connection, query: LiteralString, params: Row) -> list[Row]:
    """In binary: parsing thousands of numbers from text would take longer than all the rest."""
    with conn.cursor(binary=True) as cursor:
        return cursor.execute(query, params).fetchall()
