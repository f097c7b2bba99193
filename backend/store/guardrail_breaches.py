"""Table ``guardrail_breaches``: which arm crossed which guardrail, the first time."""

from datetime import datetime

from backend.domain import Guardrail
from backend.store.database import Connection

INSERT_BREACH = """
    INSERT INTO guardrail_breaches (experiment_id, arm_id, metric, action)
    VALUES (%(experiment_id)s, %(arm_id)s, %(metric)s, %(action)s)
    ON CONFLICT (experiment_id, arm_id, metric) DO NOTHING
"""
SELECT_BREACHES = """
    SELECT arm_id, metric, breached_at FROM guardrail_breaches WHERE experiment_id = %(experiment_id)s
"""
DELETE_BREACHES = """
    DELETE FROM guardrail_breaches WHERE experiment_id = %(experiment_id)s AND metric = ANY (%(metrics)s)
"""
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('bandstand.guardrails')) AS is_mine"


def insert_breach(conn: Connection, experiment_id: int, arm_id: int, guardrail: Guardrail) -> bool:
    """Note that an arm crossed; False if it was noted before."""
    params = {
        "experiment_id": experiment_id,
        "arm_id": arm_id,
        "metric": guardrail.metric,
        "action": guardrail.action,
    }
    return conn.execute(INSERT_BREACH, params).rowcount == 1


def select_breaches(conn: Connection, experiment_id: int) -> dict[tuple[int, str], datetime]:
    """When each (arm_id, metric) crossed its guardrail."""
    rows = conn.execute(SELECT_BREACHES, {"experiment_id": experiment_id})
    return {(row["arm_id"], row["metric"]): row["breached_at"] for row in rows}


def delete_breaches(conn: Connection, experiment_id: int, metrics: list[str]) -> None:
    """Forget breaches of guardrails that were changed or removed."""
    conn.execute(DELETE_BREACHES, {"experiment_id": experiment_id, "metrics": metrics})


def try_lock(conn: Connection) -> bool:
    """Whether this transaction is the one that looks after guardrails now."""
    row = conn.execute(TRY_LOCK).fetchone()
    return bool(row and row["is_mine"])
