"""The one polling loop: a probe, a deadline, a clock, and a way to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bootstrap.errors import DeadlineError, Interrupted
from bootstrap.ports import Clock

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """Wait for things of one run. ``stop`` ends every wait with Interrupted."""

    clock: Clock
    stop: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise Interrupted when the run is to stop."""
        if self.stop.is_set():
            raise Interrupted("the run was interrupted")

    def until(
        self,
        probe: Callable[[], T | None],
        *,
        what: str,
        timeout_s: float,
        interval_s: float,
        last_seen: Callable[[], str] = lambda: "",
    ) -> T:
        """Call ``probe`` until it returns something; DeadlineError says what was awaited."""
        deadline = self.clock.now() + timeout_s
        while True:
            self.check()
            found = probe()
            if found is not None:
                return found
            if self.clock.now() >= deadline:
                raise DeadlineError(
                    f"waited {timeout_s:.0f} s for {what}", evidence=last_seen() or "nothing seen"
                )
            self.clock.sleep(min(interval_s, max(0.0, deadline - self.clock.now())))
