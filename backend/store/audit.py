"""Table ``audit``: every change by a person, from what to what."""

from psycopg.types.json import Json as JsonValue

from backend.domain import Json
from backend.store.database import Connection, Row

INSERT_AUDIT = """
    INSERT INTO audit (experiment_id, version, key_id, key_name, action, changes)
    VALUES (%(experiment_id)s, %(version)s, %(key_id)s, %(key_name)s, %(action)s, %(changes)s)
"""

SELECT_AUDIT_PAGE = """
    SELECT audit_id, version, at, key_id, key_name, action, changes FROM audit
    WHERE experiment_id = %(experiment_id)s AND audit_id < %(before)s
    ORDER BY audit_id DESC
    LIMIT %(limit)s
"""


def insert_audit(
    conn: Connection,
    *,
    experiment_id: int,
    version: int,
    key_id: str,
    key_name: str,
    action: str,
    changes: Json,
) -> None:
    """Note one change; ``changes`` maps a field's path to ``{"from": …, "to": …}``."""
    params = {
        "experiment_id": experiment_id,
        "version": version,
        "key_id": key_id,
        "key_name": key_name,
        "action": action,
        "changes": JsonValue(changes),
    }
    conn.execute(INSERT_AUDIT, params)


def select_audit_page(
    conn: Connection, experiment_id: int, *, before: int, limit: int
) -> list[Row]:
    """Newest first, audit ids below ``before``."""
    params = {"experiment_id": experiment_id, "before": before, "limit": limit}
    return conn.execute(SELECT_AUDIT_PAGE, params).fetchall()
