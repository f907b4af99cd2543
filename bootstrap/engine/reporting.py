"""What a node's threads tell the consumer: phases begin and end, things are known, it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bootstrap.errors import BootstrapError, Interrupted
from bootstrap.model.event import (
    Event,
    NodeFinished,
    NodeIdentified,
    NodeOutcome,
    Phase,
    PhaseFinished,
    PhaseResult,
    PhaseStarted,
    StepOutput,
)
from bootstrap.model.finding import Finding, Level
from bootstrap.model.node import NodeName
from bootstrap.ports import Clock


class NodeReport:
    """The events of one node, from any thread; a phase that has ended is not reported again."""

    def __init__(self, node: NodeName, clock: Clock, emit: Callable[[Event], None]) -> None:
        self.node = node
        self._clock = clock
        self._emit = emit
        self._started: dict[Phase, float] = {}
        self._ended: set[Phase] = set()
        self._lock = threading.RLock()

    def start(self, phase: Phase) -> None:
        """Enter a phase, unless it was entered before."""
        with self._lock:
            if phase in self._started:
                return
            self._started[phase] = self._clock.now()
            self._emit(PhaseStarted(node=self.node, phase=phase, at=self._started[phase]))

    def end(self, phase: Phase, result: PhaseResult = PhaseResult.DONE, detail: str = "") -> None:
        """Leave a phase, unless it was left before."""
        with self._lock:
            if phase in self._ended:
                return
            self._ended.add(phase)
            now = self._clock.now()
            self._emit(
                PhaseFinished(
                    node=self.node,
                    phase=phase,
                    result=result,
                    at=now,
                    seconds=now - self._started.get(phase, now),
                    detail=detail,
                )
            )

    def fail_open_phases(self) -> None:
        """Mark what was begun and not ended as failed."""
        with self._lock:
            for phase in [item for item in self._started if item not in self._ended]:
                self.end(phase, PhaseResult.FAILED)

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Report a phase around a block."""
        self.start(phase)
        try:
            yield
        except BaseException:
            self.end(phase, PhaseResult.FAILED)
            raise
        self.end(phase)

    def identified(
        self, *, instance_id: str = "", private_ip: str = "", kube_name: str = ""
    ) -> None:
        """Tell that an instance or Node object is known."""
        self._emit(
            NodeIdentified(
                node=self.node,
                at=self._clock.now(),
                instance_id=instance_id,
                private_ip=private_ip,
                kube_name=kube_name,
            )
        )

    def say(self, text: str) -> None:
        """Show a line."""
        self._emit(StepOutput(node=self.node, text=text, at=self._clock.now()))

    def succeeded(self, outcome: NodeOutcome) -> None:
        """Tell that the node is proven."""
        self._emit(NodeFinished(node=self.node, outcome=outcome, ready=True, at=self._clock.now()))

    def failed(self, error: BootstrapError) -> None:
        """Tell that the node did not make it, and why; an interrupted node has no end."""
        self.fail_open_phases()
        if isinstance(error, Interrupted):
            return
        self._emit(
            NodeFinished(
                node=self.node,
                outcome=NodeOutcome.FAILED,
                ready=False,
                at=self._clock.now(),
                error=finding_of(error, self.node),
                exit_code=error.exit_code,
            )
        )


def finding_of(error: BootstrapError, node: NodeName) -> Finding:
    """Turn an error into the finding that reports carry."""
    evidence: dict[str, object] = {"text": error.evidence} if error.evidence else {}
    if error.target and error.target != node:
        evidence["target"] = error.target
    return Finding(
        level=Level.ERROR,
        name=error.name or type(error).__name__,
        target=node,
        message=error.message,
        evidence=evidence,
        fix=error.fix or None,
        command=error.command or None,
    )
