"""API keys: made, shown once, listed, revoked, and checked on every request."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

from backend.domain import ApiKey, Claim, Role
from backend.errors import KeyNotFound, Unauthenticated
from backend.service.idempotent import idempotently
from backend.store import api_keys as table
from backend.store.database import Connection, Database

PREFIX = "bs_"
LEASE_S = 1.0
"""How long a worker may trust its copy of the keys; a revocation is answered only when all copies have ended."""


def hash_secret(secret: str) -> bytes:
    """What is kept of a key. Keys are random and long, so one SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).digest()


def new_key_id() -> str:
    """A random public name for a key."""
    return f"key_{secrets.token_hex(8)}"


def derive_secret(caller_secret: str, salt: str) -> str:
    """A new key's secret from the caller's own and a random salt.

    An answer kept for an Idempotency-Key holds the salt only: with it the same caller can be shown the same key
    again, and nobody who reads the database can make it.
    """
    digest = hmac.digest(caller_secret.encode(), f"bandstand key {salt}".encode(), "sha256")
    return PREFIX + digest.hex()


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; the only time its secret is seen."""

    key: ApiKey
    secret: str
    salt: str


class ManageKeys:
    """Makes, lists and revokes keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, role: Role, caller_secret: str, claim: Claim | None = None
    ) -> NewKey:
        """Make a key. Raises Replay when it was made before under this Idempotency-Key."""
        salt = secrets.token_hex(16)
        secret = derive_secret(caller_secret, salt)

        def work(conn: Connection) -> NewKey:
            key = table.insert_key(
                conn, key_id=new_key_id(), name=name, role=role, secret_hash=hash_secret(secret)
            )
            return NewKey(key, secret, salt)

        return idempotently(self._database, claim, work)

    def page(self, *, cursor: str | None, limit: int) -> list[ApiKey]:
        """Valid keys in order of their id, from behind ``cursor``."""
        return self._database.transaction(
            lambda conn: table.select_key_page(conn, after=cursor or "", limit=limit)
        )

    def revoke(self, key_id: str) -> None:
        """Revoke a key; on return no worker anywhere accepts it. Raises KeyNotFound."""
        is_revoked = self._database.transaction(
            lambda conn: table.revoke_key(conn, key_id), is_repeatable=False
        )
        if not is_revoked:
            raise KeyNotFound(f"there is no valid key '{key_id}'")
        time.sleep(LEASE_S)


def ensure_admin_key(conn: Connection, secret: str) -> None:
    """Make sure that ``secret`` is a valid admin key."""
    table.ensure_key(
        conn,
        key_id=new_key_id(),
        name="bootstrap admin",
        role=Role.ADMIN,
        secret_hash=hash_secret(secret),
    )


class Authenticate:
    """Finds the key behind a secret: in memory for a lease of LEASE_S seconds, else in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: dict[bytes, ApiKey] = {}
        self._valid_until = 0.0

    def refresh(self) -> None:
        """Read all valid keys and begin a new lease."""
        asked_at = time.monotonic()
        self._keys = self._database.transaction(table.select_valid_keys)
        self._valid_until = asked_at + LEASE_S

    def __call__(self, secret: str) -> ApiKey:
        """Raises Unauthenticated."""
        secret_hash = hash_secret(secret)
        if time.monotonic() < self._valid_until and (key := self._keys.get(secret_hash)):
            return key
        key = self._database.transaction(lambda conn: table.select_key_by_hash(conn, secret_hash))
        if key is None:
            raise Unauthenticated("this API key is unknown or revoked")
        return key
