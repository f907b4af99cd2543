"""What a kops cluster is, as far as a Windows node has to know it.

``ClusterFacts`` is assembled once per run from the state store (``planning.kops_spec``) and from
EC2 (``adapters.ec2``); nothing above the adapters sees a raw kops or AWS document.
Sources: kops ``pkg/apis/kops/v1alpha2/cluster.go``, ``pkg/apis/kops/registry/registry.go``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

ClusterName = NewType("ClusterName", str)
SubnetId = NewType("SubnetId", str)
SecurityGroupId = NewType("SecurityGroupId", str)
VpcId = NewType("VpcId", str)


class Era(StrEnum):
    """Which generation of kops wrote the store; decides layout, certificates and node names.

    SHARED_CERTIFICATE: kops <= 1.21 layout, ``cluster.spec``, keyset ``ca``.
    COMPLETED_SPEC: kops 1.22 - 1.25, ``cluster-completed.spec``, nodes still read the store.
    CONFIG_SERVER: kops >= 1.26, nodes get their configuration from kops-controller.
    """

    SHARED_CERTIFICATE = "shared-certificate"
    COMPLETED_SPEC = "completed-spec"
    CONFIG_SERVER = "config-server"


class SubnetType(StrEnum):
    """kops' subnet types; nodes never go into a Utility subnet."""

    PUBLIC = "Public"
    PRIVATE = "Private"
    UTILITY = "Utility"
    DUAL_STACK = "DualStack"


class NameResolution(StrEnum):
    """How ``api.internal.<cluster>`` resolves for a node."""

    DNS_ZONE = "dns-zone"
    GOSSIP = "gossip"
    NONE = "none"


class NodeNaming(StrEnum):
    """What the cluster calls its nodes."""

    PRIVATE_DNS = "private-dns"
    INSTANCE_ID = "instance-id"


class CloudProviderMode(StrEnum):
    """Who plays the cloud provider: the components themselves, or the cloud controller manager."""

    IN_TREE = "in-tree"
    EXTERNAL = "external"


