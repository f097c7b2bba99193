"""Retry and circuit breaker around calls to the store: the one place where either is configured."""

from collections.abc import Callable
from typing import TypeVar

import pybreaker
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from backend.errors import StoreCircuitOpen, StoreConflict, StoreUnavailable

FAILURES_TO_OPEN = 5
OPEN_S = 2.0
ATTEMPTS = 3

T = TypeVar("T")


class Guard:
    """Retries a whole transaction when the store is away, and stops calling a store that keeps failing.

    Only outages count as failures: neither errors of the caller nor transactions that lost to another one trip the
    breaker. Each attempt counts.
    """

    def __init__(self) -> None:
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=FAILURES_TO_OPEN,
            reset_timeout=OPEN_S,
            exclude=[lambda exc: not _is_outage(exc)],
        )
        self._retrying = Retrying(
            retry=retry_if_exception(_is_worth_retrying),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(0.05, max=0.4),
            reraise=True,
        )

    @property
    def is_open(self) -> bool:
        """Whether calls are refused at the moment."""
        return bool(self._breaker.current_state == pybreaker.STATE_OPEN)

    def call(self, work: Callable[[], T]) -> T:
        """Run ``work``, which must be a whole transaction that is safe to run again.

        Raises:
            StoreUnavailable: after the last attempt.
            StoreCircuitOpen: the breaker is open; nothing was tried.
        """
        result: T = self._retrying(self._attempt, work)
        return result

    def call_once(self, work: Callable[[], T]) -> T:
        """Run ``work``, which may not be safe to run again, once. Raises like ``call``."""
        return self._attempt(work)

    def _attempt(self, work: Callable[[], T]) -> T:
        try:
            with self._breaker.calling():  # .call() would hold the breaker's lock during the query
                return work()
        except pybreaker.CircuitBreakerError as exc:
            raise StoreCircuitOpen("calls to the database are paused for a moment") from exc


def _is_outage(exc: BaseException) -> bool:
    return isinstance(exc, StoreUnavailable) and not isinstance(exc, StoreConflict)


def _is_worth_retrying(exc: BaseException) -> bool:
    return isinstance(exc, StoreUnavailable) and not isinstance(exc, StoreCircuitOpen)
