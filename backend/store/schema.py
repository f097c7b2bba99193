"""The schema: its history in ``migrations/`` as numbered SQL files, applied by yoyo under an advisory lock."""

from pathlib import Path

import psycopg
import yoyo

from backend.errors import StoreUnavailable

FOLDER = Path(__file__).parent / "migrations"
LOCK = "SELECT pg_advisory_lock(hashtext('bandstand.migrations'))"


def apply_migrations(database_url: str) -> list[str]:
    """Apply all migrations that are missing, one transaction each; returns their names.

    A second process waits for the first one to finish, then finds nothing to do.

    Raises:
        StoreUnavailable: the database cannot be reached, or a migration failed (it is rolled back).
    """
    try:
        with psycopg.connect(database_url, autocommit=True, connect_timeout=5) as conn:
            conn.execute(LOCK)  # held until this connection closes
            return _apply(database_url)
    except psycopg.OperationalError as exc:
        raise StoreUnavailable(f"the database cannot be reached: {exc}") from exc


def _apply(database_url: str) -> list[str]:
    _, address = database_url.split("://", 1)
    backend = yoyo.get_backend(f"postgresql+psycopg://{address}")
    try:
        missing = backend.to_apply(yoyo.read_migrations(str(FOLDER)))
        names = [migration.id for migration in missing]
        backend.apply_migrations(missing)
    finally:
        backend.connection.close()
    return names
