"""Counts of the current window in this process's memory, as a storage for the library limits.

The library's own starts a timer thread to forget old counts, which cost as much as everything else in a request
(docs/adr/0006). Here a count is forgotten when it is next asked for, and all old ones when there are many.
"""

import time
from typing import Any

from limits.storage import Storage

MANY = 10_000


class WindowStorage(Storage):
    """Fixed windows only; each worker counts for itself."""

    STORAGE_SCHEME = ["window"]  # noqa: RUF012 - as in the base class

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **_: Any) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._counts: dict[str, tuple[int, float]] = {}

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """What can go wrong with the storage itself."""
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count ``amount`` more; a window of ``expiry`` seconds begins with its first count."""
        now = time.time()
        count, ends_at = self._counts.get(key, (0, 0.0))
        if ends_at <= now:
            self._forget_old(now)
            count, ends_at = 0, now + expiry
        self._counts[key] = (count + amount, ends_at)
        return count + amount

    def get(self, key: str) -> int:
        """The count of the current window."""
        count, ends_at = self._counts.get(key, (0, 0.0))
        return count if ends_at > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When the current window ends, in seconds since 1970."""
        return max(self._counts.get(key, (0, 0.0))[1], time.time())

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int:
        """Forget all counts; returns how many there were."""
        n, self._counts = len(self._counts), {}
        return n

    def clear(self, key: str) -> None:
        """Forget one count."""
        self._counts.pop(key, None)

    def _forget_old(self, now: float) -> None:
        if len(self._counts) >= MANY:
            self._counts = {k: v for k, v in self._counts.items() if v[1] > now}
