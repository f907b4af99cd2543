"""The format of the config file: one pydantic model per block, from which its JSON schema comes.

Keys are camelCase in the file. Docstrings under the fields are for users: they are the descriptions
in the schema. Whoever wants values uses ``bootstrap.config``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bootstrap.config_values import (
    ArtifactVersion,
    Checksum,
    ClusterName,
    DownloadUrl,
    ImageId,
    InstanceType,
    KubernetesVersion,
    Labels,
    MirrorUrls,
    Names,
    PoolName,
    ProxyUrl,
    Region,
    RegistryHost,
    Release,
    Seconds,
    StateStore,
    TaintText,
    Url,
)
from bootstrap.model.node import PoolSpec, RootVolume, Runtime, Taint

API_VERSION = "bootstrap/v1"
KIND = "WindowsNodes"

_DEFAULTS = PoolSpec(name="default")


def _key(name: str) -> str:
    """Name a field in the file: camelCase, and no unit where the value has one."""
    return to_camel(name.removesuffix("_s"))


class Block(BaseModel):
    """What every block of the file has in common: no unknown keys, no silent conversions."""

    model_config = ConfigDict(
        alias_generator=_key,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        validate_by_name=True,
        validate_by_alias=True,
    )


class RootVolumeBlock(Block):
    """The root volume of a node."""

    size_gb: Annotated[int, Field(ge=30, le=16384)] = RootVolume().size_gb
    """Size in GiB; Windows images need 30 or more, container images of Windows are large."""
    type: Literal["gp2", "gp3"] = "gp3"
    """EBS volume type."""
    encrypted: bool = RootVolume().encrypted
    """Whether EBS encrypts the volume, with the account's default key."""


class PoolBlock(Block):
    """A pool: nodes that are alike."""

    name: PoolName
    """Name of the pool; its nodes are called NAME-1, NAME-2, ..."""
    count: Annotated[int, Field(ge=1, le=1000)] = _DEFAULTS.count
    """How many nodes the pool has."""
    windows: Release = _DEFAULTS.windows
    """Release of Windows Server."""
    runtime: Runtime = _DEFAULTS.runtime
    """Container runtime; auto picks the one that fits the cluster's Kubernetes."""
    instance_type: InstanceType = _DEFAULTS.instance_type
    """EC2 instance type."""
    image: ImageId | None = None
    """AMI; by default the newest one of the release that Amazon publishes."""
    subnets: Names = _DEFAULTS.subnets
    """kops names of subnets; by default those of the Linux nodes."""
    root_volume: RootVolumeBlock = RootVolumeBlock()
    """The root volume of each node."""
    labels: Labels = {}
    """Node labels besides those that every node gets."""
    taints: tuple[TaintText, ...] = ()
    """Taints as key=value:Effect, besides os=windows:NoSchedule."""
    os_taint: bool = _DEFAULTS.os_taint
    """Whether nodes get the taint os=windows:NoSchedule, which keeps Linux pods away."""
    spot: bool = _DEFAULTS.spot
    """Whether to launch spot instances."""
    public_ip: bool = _DEFAULTS.public_ip
    """Whether nodes get a public address."""
    pre_pull: Names = _DEFAULTS.pre_pull
    """Images that a node pulls before it takes pods."""
    kubernetes_version: KubernetesVersion | None = None
    """Version of kubelet and kube-proxy; by default that of the cluster."""

    @staticmethod
    def fields_of(spec: PoolSpec) -> dict[str, object]:
        """Return a pool as it would stand in the file."""
        fields = asdict(spec) | {"labels": dict(spec.labels)}
        fields["taints"] = [str(taint) for taint in spec.taints]
        fields["root_volume"] = {
            _key(key): value for key, value in asdict(spec.root_volume).items()
        }
        return {_key(name): value for name, value in fields.items() if value != ""}

    def spec(self) -> PoolSpec:
        """Return the pool as the rest of the tool knows it."""
        return PoolSpec(
            name=self.name,
            count=self.count,
            windows=self.windows,
            runtime=self.runtime,
            instance_type=self.instance_type,
            image=self.image or "",
            subnets=self.subnets,
            root_volume=RootVolume(**self.root_volume.model_dump()),
            labels=self.labels,
            taints=tuple(parse_taint(text) for text in self.taints),
            os_taint=self.os_taint,
            spot=self.spot,
            public_ip=self.public_ip,
            pre_pull=self.pre_pull,
            kubernetes_version=self.kubernetes_version or "",
        )


def parse_taint(text: str) -> Taint:
    """Read ``key=value:Effect``, which has been validated."""
    key, _, effect = text.rpartition(":")
    name, _, value = key.partition("=")
    return Taint(key=name, value=value, effect=effect)


