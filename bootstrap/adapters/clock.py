"""The system's clock."""

from __future__ import annotations

import threading
import time


class SystemClock:
    """Wall-clock time; sleeping ends with an exception when a signal handler raises one."""

    def __init__(self) -> None:
        self._never = threading.Event()

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait; an Event's wait can be interrupted by a signal handler that raises."""
        self._never.wait(seconds)
