"""Weekly partitions of the log. ``decision_id`` is a UUIDv7: its first 48 bits are the milliseconds of its time."""

from datetime import UTC, datetime, timedelta

from psycopg import sql

from backend.store.database import Connection

WEEKS_AHEAD = 6
LOCK_PARTITIONS = "SELECT pg_advisory_xact_lock(hashtext('bandstand.partitions'))"
SELECT_EXISTING = "SELECT to_regclass(%(name)s) IS NOT NULL AS exists"


def ensure_partitions(conn: Connection, now: datetime) -> list[str]:
    """Make sure that this week and the next ones have their own partitions; returns the names of new ones."""
    monday = _monday(now)
    weeks = [monday + timedelta(weeks=week) for week in range(WEEKS_AHEAD + 1)]
    missing = [week for week in weeks if not _exists(conn, _name("rewards", week))]
    if not missing:
        return []
    conn.execute(LOCK_PARTITIONS)
    return [name for week in missing for name in _create_week(conn, week)]


def _create_week(conn: Connection, week: datetime) -> list[str]:
    names = []
    for table in ("decisions", "rewards"):
        name = _name(table, week)
        conn.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} FOR VALUES FROM ({start}) TO ({end})"
            ).format(
                name=sql.Identifier(name),
                table=sql.Identifier(table),
                start=sql.Literal(first_uuid_at(week)),
                end=sql.Literal(first_uuid_at(week + timedelta(weeks=1))),
            )
        )
        names.append(name)
    return names


def first_uuid_at(at: datetime) -> str:
    """The lowest UUID with the time ``at`` in its first 48 bits."""
    digits = f"{int(at.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def _exists(conn: Connection, name: str) -> bool:
    row = conn.execute(SELECT_EXISTING, {"name": name}).fetchone()
    return bool(row and row["exists"])


def _name(table: str, week: datetime) -> str:
    year, number, _ = week.isocalendar()
    return f"{table}_{year}w{number:02d}"


def _monday(at: datetime) -> datetime:
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())
