"""Ending between two batches, so that nobody is decided and not rewarded."""

from __future__ import annotations

import signal
from types import FrameType


class StopSignal:
    """Remembers a first SIGTERM or SIGINT (Ctrl-C); a second one interrupts at once."""

    def __init__(self) -> None:
        self.received: int | None = None

    def listen(self) -> None:
        """Take the two signals over for the rest of this process."""
        signal.signal(signal.SIGTERM, self._receive)
        signal.signal(signal.SIGINT, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
