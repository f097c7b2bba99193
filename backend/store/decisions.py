"""Table ``decisions``: the log, written many rows at a time together with the counts that follow from it."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import orjson

from backend.domain import Decision
from backend.store.allocation_statistics import Draws
from backend.store.arrays import plain_array
from backend.store.database import Connection, Database, Row

T = TypeVar("T")

# Nothing of a batch is stored when a decision is stale, unless it is there already: its commit went unheard of. Of a batch
# all is inserted, or nothing. In one line, because the driver remembers only statements of up to 4096 characters.
INSERT_DECISIONS = " ".join(
    """
    WITH input AS (
        SELECT * FROM unnest(
            %(decision_id)s::uuid[], %(experiment_id)s::int[], %(experiment_version)s::int[],
            %(policy_version)s::int[], %(arm_id)s::int[], %(reason)s::decision_reason[], %(decided_at_us)s::bigint[],
            %(propensity)s::float8[], %(random_number)s::float8[], %(unit_id)s::text[],
            %(eligible_arm_ids)s::json[], %(context)s::json[], %(sticky_decision_id)s::uuid[],
            %(importance_weight)s::float8[], %(scores)s::text[], %(redrawn_from)s::uuid[], %(bucket_s)s::smallint[]
        ) AS input (decision_id, experiment_id, experiment_version, policy_version, arm_id, reason, decided_at_us,
                    propensity, random_number, unit_id, eligible_arm_ids, context, sticky_decision_id,
                    importance_weight, scores, redrawn_from, bucket_s)
    ), stale AS (
        SELECT decision_id FROM input JOIN experiments e USING (experiment_id)
        WHERE input.experiment_version <> e.version
              AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.decision_id = input.decision_id)
    ), inserted AS (
        INSERT INTO decisions (decision_id, experiment_id, experiment_version, policy_version, arm_id, reason,
                               decided_at, propensity, random_number, unit_id, eligible_arm_ids, context,
                               sticky_decision_id, importance_weight, scores, redrawn_from, bucket_s)
        SELECT decision_id, experiment_id, experiment_version, policy_version, arm_id, reason,
               timestamptz 'epoch' + decided_at_us * interval '1 microsecond', propensity, random_number, unit_id,
               eligible_arm_ids, context, sticky_decision_id, importance_weight, scores::float8[], redrawn_from,
               bucket_s
        FROM input
        WHERE NOT EXISTS (SELECT 1 FROM stale)
        ON CONFLICT (decision_id) DO NOTHING
        RETURNING experiment_id, arm_id, reason, decided_at, propensity, importance_weight, bucket_s
    ), counted AS (
        INSERT INTO arm_statistics AS s (experiment_id, metric, bucket, arm_id, shard, decisions, propensity_sum,
                                         weight_sum, root_weight_sum, offset_sum)
        SELECT experiment_id, 'primary', bucket, arm_id, %(shard)s, count(*), sum(propensity),
               sum(coalesce(importance_weight, 1 / propensity)), sum(1 / sqrt(propensity)),
               sum(extract(epoch FROM decided_at - bucket)::float8)
        FROM inserted, date_bin(make_interval(secs => bucket_s), decided_at, timestamptz 'epoch') AS bucket
        WHERE reason <> 'paused'
        GROUP BY experiment_id, bucket, arm_id
        ORDER BY experiment_id, bucket, arm_id
        ON CONFLICT (experiment_id, metric, bucket, arm_id, shard) DO UPDATE
        SET decisions = s.decisions + excluded.decisions,
            propensity_sum = s.propensity_sum + excluded.propensity_sum,
            weight_sum = s.weight_sum + excluded.weight_sum,
            root_weight_sum = s.root_weight_sum + excluded.root_weight_sum,
            offset_sum = s.offset_sum + excluded.offset_sum,
            changed_xid = excluded.changed_xid
    ), allocated AS (
        INSERT INTO allocation_statistics AS s (experiment_id, shard, drawn, probability_sum, probability_sum_squares)
        SELECT experiment_id, %(shard)s, drawn::float8[], probability_sum::float8[], probability_sum_squares::float8[]
        FROM unnest(%(allocated_id)s::int[], %(drawn)s::text[], %(probability_sum)s::text[],
                    %(probability_sum_squares)s::text[])
            AS fresh (experiment_id, drawn, probability_sum, probability_sum_squares)
        WHERE EXISTS (SELECT 1 FROM inserted)
        ORDER BY experiment_id
        ON CONFLICT (experiment_id, shard) DO UPDATE
        SET drawn = add_arrays(s.drawn, excluded.drawn),
            probability_sum = add_arrays(s.probability_sum, excluded.probability_sum),
            probability_sum_squares = add_arrays(s.probability_sum_squares, excluded.probability_sum_squares)
    )
    SELECT (SELECT array_agg(decision_id::text) FROM stale) AS stale, EXISTS (SELECT 1 FROM inserted) AS is_new
