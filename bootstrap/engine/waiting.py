"""The one polling loop: a probe, a deadline, a clock, and a way to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bootstrap.errors import DeadlineError, Interrupted
from bootstrap.ports import Clock

T = TypeVar("T")

FIRST_PAUSE_S = 0.25
PAUSE_GROWTH = 1.3
LONGEST_PAUSE_S = 5.0
GO_ON = "mend the cause, or allow more time; the same command goes on from here"


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
        last_seen: Callable[[], str] = lambda: "",
    ) -> T:
        """Call ``probe`` until it returns something; DeadlineError says what was awaited.

        The pause grows from a quarter of a second to five: what is quick is seen quickly, and what
        takes minutes costs one question in five seconds.
        """
        deadline = self.clock.now() + timeout_s
        pause = FIRST_PAUSE_S
        while True:
            self.check()
            found = probe()
            if found is not None:
                return found
            if self.clock.now() >= deadline:
                raise DeadlineError(
                    f"waited {timeout_s:.0f} s for {what}",
                    evidence=last_seen() or "nothing seen",
                    fix=GO_ON,
                )
            self.clock.sleep(min(pause, max(0.0, deadline - self.clock.now())))
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_S)
