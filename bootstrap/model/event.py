"""What happened, as it happens; and what it adds up to."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from bootstrap.errors import ExitCode
from bootstrap.model.finding import Finding
from bootstrap.model.node import NodeName


class Phase(StrEnum):
    """The life of a joining node, in order. A kubelet registers with its approved certificate."""

    PLANNED = "planned"
    LAUNCHED = "launched"
    RUNNING = "running"
    REACHABLE = "reachable"
    TRUSTED = "trusted"
    PREPARED = "prepared"
    REBOOTED = "rebooted"
    RUNTIME_INSTALLED = "runtime-installed"
    BINARIES_VERIFIED = "binaries-verified"
    NETWORK_PREPARED = "network-prepared"
    CONFIGURED = "configured"
    CSR_APPROVED = "csr-approved"
    REGISTERED = "registered"
    CNI_READY = "cni-ready"
    PROXY_READY = "proxy-ready"
    IMAGES_PULLED = "images-pulled"
    VALIDATED = "validated"
    SCHEDULABLE = "schedulable"


class PhaseResult(StrEnum):
    """How a phase ended."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class NodeOutcome(StrEnum):
    """How a node ended."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    REPAIRED = "repaired"
    REPLACED = "replaced"
    REMOVED = "removed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted:
    """A node entered a phase. ``at`` is the clock's time in seconds."""

    node: NodeName
    phase: Phase
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFinished:
    """A node left a phase."""

    node: NodeName
    phase: Phase
    result: PhaseResult
    at: float
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutput:
    """A line worth showing while a phase runs; never holds a secret."""

    node: NodeName
    text: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentified:
    """An instance or Node object became known for a node."""

    node: NodeName
    at: float
    instance_id: str = ""
    private_ip: str = ""
    kube_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFinished:
    """A node's part of the run is over."""

    node: NodeName
    outcome: NodeOutcome
    ready: bool
    at: float
    error: Finding | None = None
    exit_code: ExitCode = ExitCode.OK


Event = PhaseStarted | PhaseFinished | StepOutput | NodeIdentified | NodeFinished


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRecord:
    """One phase of one node, for the report."""

    phase: Phase
    seconds: float
    result: PhaseResult


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResult:
    """What became of one node."""

    name: NodeName
    node_name: str
    instance_id: str
    private_ip: str
    pool: str
    phase: Phase
    ready: bool
    outcome: NodeOutcome
    seconds: float
    phases: tuple[PhaseRecord, ...]
    error: Finding | None = None
    exit_code: ExitCode = ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What became of a run. Times are RFC 3339, UTC."""

    run_id: str
    command: str
    started_at: str
    finished_at: str
    exit_code: ExitCode
    nodes: tuple[NodeResult, ...]
    findings: tuple[Finding, ...] = ()


def summarise(
    events: Iterable[Event], *, node: NodeName, pool: str, unchanged: bool = False
) -> NodeResult:
    """Add up what happened to one node; a node without an end was interrupted."""
    phases: list[PhaseRecord] = []
    identity = {"instance_id": "", "private_ip": "", "kube_name": ""}
    finished: NodeFinished | None = None
    times: list[float] = []
    for event in events:
        if event.node != node:
            continue
        times.append(event.at)
        match event:
            case PhaseFinished(phase=phase, seconds=seconds, result=result):
                phases.append(PhaseRecord(phase=phase, seconds=seconds, result=result))
            case NodeIdentified():
                for key in identity:
                    identity[key] = getattr(event, key) or identity[key]
            case NodeFinished():
                finished = event
            case _:
                pass
    fallback = NodeOutcome.UNCHANGED if unchanged else NodeOutcome.FAILED
    done = [record.phase for record in phases if record.result is not PhaseResult.FAILED]
    return NodeResult(
        name=node,
        node_name=identity["kube_name"],
        instance_id=identity["instance_id"],
        private_ip=identity["private_ip"],
        pool=pool,
        phase=done[-1] if done else Phase.PLANNED,
        ready=finished.ready if finished else False,
        outcome=finished.outcome if finished else fallback,
        seconds=max(times) - min(times) if times else 0.0,
        phases=tuple(phases),
        error=finished.error if finished else None,
        exit_code=finished.exit_code if finished else ExitCode.OK,
    )


def overall(nodes: Collection[NodeResult]) -> ExitCode:
    """Return a run's exit code: the nodes' own where all failed alike, 4 where only some did."""
    failed = {item.exit_code for item in nodes if item.outcome is NodeOutcome.FAILED}
    if not failed:
        return ExitCode.OK
    all_failed = all(item.outcome is NodeOutcome.FAILED for item in nodes)
    return failed.pop() if all_failed and len(failed) == 1 else ExitCode.PARTIAL
