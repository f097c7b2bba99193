"""Retry around the breaker: what is tried again, what trips it, and what an open breaker does."""

import pytest
from tenacity import wait_none

from backend import resilience
from backend.errors import StoreCircuitOpen, StoreConflict, StoreUnavailable, WrongState
from backend.resilience import ATTEMPTS, FAILURES_TO_OPEN, Guard


class Work:
    """Raises ``failures`` one by one, then succeeds; counts how often it ran."""

    def __init__(self, *failures: Exception) -> None:
        self.n_runs = 0
        self._failures = list(failures)

    def __call__(self) -> str:
        self.n_runs += 1
        if self._failures:
            raise self._failures.pop(0)
        return "done"


@pytest.fixture
def guard(monkeypatch) -> Guard:
    """Without the waits between attempts."""
    monkeypatch.setattr(resilience, "wait_random_exponential", lambda *_, **__: wait_none())
    return Guard()


def away(n):
    return [StoreUnavailable("away") for _ in range(n)]


def trip(guard):
    """Fail until the breaker opens: three attempts, then two more of the next call."""
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            guard.call(Work(*away(ATTEMPTS)))


def test_a_store_that_comes_back_is_not_noticed(guard):
    """Two failures and a success are three attempts, and one answer."""
    work = Work(*away(2))

    assert guard.call(work) == "done"
    assert work.n_runs == 3


def test_gives_up_after_the_last_attempt(guard):
    """Three attempts; the caller gets the store's own error."""
    work = Work(*away(ATTEMPTS))

    with pytest.raises(StoreUnavailable, match="away"):
        guard.call(work)

    assert work.n_runs == ATTEMPTS


def test_opens_after_five_failures(guard):
    """Each attempt counts: 3 of the first call and 2 of the second; the third attempt of that is not made."""
    first, second = Work(*away(ATTEMPTS)), Work(*away(ATTEMPTS))
    with pytest.raises(StoreUnavailable):
        guard.call(first)
    assert not guard.is_open

    with pytest.raises(StoreCircuitOpen):
        guard.call(second)

    assert guard.is_open
    assert first.n_runs + second.n_runs == FAILURES_TO_OPEN == 5


def test_transactions_that_lose_to_another_are_tried_again_and_never_trip_it(guard):
    """Ten deadlocks in a row, two a call, are twice what would open the breaker for an outage."""
    for _ in range(FAILURES_TO_OPEN):
        assert guard.call(Work(*(StoreConflict("deadlock") for _ in range(2)))) == "done"

    assert not guard.is_open


def test_an_open_breaker_stops_at_once(guard):
    """Nothing is run, and nothing is tried again."""
    trip(guard)
    work = Work()

    with pytest.raises(StoreCircuitOpen):
        guard.call(work)

    assert work.n_runs == 0


def test_errors_of_the_caller_never_trip_it(guard):
    """Fifty business errors: each is raised after one attempt, and the breaker stays closed."""
    for _ in range(50):
        work = Work(WrongState("draft"))
        with pytest.raises(WrongState):
            guard.call(work)
        assert work.n_runs == 1

    assert not guard.is_open


def test_a_programming_error_is_not_tried_again(guard):
    """Only a store that is away is worth another attempt."""
    work = Work(ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        guard.call(work)

    assert work.n_runs == 1


def test_closes_again_when_the_store_is_back(monkeypatch):
    """After OPEN_S (here: at once) one call is let through; its success closes the breaker."""
    monkeypatch.setattr(resilience, "wait_random_exponential", lambda *_, **__: wait_none())
    monkeypatch.setattr(resilience, "OPEN_S", 0.0)
    guard = Guard()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            guard.call(Work(*away(ATTEMPTS)))

    assert guard.call(Work()) == "done"
    assert not guard.is_open


def test_a_success_forgets_the_failures_before(guard):
    """Two failures, a success, and two more: four in all, never five in a row."""
    guard.call(Work(*away(2)))
    guard.call(Work(*away(2)))
    guard.call(Work(*away(2)))

    assert not guard.is_open
