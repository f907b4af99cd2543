"""What is plainly wrong on a node, judged from its state alone. Pure.

Only what is wrong on every node of ours, whatever was wished for it: differences to the wish are
drift, which is another question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bootstrap.model.finding import Finding, Level
from bootstrap.model.node_state import NodeState
from bootstrap.planning.flannel import WINDOWS_VNI

METADATA = "169.254.169.254/32"
LEAST_FREE = 0.1
"""The kubelet evicts pods of Windows nodes when less of the drive than this is free."""
_NEEDED = ("kubelet", "flanneld", "kube-proxy")
_RUNTIMES = ("containerd", "docker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """One thing that is wrong, without its name."""

    message: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SymptomRule:
    """A judgement with its name and what it means that there is no finding."""

    name: str
    meaning: str
    function: Callable[[NodeState, str], Iterator[Symptom]]


def service_running(state: NodeState, now: str) -> Iterator[Symptom]:
    """Yield services that are missing or stopped; the runtime is the one that is there."""
    if state.services is None:
        return
    found = {service.name: service for service in state.services}
    runtimes = [name for name in _RUNTIMES if name in found] or ["containerd"]
    shims = [name for name in ("cri-dockerd",) if name in found]
    for name in (*runtimes[:1], *shims, *_NEEDED):
        if name not in found:
            yield Symptom(message=f"service {name} is not installed", fix="join the node again")
        elif found[name].state != "running":
            text = f"service {name} is {found[name].state}, exit code {found[name].exit_code}"
            yield Symptom(message=text, fix=f"read the log of {name} and the System event log")


def overlay_present(state: NodeState, now: str) -> Iterator[Symptom]:
    """Yield a missing overlay network, or one with another VNI."""
    if state.hns is None:
        return
    vnis = [s.vni for n in state.hns.networks if n.type == "Overlay" for s in n.subnets]
    if WINDOWS_VNI not in vnis:
        yield Symptom(
            message=f"HNS has no overlay network with VNI {WINDOWS_VNI}",
            fix="read flanneld's log; it makes the network when it starts",
        )


def source_vip_set(state: NodeState, now: str) -> Iterator[Symptom]:
    """Yield a missing source VIP, without which Services cannot be reached from this node."""
    if state.flannel is not None and not state.flannel.source_vip:
        yield Symptom(
            message="kube-proxy's configuration has no source VIP",
            fix="restart the host: the task that runs at its start makes one",
        )


def metadata_route(state: NodeState, now: str) -> Iterator[Symptom]:
    """Yield a missing route to EC2's metadata, which goes when a vSwitch is made."""
    if state.routes is not None and all(r.destination != METADATA for r in state.routes):
        yield Symptom(
            message=f"there is no route to {METADATA}",
            fix="restart the host: the task that runs at its start adds it",
        )


def certificate_valid(state: NodeState, now: str) -> Iterator[Symptom]:
    """Yield certificates that have expired, and those that are not valid yet."""
    for item in state.certificates or ():
        if not item.not_before <= now <= item.not_after:
            yield Symptom(
                message=f"the {item.use} certificate of the kubelet is valid from "
                f"{item.not_before} to {item.not_after}",
                fix="look at the host's clock and at its certificate requests",
            )


def disk_free(state: NodeState, now: str) -> Iterator[Symptom]:
    """Yield drives that are nearly full."""
    for disk in state.disk or ():
        if disk.free < disk.size * LEAST_FREE:
            text = f"drive {disk.drive} has {disk.free} of {disk.size} bytes left"
            yield Symptom(message=text, fix="remove images, or give the node a larger volume")


def artifact_unchanged(state: NodeState, now: str) -> Iterator[Symptom]:
    """Yield installed files that are gone or not as they were installed."""
    for artifact in state.artifacts or ():
        for file in artifact.changed:
            what = "is not as it was installed" if file.found else "is gone"
            yield Symptom(message=f"{file.path} {what}", fix="join the node again")


RULES = (
    SymptomRule(
        name="NodeServiceStopped",
        meaning="runtime, kubelet, flanneld and kube-proxy run",
        function=service_running,
    ),
    SymptomRule(
        name="NodeOverlayMissing",
        meaning=f"HNS has flannel's overlay network with VNI {WINDOWS_VNI}",
        function=overlay_present,
    ),
    SymptomRule(
        name="NodeSourceVipMissing",
        meaning="kube-proxy has its source VIP",
        function=source_vip_set,
    ),
    SymptomRule(
        name="NodeMetadataRouteMissing",
        meaning="the node has a route to EC2's metadata",
        function=metadata_route,
    ),
    SymptomRule(
        name="NodeCertificateInvalid",
        meaning="the kubelet's certificates are valid now",
        function=certificate_valid,
    ),
    SymptomRule(name="NodeDiskFull", meaning="a tenth of each drive is free", function=disk_free),
    SymptomRule(
        name="NodeArtifactChanged",
        meaning="installed programs have the checksums of their installation",
        function=artifact_unchanged,
    ),
)


def judge(state: NodeState, *, node: str, now: str) -> tuple[Finding, ...]:
    """Return what is wrong; ``now`` is RFC 3339 in UTC, as the state's own times are."""
    return tuple(
        Finding(
            level=Level.WARNING,
            name=rule.name,
            target=node,
            message=symptom.message,
            fix=symptom.fix,
        )
        for rule in RULES
        for symptom in rule.function(state, now)
    )
