"""Table ``api_keys``: who may call, known by the hash of a secret."""

from backend.domain import ApiKey, Role
from backend.store.database import Connection, Row

INSERT_KEY = """
    INSERT INTO api_keys (key_id, name, role, secret_hash)
    VALUES (%(key_id)s, %(name)s, %(role)s, %(secret_hash)s)
    RETURNING *
"""

ENSURE_KEY = """
    INSERT INTO api_keys (key_id, name, role, secret_hash)
    VALUES (%(key_id)s, %(name)s, %(role)s, %(secret_hash)s)
    ON CONFLICT (secret_hash) DO UPDATE SET role = excluded.role, revoked_at = NULL
"""

SELECT_VALID = "SELECT * FROM api_keys WHERE revoked_at IS NULL"
SELECT_VALID_BY_HASH = """
    SELECT * FROM api_keys WHERE secret_hash = %(secret_hash)s AND revoked_at IS NULL
"""
SELECT_KEY_PAGE = """
    SELECT * FROM api_keys
    WHERE revoked_at IS NULL AND key_id > %(after)s
    ORDER BY key_id
    LIMIT %(limit)s
"""
REVOKE_KEY = """
    UPDATE api_keys SET revoked_at = now() WHERE key_id = %(key_id)s AND revoked_at IS NULL
"""


def insert_key(
    conn: Connection, *, key_id: str, name: str, role: Role, secret_hash: bytes
) -> ApiKey:
    """Store a new key."""
    params = {"key_id": key_id, "name": name, "role": role, "secret_hash": secret_hash}
    row = conn.execute(INSERT_KEY, params).fetchone()
    assert row is not None
    return _key(row)


def ensure_key(conn: Connection, *, key_id: str, name: str, role: Role, secret_hash: bytes) -> None:
    """Make sure that the key with this secret is valid and has this role."""
    params = {"key_id": key_id, "name": name, "role": role, "secret_hash": secret_hash}
    conn.execute(ENSURE_KEY, params)


def select_valid_keys(conn: Connection) -> dict[bytes, ApiKey]:
    """All keys that are not revoked, by the hash of their secret."""
    return {bytes(row["secret_hash"]): _key(row) for row in conn.execute(SELECT_VALID)}


def select_key_by_hash(conn: Connection, secret_hash: bytes) -> ApiKey | None:
    """The valid key whose secret has this hash."""
    row = conn.execute(SELECT_VALID_BY_HASH, {"secret_hash": secret_hash}).fetchone()
    return _key(row) if row else None


def select_key_page(conn: Connection, *, after: str, limit: int) -> list[ApiKey]:
    """Valid keys in order of their id, from behind ``after``."""
    return [_key(row) for row in conn.execute(SELECT_KEY_PAGE, {"after": after, "limit": limit})]


def revoke_key(conn: Connection, key_id: str) -> bool:
    """Revoke a key; False if there is no such valid key."""
    return conn.execute(REVOKE_KEY, {"key_id": key_id}).rowcount == 1


def _key(row: Row) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        name=row["name"],
        role=Role(row["role"]),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
