"""Table ``assignments``: the arm that a unit keeps."""

from collections.abc import Sequence
from datetime import timedelta

from backend.domain import Decision
from backend.store.database import Connection, Row

Unit = tuple[int, str]
"""(experiment_id, unit_id)"""

SELECT_ASSIGNMENTS = """
    SELECT a.*, a.decision_id::text AS drawn_by, a.expires_at <= now() AS is_expired
    FROM unnest(%(experiment_ids)s::int[], %(unit_ids)s::text[]) AS wanted (experiment_id, unit_id)
    JOIN assignments a USING (experiment_id, unit_id)
"""

# Takes the place of an assignment only if it is still the one that was seen to be void.
CLAIM_ASSIGNMENTS = """
    INSERT INTO assignments AS a (experiment_id, unit_id, arm_id, decision_id, policy_version, propensity,
                                  random_number, probabilities, expires_at)
    VALUES (%(experiment_id)s, %(unit_id)s, %(arm_id)s, %(decision_id)s, %(policy_version)s, %(propensity)s,
            %(random_number)s, %(probabilities)s, %(expires_at)s)
    ON CONFLICT (experiment_id, unit_id) DO UPDATE
    SET arm_id = excluded.arm_id, decision_id = excluded.decision_id, policy_version = excluded.policy_version,
        propensity = excluded.propensity, random_number = excluded.random_number,
        probabilities = excluded.probabilities, expires_at = excluded.expires_at
    WHERE a.decision_id = %(void_decision_id)s::uuid
"""

DELETE_ASSIGNMENTS = """
    DELETE FROM assignments a
    USING unnest(%(experiment_ids)s::int[], %(unit_ids)s::text[], %(decision_ids)s::uuid[])
        AS done (experiment_id, unit_id, decision_id)
    WHERE a.experiment_id = done.experiment_id AND a.unit_id = done.unit_id AND a.decision_id = done.decision_id
"""


def select_assignments(conn: Connection, units: Sequence[Unit]) -> dict[Unit, Row]:
    """The assignments of these units, by unit."""
    rows = conn.execute(SELECT_ASSIGNMENTS, _arrays(units))
    return {(row["experiment_id"], row["unit_id"]): row for row in rows}


def claim_assignments(conn: Connection, claims: Sequence[tuple[Decision, str | None]]) -> None:
    """Try to make each decision's arm the one its unit keeps; who comes first wins.

    Args:
        claims: a decision, and the id of the void decision whose assignment it may replace (None: none was seen).
            In order of unit, so that two writers cannot block each other.
    """
    with conn.cursor() as cursor:
        cursor.executemany(CLAIM_ASSIGNMENTS, [_claim(decision, void) for decision, void in claims])


def delete_assignments(conn: Connection, assigned: Sequence[tuple[int, str, str]]) -> None:
    """Let units be drawn afresh, given (experiment_id, unit_id, id of the decision that drew the arm)."""
    params = {
        **_arrays([(experiment_id, unit_id) for experiment_id, unit_id, _ in assigned]),
        "decision_ids": [decision_id for _, _, decision_id in assigned],
    }
    conn.execute(DELETE_ASSIGNMENTS, params)


def _arrays(units: Sequence[Unit]) -> Row:
    return {
        "experiment_ids": [experiment_id for experiment_id, _ in units],
        "unit_ids": [unit_id for _, unit_id in units],
    }


def _claim(decision: Decision, void_decision_id: str | None) -> Row:
    ttl_s = decision.experiment.allocation.sticky_ttl_s
    return {
        "experiment_id": decision.experiment.experiment_id,
        "unit_id": decision.unit_id,
        "arm_id": decision.arm_id,
        "decision_id": decision.decision_id,
        "policy_version": decision.policy_version,
        "propensity": decision.propensity,
        "random_number": decision.random_number,
        "probabilities": list(decision.probabilities.values()),
        "expires_at": decision.decided_at + timedelta(seconds=ttl_s) if ttl_s else None,
        "void_decision_id": void_decision_id,
    }
