"""Kubernetes objects other than Nodes, cut down to what is decided on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterIdentity:
    """Which cluster answers: ``uid`` of namespace kube-system, ``version`` like ``v1.36.3``.

    ``ca_pem`` is the bundle of ConfigMap ``kube-root-ca.crt``, '' when there is none.
    """

    uid: str
    version: str
    ca_pem: str
    server: str

    @property
    def minor(self) -> int:
        """Minor version of the API server."""
        return int("".join(c for c in self.version.split(".")[1] if c.isdigit()))


@dataclass(frozen=True, slots=True, kw_only=True)
class FlannelConfig:
    """kops' flannel add-on as it is in the cluster: ConfigMap and DaemonSet."""

    namespace: str
    config_map: str
    daemon_set: str
    net_conf: Mapping[str, object]
    """The ConfigMap's ``net-conf.json``, parsed."""
    cni_network_name: str
    """``name`` in the ConfigMap's ``cni-conf.json``; kops writes ``cbr0``."""

    @property
    def backend(self) -> Mapping[str, object]:
        """net-conf's ``Backend``; flanneld ignores the case of its keys, here they are as found."""
        backend = self.net_conf.get("Backend")
        return backend if isinstance(backend, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSetFacts:
    """A DaemonSet, as far as it may land on a Windows node."""

    namespace: str
    name: str
    node_selector: Mapping[str, str]
    required_os: tuple[str, ...]
    """Values that required node affinity allows for ``kubernetes.io/os`` (or its beta form)."""
    tolerates_all: bool
    tolerated_keys: tuple[str, ...]
    priority_class: str
    generation: int
    observed_generation: int
    desired: int
    updated: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvent:
    """An Event about a Node; ``at`` is RFC 3339, '' when the event names no time."""

    reason: str
    message: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """A Pod. ``reason`` is that of the PodScheduled condition or of a waiting container."""

    namespace: str
    name: str
    node: str
    phase: str
    ready: bool
    reason: str
    message: str
    pod_ip: str = ""
    host_ip: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    owner_kind: str = ""
    uid: str = ""
    controller_kind: str = ""
    """Kind of the owner that would make the pod anew, '' when nobody would."""
    is_mirror: bool = False
    """It shows a static pod of the kubelet; deleting it changes nothing."""
    has_empty_dir: bool = False
    is_deleting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFacts:
    """A Lease. Times are RFC 3339; ``resource_version`` makes an update fail when it changed."""

    name: str
    holder: str
    acquired_at: str
    renewed_at: str
    duration_s: int
    resource_version: str
    annotations: Mapping[str, str] = field(default_factory=dict)
