"""Table ``idempotency_keys``: the answers that were given to requests which may be sent again."""

from backend.domain import Claim, Replay
from backend.errors import IdempotencyConflict
from backend.store.database import Connection

LIFETIME = "24 hours"

# A claim older than its lifetime is as good as none. Waits while another transaction holds the same claim.
CLAIM_KEY = """
    INSERT INTO idempotency_keys AS k (key_id, idempotency_key, request_hash)
    VALUES (%(key_id)s, %(idempotency_key)s, %(request_hash)s)
    ON CONFLICT (key_id, idempotency_key) DO UPDATE
    SET request_hash = excluded.request_hash, status = NULL, body = NULL, created_at = excluded.created_at
    WHERE k.created_at < now() - %(lifetime)s::interval
"""

SELECT_ANSWER = """
    SELECT request_hash, status, body FROM idempotency_keys
    WHERE key_id = %(key_id)s AND idempotency_key = %(idempotency_key)s
"""

STORE_ANSWER = """
    UPDATE idempotency_keys SET status = %(status)s, body = %(body)s
    WHERE key_id = %(key_id)s AND idempotency_key = %(idempotency_key)s
"""

DELETE_EXPIRED = "DELETE FROM idempotency_keys WHERE created_at < now() - %(lifetime)s::interval"


def claim_key(conn: Connection, claim: Claim) -> Replay | None:
    """Claim this Idempotency-Key for this transaction, or get the answer that was given under it.

    Raises:
        IdempotencyConflict: it was used for another request.
    """
    params = {
        "key_id": claim.key_id,
        "idempotency_key": claim.idempotency_key,
        "request_hash": claim.request_hash,
        "lifetime": LIFETIME,
    }
    if conn.execute(CLAIM_KEY, params).rowcount == 1:
        return None
    row = conn.execute(SELECT_ANSWER, params).fetchone()
    assert row is not None
    if bytes(row["request_hash"]) != claim.request_hash:
        raise IdempotencyConflict(
            f"Idempotency-Key '{claim.idempotency_key}' was used for another request; take a new one"
        )
    return Replay(row["status"], bytes(row["body"]))


def store_answer(conn: Connection, claim: Claim, status: int, body: bytes) -> None:
    """Keep the answer of a claimed request."""
    params = {
        "key_id": claim.key_id,
        "idempotency_key": claim.idempotency_key,
        "status": status,
        "body": body,
    }
    conn.execute(STORE_ANSWER, params)


def delete_expired(conn: Connection) -> None:
    """Forget answers that are past their lifetime."""
    conn.execute(DELETE_EXPIRED, {"lifetime": LIFETIME})
