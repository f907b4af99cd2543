"""Time that only passes when somebody waits for it."""

from __future__ import annotations

import threading

# Threads of the engine wait in turns; without a moment of real time one of them would take all.
_MOMENT_S = 0.0005


class FakeClock:
    """Implements ``ports.Clock``; ``slept`` has every wait, ``now`` starts at noon of a day."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()
        self._moment = threading.Event()
        self.slept: list[float] = []

    def now(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            self.slept.append(seconds)
        self._moment.wait(_MOMENT_S)

    def pass_time(self, seconds: float) -> None:
        """Let time pass without anybody waiting."""
        with self._lock:
            self._now += seconds
