"""The connection to PostgreSQL: a pool, behind retry and breaker, one transaction a call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar

import orjson
import psycopg
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled, SerializationFailure
from psycopg.rows import dict_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import ConnectionPool, PoolTimeout

from backend.errors import StoreConflict, StoreTooSlow, StoreUnavailable
from backend.resilience import Guard
from backend.settings import Settings

Row = dict[str, Any]
Connection = psycopg.Connection[Row]
T = TypeVar("T")

CONNECT_TIMEOUT_S = 3

set_json_dumps(orjson.dumps)
set_json_loads(orjson.loads)


class Database:
    """Runs transactions. Make one per process, after fork."""

    def __init__(
        self, settings: Settings, guard: Guard, statement_timeout_s: float | None = None
    ) -> None:
        self._guard = guard
        milliseconds = int((statement_timeout_s or settings.store_timeout_s) * 1000)
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            settings.database_url,
            connection_class=psycopg.Connection[Row],
            min_size=2,
            max_size=max(2, settings.pool_size),
            timeout=settings.store_timeout_s,
            open=False,
            name="bandstand",
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": "bandstand",
                "tcp_user_timeout": int(settings.store_timeout_s * 1000),
                "options": f"-c statement_timeout={milliseconds} -c timezone=UTC"
                f" -c idle_in_transaction_session_timeout={milliseconds * 2}",
            },
        )

    def open(self) -> None:
        """Start connecting in the background; calls wait for a connection, up to the timeout."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def transaction(self, work: Callable[[Connection], T], *, is_repeatable: bool = True) -> T:
        """Run ``work`` in one transaction: committed when it returns, rolled back when it raises.

        ``is_repeatable``: it is safe to run ``work`` again when it is not known whether it was committed. If not, it
        is tried once.

        Raises:
            StoreUnavailable: PostgreSQL is away, or did not answer in time.
            StoreTooSlow: a query ran into its time limit.
        """
        call = self._guard.call if is_repeatable else self._guard.call_once
        return call(lambda: self._attempt(work))

    def _attempt(self, work: Callable[[Connection], T]) -> T:
        with _translated(), self._pool.connection() as conn, conn.transaction():
            return work(conn)

    def statement(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which executes a single statement: a transaction of its own, without BEGIN and COMMIT."""
        return self._guard.call(lambda: self._statement_once(work))

    def _statement_once(self, work: Callable[[Connection], T]) -> T:
        with _translated(), self._pool.connection() as conn:
            return work(conn)

    def fetch(self, query: LiteralString, params: Row | None = None) -> list[Row]:
        """All rows of one reading statement."""
        return self.statement(lambda conn: conn.execute(query, params).fetchall())

    @contextmanager
    def stream(
        self, query: LiteralString, params: Row, size: int = 1000
    ) -> Iterator[Iterator[Row]]:
        """Rows of a long result, read ``size`` at a time by a server-side cursor."""
        with _translated(), self._pool.connection() as conn, conn.transaction():
            conn.execute("SET LOCAL statement_timeout = 0")
            conn.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # a reader may pause
            with conn.cursor(name="stream") as cursor:
                cursor.itersize = size
                cursor.execute(query, params)
                yield iter(cursor)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's connection errors into ours."""
    try:
        yield
    except (QueryCanceled, LockNotAvailable) as exc:
        raise StoreTooSlow("the database took too long for this") from exc
    except (DeadlockDetected, SerializationFailure) as exc:
        raise StoreConflict("the database put another transaction first") from exc
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as exc:
        raise StoreUnavailable("the database did not answer") from exc
