"""Counting requests in this process's memory."""

import pytest
from limits import parse
from limits.strategies import FixedWindowRateLimiter

from backend.http import window_storage
from backend.http.window_storage import MANY, WindowStorage


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(window_storage, "time", found)
    return found


@pytest.fixture
def storage(clock):
    return WindowStorage()


def test_counts_up_inside_a_window(storage):
    """1, 2, then 5 more."""
    assert [storage.incr("a", 60), storage.incr("a", 60), storage.incr("a", 60, 5)] == [1, 2, 7]
    assert storage.get("a") == 7


def test_a_window_ends(storage, clock):
    """It began at 1000 with its first count and lasts 60 s, however often it was counted since."""
    storage.incr("a", 60)
    clock.now = 1059.0
    storage.incr("a", 60)
    assert storage.get_expiry("a") == 1060.0

    clock.now = 1060.0

    assert storage.get("a") == 0
    assert storage.incr("a", 60) == 1
    assert storage.get_expiry("a") == 1120.0


def test_callers_are_counted_apart(storage):
    """One caller's limit is nobody else's."""
    storage.incr("a", 60)

    assert storage.get("b") == 0


def test_can_forget(storage):
    """One count, or all; resetting says how many there were."""
    for name in ("a", "b", "c"):
        storage.incr(name, 60)

    storage.clear("a")

    assert storage.get("a") == 0
    assert storage.reset() == 2
    assert storage.get("b") == 0
    assert storage.check()


def test_old_counts_do_not_pile_up(storage, clock):
    """MANY callers who never come back are forgotten when a window begins after theirs ended."""
    for i in range(MANY):
        storage.incr(f"a{i}", 60)
    clock.now += 60.0

    storage.incr("new", 60)

    assert list(storage._counts) == ["new"]


def test_serves_the_library(storage):
    """Two a minute: the third is refused."""
    limiter, limit = FixedWindowRateLimiter(storage), parse("2/minute")

    assert [limiter.hit(limit, "a") for _ in range(3)] == [True, True, False]