class Limits(Block):
    """How much one run may change."""

    max_unavailable: Annotated[int, Field(ge=1)] = 1
    """How many nodes of a pool may be out of service at a time."""
    max_replacements: Annotated[int, Field(ge=0)] = 3
    """How many nodes one run may replace."""
    max_deletions: Annotated[int, Field(ge=0)] = 3
    """How many nodes one run may remove."""


class Reach(Block):
    """How the tool reaches the nodes."""

    via: Literal["direct", "bastion", "ssm"] = "direct"
    """direct: their private addresses; bastion: through the kops bastion; ssm: port forwarding."""


class ArtifactOverride(Block):
    """An artifact of the user's own, in place of those that bootstrap knows."""

    name: Literal[
        "kubernetes-node",
        "containerd",
        "docker",
        "docker-ee",
        "cri-dockerd",
        "cni-plugins",
        "flannel-cni-plugin",
        "flanneld",
    ]
    """Which artifact; docker-ee (Mirantis Container Runtime) and cri-dockerd are never built in."""
    version: ArtifactVersion
    """Its version."""
    url: DownloadUrl
    """Where nodes get it, laid out as its publisher's archive for Windows; no mirror is asked."""
    checksum: Checksum
    """SHA-256 or SHA-512 of the file."""

    @property
    def algorithm(self) -> str:
        """Tell by the length which checksum it is."""
        return "sha256" if len(self.checksum) == 64 else "sha512"


class Artifacts(Block):
    """Where nodes get their binaries from."""

    mirror: Url | None = None
    """Base URL that stands in for the official download sites."""
    ca_bundle: str | None = None
    """File with the CA certificates (PEM) of the mirror or proxy."""
    proxy: Url | None = None
    """HTTP proxy for downloads."""
    overrides: tuple[ArtifactOverride, ...] = ()
    """Artifacts of your own, each with its checksum; nothing is installed without one."""


class RegistryMirrorBlock(Block):
    """Mirrors of one registry."""

    registry: RegistryHost
    """The registry as images name it: docker.io, mcr.microsoft.com, registry.example.com:5000."""
    urls: MirrorUrls
    """Places to ask first, in this order; https only."""


class RegistriesBlock(Block):
    """How nodes reach the registries of container images."""

    mirrors: tuple[RegistryMirrorBlock, ...] = ()
    """Mirrors of registries; Docker has them for docker.io only."""
    proxy: ProxyUrl | None = None
    """HTTP proxy of the container runtime."""
    no_proxy: Names = ()
    """Hosts, domains and networks beside those of the cluster that the runtime reaches directly."""
    ca_bundle: str | None = None
    """File with the CA certificates (PEM) of the mirrors."""


class Credentials(Block):
    """Where the tool's own access to the cluster comes from."""

    kubernetes: Literal["kubeconfig", "mint-from-state-store"] = "kubeconfig"
    """mint-from-state-store makes an admin certificate with the CA key of the state store."""


class Timeouts(Block):
    """How long each part of a join may take: 90s, 25m, 1h30m."""

    launch_s: Seconds = 300.0
    """Until EC2 says the instance runs."""
    reachable_s: Seconds = 1500.0
    """Until WinRM answers and the certificate is known; a first boot of Windows is slow."""
    playbook_s: Seconds = 3600.0
    """Until the playbook is through, reboots included."""
    join_s: Seconds = 600.0
    """Until the node is registered and Ready."""
    validate_s: Seconds = 600.0
    """Until test pods of both systems ran."""


class ConfigFile(Block):
    """Windows nodes of a kops cluster."""

    api_version: Literal["bootstrap/v1"]
    """Version of this format."""
    kind: Literal["WindowsNodes"]
    """Kind of this document."""
    cluster: ClusterName | None = None
    """Name of the kops cluster. Also: --cluster, BOOTSTRAP_CLUSTER, KOPS_CLUSTER_NAME."""
    state: StateStore | None = None
    """State store of kops, s3://BUCKET[/PREFIX]. Also: --state, KOPS_STATE_STORE."""
    region: Region | None = None
    """AWS region; by default that of the cluster's zones."""
    pools: tuple[PoolBlock, ...] = ()
    """Pools of Windows nodes."""
    limits: Limits = Limits()
    """How much one run may change."""
    reach: Reach = Reach()
    """How the tool reaches the nodes."""
    artifacts: Artifacts = Artifacts()
    """Where nodes get their binaries from."""
    registries: RegistriesBlock = RegistriesBlock()
    """How nodes reach the registries of container images."""
    credentials: Credentials = Credentials()
    """Where the tool's own access to the cluster comes from."""
    timeouts: Timeouts = Timeouts()
    """How long each part of a join may take."""
