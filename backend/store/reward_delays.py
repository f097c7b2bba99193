"""Table ``reward_delays``: how long rewards took to come, counted in doubling bins per minute of the decisions' time."""

from collections.abc import Sequence
from datetime import datetime

from backend.store.arrays import plain_array
from backend.store.database import Connection, Row

ADD_TO_DELAYS = """
    INSERT INTO reward_delays AS d (experiment_id, bucket, shard, counts)
    SELECT experiment_id, bucket, %(shard)s, counts::float8[]
    FROM unnest(%(experiment_id)s::int[], %(bucket)s::timestamptz[], %(counts)s::text[])
        AS input (experiment_id, bucket, counts)
    ORDER BY 1, 2
    ON CONFLICT (experiment_id, bucket, shard) DO UPDATE
    SET counts = add_arrays(d.counts, excluded.counts), changed_xid = excluded.changed_xid
"""

Delay = tuple[int, datetime, int]
"""(experiment_id, decided_at, bin)"""


def add_to_delays(conn: Connection, delays: Sequence[Delay], shard: int, change: int = 1) -> None:
    """Count each delay once more (or, with ``change`` -1, once less)."""
    counts: dict[tuple[int, datetime], list[int]] = {}
    for experiment_id, decided_at, delay_bin in delays:
        minute = decided_at.replace(second=0, microsecond=0)
        bins = counts.setdefault((experiment_id, minute), [])
        bins.extend([0] * (delay_bin + 1 - len(bins)))
        bins[delay_bin] += change
    params: Row = {
        "experiment_id": plain_array(experiment_id for experiment_id, _ in counts),
        "bucket": [minute for _, minute in counts],
        "counts": [plain_array(bins) for bins in counts.values()],
        "shard": shard,
    }
    conn.execute(ADD_TO_DELAYS, params)
