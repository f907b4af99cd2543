"""Gather evidence after a failure and let ``planning.diagnosis`` name the cause.

Whatever cannot be read is left out: a diagnosis never makes a failure worse, nor hides it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bootstrap.errors import BootstrapError, Interrupted, RefusedError, RemoteError
from bootstrap.model.cluster import ClusterFacts
from bootstrap.model.evidence import Approvals, Diagnosis, JoinEvidence
from bootstrap.model.host import HostTarget
from bootstrap.model.node import KubeNodeName, NodeName, ObservedInstance
from bootstrap.model.node_state import NodeState
from bootstrap.planning import diagnosis, host_rules, node_state
from bootstrap.ports import Clock, ClusterApi, RemoteShell

T = TypeVar("T")

TAIL_LINES = 60
EXPLAINED_CODES = ("WN0401", "WN0502", "WN0601", "WN0701")
"""Failures of scripts that waited for something; the others say themselves what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The node that failed; ``target`` is None where nobody could log in."""

    node: NodeName
    kube_name: KubeNodeName
    instance: ObservedInstance
    target: HostTarget | None
    approvals: Approvals = Approvals()


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnoser:
    """Explain failures of joins. ``state_script`` is the text of Get-NodeState.ps1."""

    api: ClusterApi
    shell: RemoteShell
    clock: Clock
    facts: ClusterFacts
    state_script: str

    def explain(self, error: BootstrapError, subject: Subject) -> BootstrapError:
        """Return an error that names the cause, or the one given when none is found."""
        if isinstance(error, Interrupted):
            return error
        found = diagnosis.diagnose(self._evidence(subject))
        return error if found is None else _error(found, subject.node, error)

    def look(self, subject: Subject) -> None:
        """Look at a node that seems well; RefusedError for what would make it fail later."""
        found = host_rules.look(self._evidence(subject), host_rules.BLOCKING)
        if found is not None:
            raise RefusedError(
                found.message,
                name=found.name,
                target=subject.node,
                evidence=found.evidence,
                fix=found.fix,
                command=found.command,
            )

    def _evidence(self, subject: Subject) -> JoinEvidence:
        requests = _read(self.api.certificate_requests)
        nodes = _read(self.api.nodes)
        events = _read(lambda: self.api.node_events(subject.kube_name))
        state = _read(lambda: self._state(subject.target)) if subject.target else None
        return JoinEvidence(
            node=subject.node,
            kube_name=subject.kube_name,
            launched_at=subject.instance.launched_at,
            pod_cidr=self.facts.network.pod_cidr,
            now=self.clock.now(),
            approvals=subject.approvals,
            requests=requests or (),
            kube_node=next((n for n in nodes or () if n.name == subject.kube_name), None),
            has_looked=nodes is not None,
            events=events or (),
            state=state,
        )

    def _state(self, target: HostTarget | None) -> NodeState:
        assert target is not None  # asked only where there is one
        request = node_state.request(tail_lines=TAIL_LINES)
        return node_state.parse(self.shell.run_script(target, self.state_script, request))


def is_explained(message: str) -> bool:
    """Tell whether a script's failure has a cause beyond what it says."""
    return message.startswith(EXPLAINED_CODES)


def _read(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except Interrupted:
        raise
    except BootstrapError:
        return None


def _error(found: Diagnosis, node: NodeName, seen: BootstrapError) -> BootstrapError:
    return RemoteError(
        found.message,
        name=found.name,
        target=node,
        evidence=f"{found.evidence}\nseen as: {seen.message}"[:2000],
        fix=found.fix,
        command=found.command,
    )
