"""The two servers Bandstand is compared with: the bare ceiling and the peer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from processes import CHECKOUT, free_port, server
from wrk import Target

WORKERS = 2
EXPERIMENT = "benchmark"
PEER_DATABASE = "bandstand_benchmark_peer"
GUNICORN_CONFIG = CHECKOUT / "backend" / "gunicorn.conf.py"

PEER_TABLES = """
    CREATE TABLE arm (
        experiment text, key text, rewards bigint DEFAULT 0, reward_sum float8 DEFAULT 0,
        PRIMARY KEY (experiment, key)
    );
    CREATE TABLE decision (
        id uuid PRIMARY KEY, experiment text NOT NULL, unit text NOT NULL, arm text NOT NULL,
        propensity float8, decided_at timestamptz NOT NULL
    );
    CREATE TABLE reward (
        decision_id uuid PRIMARY KEY, value float8 NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now()
    );
    INSERT INTO arm (experiment, key)
    SELECT 'benchmark', unnest(ARRAY['control', 'red', 'green', 'blue']);
"""
ADD_DECISIONS = """
    INSERT INTO decision (id, experiment, unit, arm, decided_at)
    SELECT gen_random_uuid(), 'benchmark', 'before-' || n,
           (ARRAY['control', 'red', 'green', 'blue'])[1 + n %% 4], now()
    FROM generate_series(1, %(n_decisions)s) AS n
    RETURNING id
"""


@contextmanager
def ceiling(scratch: Path) -> Iterator[Target]:
    """The bare Flask endpoint, under the service's own gunicorn settings."""
    port = free_port()
    config = ["-c", str(GUNICORN_CONFIG)] if GUNICORN_CONFIG.exists() else ["-k", "gevent"]
    arguments = [*config, "--no-control-socket", "-w", str(WORKERS), "-b", f"127.0.0.1:{port}"]
    arguments.append("ceiling_flask:app")
    with server("gunicorn", arguments, port, scratch / "ceiling.log") as origin:
        yield Target(origin, EXPERIMENT)


@contextmanager
def peer(scratch: Path, database_url: str) -> Iterator[Target]:
    """FastAPI and asyncpg, on a database of its own in the same PostgreSQL server."""
    port = free_port()
    arguments = ["--workers", str(WORKERS), "--loop", "uvloop", "--http", "httptools"]
    arguments += ["--no-access-log", "--log-level", "warning"]
    arguments += ["--host", "127.0.0.1", "--port", str(port), "peer_fastapi:app"]
    with peer_database(database_url) as url:
        env = {"PEER_DATABASE_URL": url}
        with server("uvicorn", arguments, port, scratch / "peer.log", env) as origin:
            yield Target(origin, EXPERIMENT)


@contextmanager
def peer_database(database_url: str) -> Iterator[str]:
    """Create the peer's database beside Bandstand's; drop it when the block ends."""
    drop = f"DROP DATABASE IF EXISTS {PEER_DATABASE} WITH (FORCE)"
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(drop)
        admin.execute(f"CREATE DATABASE {PEER_DATABASE}")
        try:
            url = peer_url(database_url)
            with psycopg.connect(url) as connection:
                connection.execute(PEER_TABLES)
            yield url
        finally:
            admin.execute(drop)


def peer_url(database_url: str) -> str:
    """The address of the peer's database in the same server."""
    return urlunsplit(urlsplit(database_url)._replace(path=f"/{PEER_DATABASE}"))


def add_peer_decisions(database_url: str, n_decisions: int) -> list[str]:
    """Decisions made before the run, for the peer's rewards to belong to."""
    with psycopg.connect(peer_url(database_url)) as connection:
        rows = connection.execute(ADD_DECISIONS, {"n_decisions": n_decisions}).fetchall()
    return [str(row[0]) for row in rows]
