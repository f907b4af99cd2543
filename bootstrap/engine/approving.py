"""Approve the certificate requests of the nodes that are joining, while their playbook runs."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field

from bootstrap.engine.reporting import NodeReport
from bootstrap.engine.waiting import Waiter
from bootstrap.errors import BootstrapError, ConflictError, Interrupted
from bootstrap.model.event import Phase, PhaseResult
from bootstrap.model.evidence import Approvals
from bootstrap.model.node import KubeNodeName, NodeName
from bootstrap.planning import csr
from bootstrap.ports import ClusterApi

POLL_S = 0.5
REASON = "WindowsNodeLaunchedByBootstrap"


@dataclass(slots=True, kw_only=True)
class Expected:
    """A node whose request is awaited."""

    joining: csr.JoiningNode
    report: NodeReport


@dataclass(slots=True, kw_only=True)
class Approver:
    """Poll requests and Nodes for all joining nodes together, in a thread of its own."""

    api: ClusterApi
    waiter: Waiter
    expected: dict[KubeNodeName, Expected]
    refusals: dict[NodeName, str] = field(default_factory=dict)
    errors: dict[NodeName, str] = field(default_factory=dict)
    registered: set[NodeName] = field(default_factory=set)
    _done: threading.Event = field(default_factory=threading.Event)
    _looking: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Approver:
        self._thread = threading.Thread(target=self._loop, name="approver", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def approvals(self, node: NodeName) -> Approvals:
        """Tell what came of a node's request so far."""
        return Approvals(
            refusal=self.refusals.get(node, ""),
            error=self.errors.get(node, ""),
            registered=node in self.registered,
        )

    def look(self) -> None:
        """Look once more, out of turn; what goes wrong is told by the next look."""
        with contextlib.suppress(BootstrapError):
            self.step()

    def _loop(self) -> None:
        while not self._done.is_set() and not self.waiter.stop.is_set():
            try:
                self.step()
                self.waiter.clock.sleep(POLL_S)
            except Interrupted:
                return
            except BootstrapError as error:
                # The API server may be away for a while; the next look says whether it is back.
                for item in self.expected.values():
                    item.report.say(f"certificate requests: {error.message}")
                self._done.wait(POLL_S * 10)

    def step(self) -> None:
        """Look once: approve what may be, note who has registered."""
        with self._looking:
            self._step()

    def _step(self) -> None:
        waiting = [item.joining for item in self.expected.values()]
        requests = self.api.certificate_requests()
        nodes = self.api.nodes()
        for decision in csr.decide(requests, joining=waiting, nodes=nodes):
            if decision.verdict is csr.Verdict.APPROVE:
                self._approve(decision)
            elif decision.verdict is csr.Verdict.REFUSE:
                self._refuse(decision)
        for node in nodes:
            if found := self.expected.get(node.name):
                found.report.end(Phase.CSR_APPROVED, PhaseResult.SKIPPED)
                found.report.start(Phase.REGISTERED)
                found.report.end(Phase.REGISTERED)
                self.registered.add(found.joining.node)

    def _approve(self, decision: csr.Decision) -> None:
        report = self._report(decision)
        report.start(Phase.CSR_APPROVED)
        try:
            self.api.approve(decision.request, reason=REASON, message=decision.reason)
        except ConflictError:
            return  # It is read afresh in the next look.
        except BootstrapError as error:
            self.errors[decision.node] = f"{error.message}; {error.evidence}".strip("; ")
            raise
        self.errors.pop(decision.node, None)
        report.end(Phase.CSR_APPROVED)
        report.start(Phase.REGISTERED)
        self.refusals.pop(decision.node, None)

    def _refuse(self, decision: csr.Decision) -> None:
        text = f"certificate request {decision.request.name} is not approved: {decision.reason}"
        if self.refusals.get(decision.node) != text:
            self.refusals[decision.node] = text
            self._report(decision).say(text)

    def _report(self, decision: csr.Decision) -> NodeReport:
        return next(
            item.report for item in self.expected.values() if item.joining.node == decision.node
        )
