"""Table ``context_statistics``: sums for regressions, per hour of the decisions' time and arm."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from backend.domain import FloatArray
from backend.store.arrays import plain_array
from backend.store.database import Connection, Row

# As SELECT_CHANGED_SUMS in statistics.py reads the sums; a block is an hour.
SELECT_CHANGED_CONTEXTS = """
    WITH changed AS (
        SELECT DISTINCT experiment_id, bucket
        FROM context_statistics JOIN experiments USING (experiment_id)
        WHERE (changed_xid >= %(since)s::xid8 OR experiment_id = ANY (%(anew)s))
              AND (status IN ('running', 'paused') OR experiment_id = ANY (%(anew)s))
    )
    SELECT experiment_id, bucket AS block, s.arm_id, s.decision_xtx, s.reward_xtx, s.reward_xty
    FROM changed JOIN context_statistics s USING (experiment_id, bucket)
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


SELECT_CONTEXTS = """
    SELECT bucket, arm_id, decision_xtx, reward_xtx, reward_xty FROM context_statistics
    WHERE experiment_id = %(experiment_id)s
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
        "decision_xtx": [plain_array(s.decision_xtx.tolist()) for s in sums],
        "reward_xtx": [plain_array(s.reward_xtx.tolist()) for s in sums],
        "reward_xty": [plain_array(s.reward_xty.tolist()) for s in sums],
        "shard": shard,
    }
    conn.execute(ADD_TO_CONTEXTS, params)


def select_contexts(conn: Connection, experiment_id: int) -> list[ContextSums]:
    """All sums of an experiment, one entry an hour and arm."""
    found: dict[tuple[datetime, int], ContextSums] = {}
    for row in conn.execute(SELECT_CONTEXTS, {"experiment_id": experiment_id}):
        arrays = [np.array(row[name]) for name in ("decision_xtx", "reward_xtx", "reward_xty")]
        key = row["bucket"], row["arm_id"]
        if key in found:
            known = found[key]
            arrays[0] += known.decision_xtx
            arrays[1] += known.reward_xtx
            arrays[2] += known.reward_xty
        found[key] = ContextSums(experiment_id, *key, *arrays)
    return list(found.values())
