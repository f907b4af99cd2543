"""A Windows node three times: asked for (request), decided (desired), seen (observed)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from bootstrap.model.cluster import SecurityGroupId, Subnet

NodeName = NewType("NodeName", str)
"""Our name of a node (``game-servers-1``), in tag ``bootstrap/node``; replacements keep it."""
KubeNodeName = NewType("KubeNodeName", str)
"""The name of the Node object, the cluster's own scheme (private DNS name or instance id)."""
InstanceId = NewType("InstanceId", str)


class Tag(StrEnum):
    """EC2 tags that mark what is ours (design contract, "Marks left in the world")."""

    OWNED = "bootstrap/owned"
    CLUSTER = "bootstrap/cluster"
    POOL = "bootstrap/pool"
    NODE = "bootstrap/node"
    RUN = "bootstrap/run"
    SPEC_HASH = "bootstrap/spec-hash"


POOL_LABEL = "bootstrap.node/pool"
BUILD_LABEL = "node.kubernetes.io/windows-build"
SPEC_HASH_ANNOTATION = "bootstrap.node/spec-hash"
VALIDATED_ANNOTATION = "bootstrap.node/validated-at"
NOT_READY_TAINT = "bootstrap.node/not-ready"
NAMESPACE = "windows-bootstrap"
MANAGED_BY = {"app.kubernetes.io/managed-by": "bootstrap"}


class WindowsRelease(StrEnum):
    """Releases of Windows Server a node can run."""

    WS2019 = "2019"
    WS2022 = "2022"
    WS2025 = "2025"


class Runtime(StrEnum):
    """Container runtimes of a Windows node; AUTO is resolved before anything is decided on it."""

    AUTO = "auto"
    CONTAINERD = "containerd"
    DOCKER = "docker"
    DOCKER_EE = "docker-ee"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A Kubernetes taint; ``str()`` gives kubectl's form ``key=value:Effect``."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"

    def __str__(self) -> str:
        value = f"={self.value}" if self.value else ""
        return f"{self.key}{value}:{self.effect}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootVolume:
    """The instance's root volume."""

    size_gb: int = 100
    type: str = "gp3"
    encrypted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """A pool as the user wants it (one entry of ``pools`` in the config file)."""

    name: str
    count: int = 1
    windows: WindowsRelease = WindowsRelease.WS2019
    runtime: Runtime = Runtime.AUTO
    instance_type: str = "m5.xlarge"
    image: str = ""
    """AMI id; '' means the newest of the release, by its SSM parameter."""
    subnets: tuple[str, ...] = ()
    """kops subnet names; empty means those of the Linux nodes."""
    root_volume: RootVolume = field(default_factory=RootVolume)
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    os_taint: bool = True
    spot: bool = False
    public_ip: bool = False
    pre_pull: tuple[str, ...] = ()
    kubernetes_version: str = ""
    """'' means the cluster's own version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequest:
    """What one ``add-node`` asks for."""

    pool: PoolSpec
    names: tuple[NodeName, ...] = ()
    """Explicit names; empty means ``<pool>-1`` to ``<pool>-<count>``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """An AMI. ``release`` is None when neither name nor platform tell it."""

    image_id: str
    name: str
    release: WindowsRelease | None
    root_device: str
    root_size_gb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredNode:
    """One node, decided completely; nothing about it is looked up any more."""

    name: NodeName
    cluster: str
    pool: PoolSpec
    runtime: Runtime
    windows: WindowsRelease
    kubernetes_version: str
    subnet: Subnet
    image: ImageFacts
    instance_type: str
    security_groups: tuple[SecurityGroupId, ...]
    instance_profile: str
    key_name: str
    user_data: str
    """Clear text; boto3 encodes it."""
    tags: Mapping[str, str]
    spec_hash: str
    """Hash of all that would have to be changed on the node itself; 16 hex digits."""
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]


class InstanceState(StrEnum):
    """EC2's instance states."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedInstance:
    """An EC2 instance of the cluster, ours (tag ``bootstrap/owned``) or foreign."""

    instance_id: InstanceId
    state: InstanceState
    private_ip: str
    private_dns: str
    zone: str
    subnet_id: str
    image_id: str
    instance_type: str
    launched_at: str
    """RFC 3339, UTC."""
    tags: Mapping[str, str]
    state_reason: str = ""
    client_token: str = ""
    is_windows: bool = False
    public_ip: str = ""

    @property
    def is_ours(self) -> bool:
        """Tell whether we launched it."""
        return self.tags.get(Tag.OWNED) == "true"

    @property
    def is_alive(self) -> bool:
        """Tell whether it exists for Kubernetes: neither terminated nor on its way there."""
        return self.state not in (InstanceState.TERMINATED, InstanceState.SHUTTING_DOWN)

    @property
    def node(self) -> NodeName:
        """Our name of the node it carries, '' when it is not ours."""
        return NodeName(self.tags.get(Tag.NODE, ""))

    @property
    def pool(self) -> str:
        """The pool it belongs to, '' when it is not ours."""
        return self.tags.get(Tag.POOL, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeNode:
    """A Node object, cut down to what is decided on."""

    name: KubeNodeName
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    taints: tuple[Taint, ...]
    provider_id: str
    pod_cidr: str
    ready: bool
    unschedulable: bool
    kubelet_version: str
    kube_proxy_version: str
    runtime_version: str
    os_image: str
    internal_ip: str
    created_at: str
    conditions: Mapping[str, str]
    """Type -> status, for instance ``{"Ready": "True"}``."""

    @property
    def is_windows(self) -> bool:
        """Tell whether the node says it runs Windows."""
        return self.labels.get("kubernetes.io/os") == "windows"

    @property
    def instance_id(self) -> InstanceId:
        """The instance behind it by ``providerID`` (``aws:///zone/i-...``), '' when it has none."""
        return InstanceId(self.provider_id.rsplit("/", 1)[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedNode:
    """What is there of one node of ours: the instance, the Node object, either, or both."""

    name: NodeName
    instance: ObservedInstance | None
    kube: KubeNode | None

    @property
    def is_proven(self) -> bool:
        """Ready, and its not-ready taint is gone, which is the last thing a join does."""
        return (
            self.kube is not None
            and self.kube.ready
            and not any(taint.key == NOT_READY_TAINT for taint in self.kube.taints)
        )