""".split()  # noqa: SIM905 - a list of its words would be unreadable
)

SELECT_DECISION = "SELECT * FROM decisions WHERE decision_id = %(decision_id)s"

SELECT_DECIDED = """
    SELECT decision_id::text, experiment_id, arm_id, unit_id, decided_at, reason = 'paused' AS is_paused,
           coalesce(sticky_decision_id, decision_id)::text AS drawn_by, propensity,
           coalesce(importance_weight, 1 / propensity) AS weight,
           CASE WHEN scores IS NOT NULL THEN coalesce(context, '{}') END AS learned_context, bucket_s
    FROM decisions WHERE decision_id = ANY (%(decision_ids)s::uuid[])
"""

SELECT_LOG = """
    SELECT d.*, r.rewards
    FROM decisions d LEFT JOIN LATERAL (
        SELECT json_agg(json_build_object('metric', metric, 'reward', value, 'is_late', is_late, 'occurred_at',
                                            to_char(coalesce(occurred_at, received_at) AT TIME ZONE 'UTC',
                                                    'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                         ORDER BY metric, sequence) AS rewards
        FROM rewards WHERE rewards.decision_id = d.decision_id AND retracted_at IS NULL
    ) r ON true
    WHERE d.experiment_id = %(experiment_id)s
    ORDER BY d.decision_id
"""


class StaleDecisions(Exception):
    """Some were made under a version of their experiment that is no longer current; nothing was stored."""

    def __init__(self, decision_ids: set[str]) -> None:
        super().__init__("decided under an old version")
        self.decision_ids = decision_ids


def insert_decisions(
    conn: Connection, decisions: Sequence[Decision], draws: Sequence[Draws], shard: int
) -> bool:
    """Log decisions, each once, and count them.

    Args:
        draws: the fresh draws among them, one entry an experiment.
    Returns:
        Whether they are new: False when this very batch was committed before.
    Raises:
        StaleDecisions: nothing was stored.
    """
    params: Row = {
        "decision_id": plain_array(d.decision_id for d in decisions),
        "experiment_id": plain_array(d.experiment.experiment_id for d in decisions),
        "experiment_version": plain_array(d.experiment.version for d in decisions),
        "policy_version": plain_array(d.policy_version for d in decisions),
        "arm_id": plain_array(d.arm_id for d in decisions),
        "reason": plain_array(d.reason for d in decisions),
        "decided_at_us": plain_array(d.decided_at_us for d in decisions),
        "propensity": plain_array(d.propensity for d in decisions),
        "random_number": plain_array(d.random_number for d in decisions),
        "unit_id": [d.unit_id for d in decisions],
        "eligible_arm_ids": _sparse([d.eligible_arm_ids for d in decisions], _json),
        "context": _sparse([d.context for d in decisions], _json),
        "sticky_decision_id": _sparse([d.sticky_decision_id for d in decisions], str),
        "importance_weight": _sparse([d.importance_weight for d in decisions], float),
        "scores": _sparse([d.scores for d in decisions], plain_array),
        "redrawn_from": _sparse([d.redrawn_from for d in decisions], str),
        "allocated_id": plain_array(draw.experiment_id for draw in draws),
        "drawn": [plain_array(draw.drawn.tolist()) for draw in draws],
        "probability_sum": [plain_array(draw.probability_sum.tolist()) for draw in draws],
        "probability_sum_squares": [
            plain_array(draw.probability_sum_squares.tolist()) for draw in draws
        ],
        "bucket_s": plain_array(d.experiment.bucket_s for d in decisions),
        "shard": shard,
    }
    row = conn.execute(INSERT_DECISIONS, params).fetchone()
    assert row is not None
    if row["stale"]:
        raise StaleDecisions(set(row["stale"]))
    return bool(row["is_new"])


def _sparse(
    values: Sequence[T | None], convert: Callable[[T], object]
) -> list[object | None] | None:
    """A column that is seldom used; None, which SQL fills up with nulls, where no row uses it."""
    if all(value is None for value in values):
        return None
    return [None if value is None else convert(value) for value in values]


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def select_decision(conn: Connection, decision_id: str) -> Row | None:
    """One row of the log."""
    return conn.execute(SELECT_DECISION, {"decision_id": decision_id}).fetchone()


def select_decided(conn: Connection, decision_ids: Sequence[str]) -> dict[str, Row]:
    """What a reward must know of its decision, by decision id; unknown ids are missing."""
    rows = conn.execute(SELECT_DECIDED, {"decision_ids": list(decision_ids)})
    return {row["decision_id"]: row for row in rows}


def stream_log(database: Database, experiment_id: int) -> Iterator[Row]:
    """The whole log of an experiment in order of time, each row with its rewards."""
    with database.stream(SELECT_LOG, {"experiment_id": experiment_id}) as rows:
        yield from rows
