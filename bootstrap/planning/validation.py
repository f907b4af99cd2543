"""What proves a hybrid cluster: judgements on Nodes, and the pods that the real scheduler places.

Pure. Levels and sources: Kubernetes' own ``test/e2e/windows/hybrid_network.go`` and the placement
rules of https://kubernetes.io/docs/concepts/windows/user-guide/.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bootstrap.model.finding import Check, CheckResult, Finding, Level
from bootstrap.model.kubernetes import ClusterIdentity, PodFacts
from bootstrap.model.node import (
    BUILD_LABEL,
    NOT_READY_TAINT,
    POOL_LABEL,
    KubeNode,
    KubeNodeName,
)
from bootstrap.planning import flannel, versions

PROBE_LABEL = "bootstrap.node/probe"
# Multi-OS, so that one name serves Linux and every Windows build.
# https://github.com/kubernetes/kubernetes/tree/master/build/pause
PROBE_IMAGE = "registry.k8s.io/pause:3.10.1"
UNSCHEDULABLE = "Unschedulable"
OS_TOLERATION = {"key": "os", "operator": "Equal", "value": "windows", "effect": "NoSchedule"}
NOT_READY_TOLERATION = {"key": NOT_READY_TAINT, "operator": "Exists", "effect": "NoSchedule"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesView:
    """What is judged: every Node, and the pods on Windows nodes."""

    nodes: tuple[KubeNode, ...]
    pods: tuple[PodFacts, ...]
    identity: ClusterIdentity

    @property
    def windows(self) -> tuple[KubeNode, ...]:
        """The Windows nodes of ours."""
        return tuple(n for n in self.nodes if n.is_windows and POOL_LABEL in n.labels)


def node_ready(view: NodesView) -> Iterator[Finding]:
    """Each Windows node is Ready, not cordoned, and has its network."""
    for node in view.windows:
        if (
            not node.ready
            or node.unschedulable
            or node.conditions.get("NetworkUnavailable") == "True"
        ):
            yield _finding(
                "NodeReady",
                node,
                "is cordoned" if node.ready and node.unschedulable else "is not Ready",
                evidence={"conditions": dict(node.conditions)},
                fix="look at the kubelet's log and at its conditions",
                command=f"kubectl describe node {node.name}",
            )


def node_labels(view: NodesView) -> Iterator[Finding]:
    """Schedulers and users select by these labels."""
    for node in view.windows:
        missing = [
            label
            for label in ("kubernetes.io/arch", "kubernetes.io/hostname", BUILD_LABEL)
            if not node.labels.get(label)
        ]
        if missing:
            yield _finding(
                "NodeLabels",
                node,
                f"lacks {', '.join(missing)}",
                evidence={"labels": dict(node.labels)},
                fix="the kubelet sets these itself when it registers: restart it",
            )


def node_taints(view: NodesView) -> Iterator[Finding]:
    """A proven node has no taint of a join; the cloud controller manager has taken its own away."""
    blocking = (NOT_READY_TAINT, "node.cloudprovider.kubernetes.io/uninitialized")
    for node in view.windows:
        left = [str(taint) for taint in node.taints if taint.key in blocking]
        if left:
            yield _finding(
                "NodeTaints",
                node,
                f"still has {', '.join(left)}",
                evidence={"taints": [str(taint) for taint in node.taints]},
                fix="the join did not come to its end: run it again",
                command=f"bootstrap add-node --pool {node.labels.get(POOL_LABEL)} ... --yes",
            )


def node_provider_id(view: NodesView) -> Iterator[Finding]:
    """Without a provider id the cloud controller manager deletes the Node."""
    for node in view.windows:
        if not node.provider_id.startswith("aws:///"):
            yield _finding(
                "NodeProviderId",
                node,
                f"provider id {node.provider_id or 'missing'}",
                evidence={"providerID": node.provider_id},
                fix="providerID is in the kubelet's configuration file",
            )


def node_address(view: NodesView) -> Iterator[Finding]:
    """A Node can be Ready without an address; kube-proxy then waits for ever."""
    for node in view.windows:
        if not node.internal_ip:
            yield _finding("NodeAddress", node, "has no InternalIP", evidence={})


def node_pod_cidr(view: NodesView) -> Iterator[Finding]:
    """Each node has a pod CIDR, and no two the same one."""
    uses = Counter(node.pod_cidr for node in view.nodes if node.pod_cidr)
    for node in view.windows:
        if uses[node.pod_cidr] != 1:
            text = f"shares {node.pod_cidr}" if node.pod_cidr else "has no pod CIDR"
            yield _finding("NodePodCidr", node, text, evidence={"podCIDR": node.pod_cidr})


def kubelet_version(view: NodesView) -> Iterator[Finding]:
    """The kubelet's version goes with the API server's."""
    for node in view.windows:
        if not versions.kubelet_fits(node.kubelet_version, view.identity.version):
            yield _finding(
                "KubeletVersion",
                node,
                f"has kubelet {node.kubelet_version}, the API server is {view.identity.version}",
                evidence={"kubelet": node.kubelet_version, "server": view.identity.version},
            )


def flannel_annotations(view: NodesView) -> Iterator[Finding]:
    """Linux and Windows announce VNI 4096, and every tunnel end point its own MAC."""
    macs = Counter(flannel.node_vtep(node) for node in view.nodes)
    for node in view.nodes:
        if not node.ready:
            continue
        vni, mac = flannel.node_vni(node), flannel.node_vtep(node)
        if vni != flannel.WINDOWS_VNI or not mac or macs[mac] > 1:
            yield _finding(
                "FlannelAnnotations",
                node,
                f"announces VNI {vni} and end point {mac or 'none'}",
                evidence={"annotation": node.annotations.get(flannel.BACKEND_DATA, "")},
                fix="every node needs VNI 4096 and an end point of its own",
                command="bootstrap preflight --fix",
            )


def foreign_pods(view: NodesView) -> Iterator[Finding]:
    """A pod that wants Linux has no business on Windows."""
    windows = {node.name for node in view.nodes if node.is_windows}
    for pod in view.pods:
        wants_linux = pod.node_selector.get("kubernetes.io/os") == "linux"
        stuck = pod.owner_kind == "DaemonSet" and pod.phase == "Pending" and bool(pod.reason)
        if pod.node in windows and (wants_linux or stuck):
            yield Finding(
                level=Level.WARNING,
                name="ForeignPods",
                target=f"{pod.namespace}/{pod.name}",
                message=f"stands on Windows node {pod.node} and cannot run there",
                evidence={"reason": pod.reason, "message": pod.message},
                fix="give its DaemonSet the node selector kubernetes.io/os=linux",
                command="bootstrap preflight --only DaemonSetsHaveOsSelector",
            )


RULES: Mapping[str, Callable[[NodesView], Iterable[Finding]]] = {
    "NodeReady": node_ready,
    "NodeLabels": node_labels,
    "NodeTaints": node_taints,
    "NodeProviderId": node_provider_id,
    "NodeAddress": node_address,
    "NodePodCidr": node_pod_cidr,
    "KubeletVersion": kubelet_version,
    "FlannelAnnotations": flannel_annotations,
    "ForeignPods": foreign_pods,
}


def node_checks(view: NodesView, cluster: str) -> tuple[Check, ...]:
    """Judge all Nodes."""
    return tuple(check(name, cluster, tuple(rule(view))) for name, rule in RULES.items())


def check(name: str, target: str, findings: tuple[Finding, ...], seconds: float = 0.0) -> Check:
    """Sum findings up to a check."""
    levels = {finding.level for finding in findings}
    result = CheckResult.FAIL if Level.ERROR in levels else CheckResult.PASS
    if result is CheckResult.PASS and Level.WARNING in levels:
        result = CheckResult.WARN
    return Check(name=name, result=result, target=target, findings=findings, seconds=seconds)


def _finding(
    name: str,
    node: KubeNode,
    message: str,
    *,
    evidence: Mapping[str, object],
    fix: str | None = None,
    command: str | None = None,
) -> Finding:
    return Finding(
        level=Level.ERROR,
        name=name,
        target=node.name,
        message=f"node {node.name} {message}",
        evidence=evidence,
        fix=fix,
        command=command,
    )


class Placement(StrEnum):
    """Where the scheduler has to put a probe pod."""

    LINUX = "LinuxPodOnLinux"
    WINDOWS = "WindowsPodOnWindows"
    NOWHERE = "WindowsPodWithoutTolerationPending"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePod:
    """A pod that shows by where it lands whether placement works."""

    name: str
    expected: Placement
    node: KubeNodeName = KubeNodeName("")
    """The one node it is meant for, '' for any of its system."""
    proves_unready_node: bool = False
    image: str = PROBE_IMAGE

    def manifest(self) -> dict[str, object]:
        """Return the Pod to create."""
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "labels": {PROBE_LABEL: "true"}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 1,
                "nodeSelector": self._selector(),
                "tolerations": self._tolerations(),
                "containers": [
                    {
                        "name": "pause",
                        "image": self.image,
                        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                    }
                ],
            },
        }

    def _selector(self) -> dict[str, str]:
        # A Linux pod says nothing, as most Linux manifests do: the taint must keep it off Windows.
        selector = {} if self.expected is Placement.LINUX else {"kubernetes.io/os": "windows"}
        return selector | ({"kubernetes.io/hostname": self.node} if self.node else {})

    def _tolerations(self) -> list[dict[str, str]]:
        if self.expected is not Placement.WINDOWS:
            return []
        return [OS_TOLERATION, *([NOT_READY_TOLERATION] if self.proves_unready_node else [])]


def verdict(
    probe: ProbePod, pod: PodFacts | None, windows: Collection[KubeNodeName]
) -> tuple[bool | None, str]:
    """Judge a probe: True and False are final, None means wait; the text says what was seen."""
    if pod is None:
        return None, "the pod is not there"
    on_windows = pod.node in windows
    if probe.expected is Placement.NOWHERE:
        if pod.node:
            return False, f"it was scheduled to {pod.node} without tolerating its taint"
        return (True if pod.reason == UNSCHEDULABLE else None), pod.reason
    if pod.node and on_windows is not (probe.expected is Placement.WINDOWS):
        return False, f"it was scheduled to {pod.node}"
    if pod.phase == "Failed":
        return False, f"it failed on {pod.node}: {pod.reason} {pod.message}".strip()
    if pod.phase in ("Running", "Succeeded"):
        return True, f"runs on {pod.node}"
    return None, f"{pod.phase} {pod.reason} {pod.message}".strip()
