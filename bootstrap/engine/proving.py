"""The last steps of a join: Ready, network announced, a pod has run there; then the taint goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bootstrap.engine.locking import rfc3339
from bootstrap.engine.probing import Prober
from bootstrap.engine.reporting import NodeReport
from bootstrap.engine.waiting import Waiter
from bootstrap.errors import RefusedError, RemoteError
from bootstrap.model.event import Phase
from bootstrap.model.node import (
    NOT_READY_TAINT,
    SPEC_HASH_ANNOTATION,
    VALIDATED_ANNOTATION,
    DesiredNode,
    KubeNode,
    KubeNodeName,
)
from bootstrap.planning import flannel
from bootstrap.planning.validation import Placement, ProbePod
from bootstrap.ports import ClusterApi

UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofTimeouts:
    """In seconds. The image of the probe pod is the pause image, which the node has already."""

    registered_s: float = 300
    ready_s: float = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """Prove nodes and let pods in."""

    api: ClusterApi
    waiter: Waiter
    prober: Prober
    timeouts: ProofTimeouts = ProofTimeouts()

    def prove(
        self,
        desired: DesiredNode,
        name: KubeNodeName,
        report: NodeReport,
        inspect: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait for what a working node shows, run a pod on it, then take the taint away.

        ``inspect`` looks at the host and raises what speaks against it.
        """
        self._registered(name, report)
        with report.phase(Phase.VALIDATED):
            self.api.update_node(name, labels=desired.labels)
            self._until(name, _readiness, "to be Ready")
            self._until(name, _announcement, "to announce its overlay network")
            inspect()
            self._run_pod(desired, name)
        with report.phase(Phase.SCHEDULABLE):
            # One patch: a node without the taint and without the mark of its proof never exists.
            self.api.update_node(
                name,
                annotations={
                    SPEC_HASH_ANNOTATION: desired.spec_hash,
                    VALIDATED_ANNOTATION: rfc3339(self.waiter.clock.now()),
                },
                remove_taint_keys=[NOT_READY_TAINT],
            )

    def _registered(self, name: KubeNodeName, report: NodeReport) -> None:
        with report.phase(Phase.REGISTERED):
            self.waiter.until(
                lambda: self.api.node(name),
                what=f"Node {name} to register",
                timeout_s=self.timeouts.registered_s,
            )

    def _until(self, name: KubeNodeName, lacks: Callable[[KubeNode], str], what: str) -> None:
        last = ""

        def probe() -> bool | None:
            nonlocal last
            node = self.api.node(name)
            if node is None:
                raise _vanished(name)
            last = lacks(node)
            return None if last else True

        self.waiter.until(
            probe,
            what=f"Node {name} {what}",
            timeout_s=self.timeouts.ready_s,
            last_seen=lambda: last,
        )

    def _run_pod(self, desired: DesiredNode, name: KubeNodeName) -> None:
        probe = ProbePod(
            name=f"join-{desired.name}",
            expected=Placement.WINDOWS,
            node=name,
            proves_unready_node=True,
        )
        (result,) = self.prober.run([probe], {name})
        if not result.ok:
            raise RefusedError(
                f"no pod runs on {name}: {result.seen}",
                name="ProbePodRuns",
                target=name,
                fix="the node keeps its taint; mend the cause and run the command again",
                command=f"kubectl describe node {name}",
            )


def _readiness(node: KubeNode) -> str:
    if any(taint.key == UNINITIALIZED for taint in node.taints):
        return "the cloud controller manager has not initialised it"
    return "" if node.ready else f"conditions {dict(node.conditions)}"


def _announcement(node: KubeNode) -> str:
    vni = flannel.node_vni(node)
    if vni == flannel.WINDOWS_VNI and flannel.node_vtep(node):
        return ""
    return f"annotation {flannel.BACKEND_DATA}: {node.annotations.get(flannel.BACKEND_DATA)}"


def _vanished(name: KubeNodeName) -> RemoteError:
    return RemoteError(
        f"Node {name} was there and is gone",
        name="NodeVanished",
        target=name,
        evidence="AWS' cloud controller deletes Nodes whose name or provider id has no instance",
        fix="compare the Node's name and provider id with the instance",
        command="kubectl get events --field-selector reason=DeletingNode --all-namespaces",
    )
