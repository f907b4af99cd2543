"""Nodes and pools as documents for scripts; the promise is the same as in ``documents``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bootstrap.cli.documents import Document, document, finding_fields
from bootstrap.model.finding import Finding
from bootstrap.model.kubernetes import PodFacts
from bootstrap.model.node import NOT_READY_TAINT, POOL_LABEL, ObservedNode, PoolSpec


def node_list_document(nodes: Iterable[ObservedNode], *, cluster: str) -> Document:
    """Show nodes, ours and those of the cluster."""
    return document("NodeList", {"items": [_node(node) for node in nodes]}, cluster=cluster)


def node_document(
    node: ObservedNode,
    *,
    cluster: str,
    pods: Sequence[PodFacts] = (),
    findings: Sequence[Finding] = (),
) -> Document:
    """Show everything known of one node."""
    kube, instance = node.kube, node.instance
    fields = _node(node) | {
        "labels": dict(kube.labels) if kube else {},
        "annotations": dict(kube.annotations) if kube else {},
        "conditions": dict(kube.conditions) if kube else {},
        "kubeProxyVersion": kube.kube_proxy_version if kube else None,
        "tags": dict(instance.tags) if instance else {},
        "imageId": instance.image_id if instance else None,
        "stateReason": (instance.state_reason or None) if instance else None,
        "launchedAt": instance.launched_at if instance else None,
        "pods": [_pod(pod) for pod in pods],
        "findings": [finding_fields(finding) for finding in findings],
    }
    return document("Node", fields, cluster=cluster)


def pool_list_document(
    pools: Sequence[PoolSpec], nodes: Sequence[ObservedNode], *, cluster: str
) -> Document:
    """Show pools: those that are configured, then those that only have nodes."""
    configured = {pool.name: pool for pool in pools}
    seen = [_pool_of(node) for node in nodes]
    names = [*configured, *sorted({name for name in seen if name} - configured.keys())]
    items = [_pool(name, configured.get(name), nodes) for name in names]
    return document("PoolList", {"items": items}, cluster=cluster)


def _node(node: ObservedNode) -> Document:
    """Return a node as it stands in a list; None for what is not there."""
    instance, kube = node.instance, node.kube
    from_kube: Document = {
        "nodeName": kube.name if kube else None,
        "os": (kube.labels.get("kubernetes.io/os") if kube else None) or _os_of(node),
        "ready": bool(kube and kube.ready),
        "schedulable": bool(kube) and not _is_held_back(node),
        "kubernetesVersion": kube.kubelet_version.removeprefix("v") if kube else None,
        "runtime": kube.runtime_version if kube else None,
        "osImage": kube.os_image if kube else None,
        "podCidr": (kube.pod_cidr or None) if kube else None,
        "providerId": (kube.provider_id or None) if kube else None,
        "taints": [str(taint) for taint in kube.taints] if kube else [],
        "registeredAt": kube.created_at if kube else None,
    }
    private_ip = instance.private_ip if instance else kube.internal_ip if kube else ""
    from_instance: Document = {
        "instanceId": instance.instance_id if instance else (kube.instance_id if kube else None),
        "instanceState": instance.state.value if instance else None,
        "instanceType": instance.instance_type if instance else None,
        "zone": instance.zone if instance else None,
        "subnetId": instance.subnet_id if instance else None,
        "privateIp": private_ip or None,
    }
    head = {
        "name": node.name or None,
        "pool": _pool_of(node),
        "owned": bool(instance and instance.is_ours),
    }
    return head | from_kube | from_instance


def _os_of(node: ObservedNode) -> str:
    return "windows" if node.instance and node.instance.is_windows else "linux"


def _is_held_back(node: ObservedNode) -> bool:
    """Tell whether the scheduler is kept from the node: by a cordon or by our own taint."""
    kube = node.kube
    return kube is not None and (
        kube.unschedulable or any(taint.key == NOT_READY_TAINT for taint in kube.taints)
    )


def _pool_of(node: ObservedNode) -> str | None:
    """Find the pool by the tag, else by the label; None for nodes that are not ours."""
    tagged = node.instance.pool if node.instance else ""
    return tagged or (node.kube.labels.get(POOL_LABEL) if node.kube else None) or None


def _pool(name: str, spec: PoolSpec | None, nodes: Sequence[ObservedNode]) -> Document:
    members = [node for node in nodes if _pool_of(node) == name]
    return {
        "name": name,
        "configured": spec is not None,
        "count": spec.count if spec else None,
        "nodes": len(members),
        "ready": sum(node.is_proven for node in members),
        "windows": spec.windows.value if spec else None,
        "runtime": spec.runtime.value if spec else None,
        "instanceType": spec.instance_type if spec else None,
        "spot": spec.spot if spec else None,
        "labels": dict(spec.labels) if spec else {},
        "taints": [str(taint) for taint in spec.taints] if spec else [],
    }


def _pod(pod: PodFacts) -> Document:
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "phase": pod.phase,
        "ready": pod.ready,
        "reason": pod.reason or None,
        "podIp": pod.pod_ip or None,
    }
