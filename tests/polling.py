"""Waiting for what happens in the background, no longer than needed and never for ever."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], timeout_s: float = 5.0) -> T:
    """The first true value that ``look`` gives; fails when there is none in time."""
    give_up_at = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < give_up_at, f"still {found!r} after {timeout_s} s"
        time.sleep(0.01)