class GroupRole(StrEnum):
    """Role of a kops instance group."""

    CONTROL_PLANE = "control-plane"
    NODE = "node"
    BASTION = "bastion"
    API_SERVER = "apiserver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """One subnet of the cluster. ``name`` is kops' name, ``subnet_id`` is '' until EC2 told it."""

    name: str
    type: SubnetType
    zone: str
    cidr: str
    subnet_id: SubnetId = SubnetId("")
    shared: bool = False
    egress: str = ""
    available_addresses: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cni:
    """The pod network. ``backend`` is flannel's backend ('vxlan', 'udp') or the CNI's own mode."""

    name: str
    backend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """Addresses of the cluster; all CIDRs are IPv4 text.

    ``flannel_network`` is what kops renders as ``Network`` in flannel's net-conf: the
    non-masquerade CIDR, which contains pods and services.
    """

    vpc_id: VpcId
    vpc_cidr: str
    pod_cidr: str
    service_cidr: str
    non_masquerade_cidr: str
    dns_service_ip: str
    cluster_domain: str
    node_local_dns: bool
    cni: Cni
    kube_proxy_enabled: bool
    subnets: tuple[Subnet, ...]

    @property
    def flannel_network(self) -> str:
        """The CIDR in flannel's net-conf, on Linux and Windows alike."""
        return self.non_masquerade_cidr


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiEndpoint:
    """Where a node inside the VPC finds the API server.

    ``addresses`` are needed as hosts entries where no DNS serves the name (gossip, none): the
    private addresses of the control plane, or those of the load balancer's interfaces.
    """

    host: str
    port: int
    resolution: NameResolution
    addresses: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The URL for a node's kubeconfig."""
        return f"https://{self.host}" if self.port == 443 else f"https://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bastion:
    """The kops bastion, where there is one. ``host`` is the name users ssh to."""

    host: str
    port: int = 22
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceGroup:
    """A kops instance group; ``role`` NODE groups are the Linux nodes we sit beside."""

    name: str
    role: GroupRole
    subnets: tuple[str, ...]
    machine_type: str = ""
    image: str = ""
    min_size: int = 0
    max_size: int = 0
    security_group_override: str = ""
    additional_security_groups: tuple[str, ...] = ()
    iam_profile: str = ""
    associate_public_ip: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletSpec:
    """What of the cluster's kubelet spec a Windows kubelet has to mirror."""

    anonymous_auth: bool | None = None
    authorization_mode: str = ""
    authentication_token_webhook: bool | None = None
    feature_gates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """What the state store alone tells; AWS ids are missing still."""

    name: ClusterName
    kubernetes_version: str
    kops_version: str
    era: Era
    cloud_provider: str
    api_host: str
    resolution: NameResolution
    ca_bundle: str
    node_naming: NodeNaming
    cloud_provider_mode: CloudProviderMode
    vpc_id: VpcId
    vpc_cidr: str
    pod_cidr: str
    service_cidr: str
    non_masquerade_cidr: str
    dns_service_ip: str
    cluster_domain: str
    node_local_dns: bool
    cni: Cni
    kube_proxy_enabled: bool
    is_ipv6: bool
    subnets: tuple[Subnet, ...]
    groups: tuple[InstanceGroup, ...]
    ssh_key_name: str
    bastion_host: str
    kubelet: KubeletSpec
    api_load_balancer: str = ""
    api_server_authorization: tuple[str, ...] = ()
    dns_zone: str = ""
    cloud_labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsFacts:
    """What EC2, ELB and IAM tell about the cluster of one name."""

    region: str
    account: str
    vpc_id: VpcId
    vpc_cidr: str
    subnets: tuple[Subnet, ...]
    """Found by tag or id; ``name`` is kops' name where the Name tag tells it, else ''."""
    node_security_groups: tuple[SecurityGroupId, ...]
    node_instance_profile: str
    key_name: str
    key_type: str
    """``rsa`` or ``ed25519``; '' when EC2 does not know the key."""
    api_addresses: tuple[str, ...]
    """Private addresses that serve the API: the load balancer's, else the control plane's."""
    bastion_host: str = ""
    ca_bundle: str = ""
    """PEM, from the user data of the nodes' launch template; '' where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """Everything that is known of the cluster before the API server is asked."""

    name: ClusterName
    region: str
    account: str
    kubernetes_version: str
    """Without a leading ``v``, for instance ``1.34.5``."""
    kops_version: str
    """'' for stores older than kops 1.19, which do not say."""
    era: Era
    network: NetworkFacts
    api: ApiEndpoint
    ca_bundle: str
    """PEM, every certificate of the keyset that is not distrusted."""
    node_naming: NodeNaming
    cloud_provider_mode: CloudProviderMode
    node_security_groups: tuple[SecurityGroupId, ...]
    node_instance_profile: str
    key_name: str
    key_type: str
    bastion: Bastion | None
    groups: tuple[InstanceGroup, ...]
    kubelet: KubeletSpec = field(default_factory=KubeletSpec)
    cloud_labels: tuple[tuple[str, str], ...] = ()

    @property
    def minor(self) -> int:
        """Minor version of the cluster's Kubernetes."""
        return int(self.kubernetes_version.split(".")[1])

    @property
    def linux_groups(self) -> tuple[InstanceGroup, ...]:
        """The kops groups with role Node."""
        return tuple(group for group in self.groups if group.role is GroupRole.NODE)

    @property
    def node_subnets(self) -> tuple[Subnet, ...]:
        """Subnets of the Linux nodes, in the order of the spec; where ours go by default."""
        names = {name for group in self.linux_groups for name in group.subnets}
        return tuple(
            subnet
            for subnet in self.network.subnets
            if subnet.name in names and subnet.type is not SubnetType.UTILITY
        )
