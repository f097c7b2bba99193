"""Run a request once for its Idempotency-Key: claim, work and kept answer in one transaction."""

from collections.abc import Callable
from typing import TypeVar

from backend.domain import Claim
from backend.store.database import Connection, Database
from backend.store.idempotency import claim_key, store_answer

T = TypeVar("T")


def idempotently(database: Database, claim: Claim | None, work: Callable[[Connection], T]) -> T:
    """What ``work`` gives, in a transaction of its own.

    Raises:
        Replay: the request was answered before; nothing was run.
        IdempotencyConflict: the Idempotency-Key was used for another request.
    """

    def claimed(conn: Connection) -> T:
        if claim is None:
            return work(conn)
        if replay := claim_key(conn, claim):
            raise replay
        result = work(conn)
        store_answer(conn, claim, *claim.render(result))
        return result

    return database.transaction(claimed, is_repeatable=claim is not None)
