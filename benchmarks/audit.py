"""What the database says after the load: was everything that was answered kept?"""

import os
import subprocess
import sys
from dataclasses import dataclass

import psycopg
from processes import CHECKOUT

COUNT_DECISIONS = "SELECT count(*) FROM decisions"
COUNT_REWARDS = "SELECT count(*) FROM rewards"
SERVER_SETTINGS = """
    SELECT string_agg(name || '=' || setting, ', ' ORDER BY name)
    FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'server_version', 'synchronous_commit')
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """How many rows the log has."""

    decisions: int
    rewards: int


def stored(database_url: str) -> Stored:
    """Count the log."""
    with psycopg.connect(database_url) as connection:
        return Stored(_value(connection, COUNT_DECISIONS), _value(connection, COUNT_REWARDS))


def server_settings(database_url: str) -> str:
    """The server's version and the settings that decide how durable a commit is."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(SERVER_SETTINGS).fetchone()
    assert row is not None
    return str(row[0])


def _value(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


def statistics_agree(database_url: str) -> tuple[bool, str]:
    """Whether the statistics equal those recomputed from the raw log, and what the check said."""
    finished = subprocess.run(
        [sys.executable, "-m", "backend.rebuild_statistics", "--check"],
        cwd=CHECKOUT,
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.returncode == 0, (finished.stdout + finished.stderr).strip()
