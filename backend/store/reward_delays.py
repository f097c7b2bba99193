"""Table ``reward_delays``: how long rewards took to come, counted in doubling bins per minute of the decisions' time."""

from collections.abc import Sequence
from datetime import datetime

from backend.store.arrays import plain_array
from backend.store.database import Connection, Row

# As SELECT_CHANGED_SUMS in statistics.py reads the sums.
SELECT_CHANGED_DELAYS = """
    WITH changed AS (
        SELECT DISTINCT experiment_id,
               CASE WHEN bucket >= %(recent_since)s THEN bucket
                    ELSE date_bin('1 hour', bucket, timestamptz 'epoch') END AS block,
               CASE WHEN bucket >= %(recent_since)s THEN interval '1 microsecond' ELSE interval '1 hour' END AS width
        FROM reward_delays JOIN experiments USING (experiment_id)
        WHERE (changed_xid >= %(since)s::xid8 OR experiment_id = ANY (%(anew)s))
              AND (status IN ('running', 'paused') OR experiment_id = ANY (%(anew)s))
    )
    SELECT c.experiment_id, c.block, d.counts
    FROM changed c JOIN reward_delays d
        ON d.experiment_id = c.experiment_id AND d.bucket >= c.block AND d.bucket < c.block + c.width
"""

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
