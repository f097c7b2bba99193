"""Bring the database to this version of the service: ``python -m backend.migrate``.

Forward only, safe to run again and from several machines at once. Also makes sure of the admin key in
``BANDSTAND_ADMIN_KEY`` and of the log's partitions.
"""

import sys

from backend.domain import utc_now
from backend.errors import BanditError
from backend.resilience import Guard
from backend.service.manage_keys import ensure_admin_key
from backend.settings import Settings
from backend.store.database import Connection, Database
from backend.store.partitions import ensure_partitions
from backend.store.schema import apply_migrations


def migrate(settings: Settings) -> list[str]:
    """Apply what is missing; returns the names of the migrations applied now."""
    applied = apply_migrations(settings.database_url)
    database = Database(settings, Guard())
    database.open()
    try:
        database.transaction(lambda conn: _prepare(conn, settings.admin_key))
    finally:
        database.close()
    return applied


def _prepare(conn: Connection, admin_key: str | None) -> None:
    ensure_partitions(conn, utc_now())
    if admin_key is not None:
        ensure_admin_key(conn, admin_key)


def main() -> int:
    """Run as a command; 0 when the database is up to date, 1 with one line on stderr when it is not."""
    try:
        applied = migrate(Settings.from_environment())
    except BanditError as exc:
        sys.stderr.write(f"migrate: {exc}\n")
        return 1
    sys.stdout.write(f"migrate: applied {', '.join(applied) or 'nothing, all up to date'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
