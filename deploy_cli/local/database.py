"""The two questions this tool asks a database itself; all else is the backend's."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
from psycopg import sql

TIMEOUT_S = 5


def complaint(database_url: str) -> str | None:
    """Why the database does not answer; None if it does. Never holds the password."""
    try:
        psycopg.connect(database_url, connect_timeout=TIMEOUT_S).close()
    except psycopg.Error as error:
        return str(error).strip() or type(error).__name__
    return None


def ensure_database(server_url: str, name: str) -> None:
    """Create database ``name`` on the server unless it is there."""
    with psycopg.connect(server_url, connect_timeout=TIMEOUT_S, autocommit=True) as conn:
        found = conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if found is None:
            conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def place(database_url: str) -> str:
    """Host, port and name of the database, without user and password."""
    parts = urlsplit(database_url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
