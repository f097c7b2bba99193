"""The group-commit writer: one per worker process. What all its requests wait to store is committed together.

While one batch is being committed the next one gathers, so load raises the size of a batch and not the number of
commits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

import structlog

from backend.domain import Claim
from backend.errors import BanditError, StoreUnavailable

MAX_ROWS = 5000
"""Most rows in one transaction, unless a single request has more."""

log = structlog.get_logger(__name__)


class Item(Protocol):
    """What one request wants stored: all of it or nothing."""

    @property
    def n_rows(self) -> int:
        """How many rows it brings."""
        ...

    @property
    def claim(self) -> Claim | None:
        """Its Idempotency-Key, if it has one."""
        ...


ItemT = TypeVar("ItemT", bound=Item)
ResultT = TypeVar("ResultT")


class _Ticket(Generic[ItemT, ResultT]):
    """An item in the queue, and the latch its request waits at."""

    __slots__ = ("done", "is_abandoned", "item", "result")

    def __init__(self, item: ItemT) -> None:
        self.item = item
        self.is_abandoned = False
        self.result: ResultT | Exception | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def finish(self, result: ResultT | Exception) -> None:
        self.result = result
        self.done.release()


class GroupCommitWriter(Generic[ItemT, ResultT]):
    """Gathers items from all threads and hands them to ``commit``, a batch at a time.

    Args:
        commit: stores a batch in one transaction and returns one result an item, in order; an Exception as a result
            is raised in the request it belongs to.
        timeout_s: longest wait of a request.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[ItemT]], Sequence[ResultT | Exception]],
        timeout_s: float,
    ) -> None:
        self._commit = commit
        self._timeout_s = timeout_s
        self._queue: SimpleQueue[_Ticket[ItemT, ResultT] | None] = SimpleQueue()
        self._held: list[_Ticket[ItemT, ResultT]] = []
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin committing."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Commit what is queued, then end."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def submit(self, item: ItemT) -> ResultT:
        """Store ``item`` and return its result once it is durable.

        Raises:
            StoreUnavailable: it was not confirmed in time. It is stored only if its commit was under way.
            BanditError: whatever ``commit`` answered for this item.
        """
        ticket: _Ticket[ItemT, ResultT] = _Ticket(item)
        self._queue.put(ticket)
        if not ticket.done.acquire(timeout=self._timeout_s):
            ticket.is_abandoned = True
            raise StoreUnavailable("the database did not confirm in time")
        if isinstance(ticket.result, Exception):
            raise ticket.result
        return ticket.result  # type: ignore[return-value] # set before the latch opens

    def _run(self) -> None:
        while (batch := self._gather()) is not None:
            for ticket, result in zip(batch, self._results(batch), strict=True):
                ticket.finish(result)

    def _gather(self) -> list[_Ticket[ItemT, ResultT]] | None:
        """Wait for the next batch; None when the writer was stopped and nothing is left."""
        batch: list[_Ticket[ItemT, ResultT]] = []
        waiting, self._held = self._held, []
        claims: set[tuple[str, str]] = set()
        n_rows = 0
        while n_rows < MAX_ROWS:
            try:
                ticket = waiting.pop(0) if waiting else self._queue.get(block=not batch)
            except Empty:
                break
            if ticket is None:
                self._queue.put(None)  # found again when the rest is done
                return batch or None
            if ticket.is_abandoned:
                continue
            if _is_twin(ticket.item, claims):
                self._held.append(ticket)
            else:
                batch.append(ticket)
                n_rows += ticket.item.n_rows
        self._held = self._held + waiting
        return batch

    def _results(self, batch: Sequence[_Ticket[ItemT, ResultT]]) -> Sequence[ResultT | Exception]:
        try:
            return self._commit([ticket.item for ticket in batch])
        except BanditError as exc:
            return [exc] * len(batch)
        except Exception as exc:
            if len(batch) == 1:
                log.exception("an item could not be stored")
                return [exc]
            return [result for ticket in batch for result in self._results([ticket])]


def _is_twin(item: Item, claims: set[tuple[str, str]]) -> bool:
    """Whether the batch has an item under the same Idempotency-Key already: its answer must be known first."""
    if item.claim is None:
        return False
    identity = (item.claim.key_id, item.claim.idempotency_key)
    if identity in claims:
        return True
    claims.add(identity)
    return False
