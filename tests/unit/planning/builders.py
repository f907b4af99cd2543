"""Values for tests of planning and engine, complete and ordinary; a test changes what matters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bootstrap.model.cluster import (
    ApiEndpoint,
    CloudProviderMode,
    ClusterFacts,
    ClusterName,
    Cni,
    Era,
    GroupRole,
    InstanceGroup,
    NameResolution,
    NetworkFacts,
    NodeNaming,
    SecurityGroupId,
    Subnet,
    SubnetId,
    SubnetType,
    VpcId,
)
from bootstrap.model.kubernetes import ClusterIdentity, FlannelConfig
from bootstrap.model.node import (
    POOL_LABEL,
    ImageFacts,
    InstanceId,
    InstanceState,
    KubeNode,
    KubeNodeName,
    NodeRequest,
    ObservedInstance,
    PoolSpec,
    Runtime,
    Tag,
    WindowsRelease,
)
from bootstrap.planning.desired import Choices, desired_nodes

CLUSTER = ClusterName("games.example.com")
ANNOTATION = '{"VNI":%d,"VtepMAC":"%s"}'


def subnet(name: str = "eu-west-1a", **change: Any) -> Subnet:
    base = Subnet(
        name=name,
        type=SubnetType.PRIVATE,
        zone=name,
        cidr="172.20.32.0/19",
        subnet_id=SubnetId(f"subnet-{name[-1]}"),
        available_addresses=100,
    )
    return replace(base, **change)


def facts(**change: Any) -> ClusterFacts:
    subnets = (subnet("eu-west-1a"), subnet("eu-west-1b", cidr="172.20.64.0/19"))
    base = ClusterFacts(
        name=CLUSTER,
        region="eu-west-1",
        account="123456789012",
        kubernetes_version="1.34.5",
        kops_version="1.34.3",
        era=Era.CONFIG_SERVER,
        network=NetworkFacts(
            vpc_id=VpcId("vpc-1"),
            vpc_cidr="172.20.0.0/16",
            pod_cidr="100.96.0.0/11",
            service_cidr="100.64.0.0/13",
            non_masquerade_cidr="100.64.0.0/10",
            dns_service_ip="100.64.0.10",
            cluster_domain="cluster.local",
            node_local_dns=False,
            cni=Cni(name="flannel", backend="vxlan"),
            kube_proxy_enabled=True,
            subnets=subnets,
        ),
        api=ApiEndpoint(
            host=f"api.internal.{CLUSTER}", port=443, resolution=NameResolution.DNS_ZONE
        ),
        ca_bundle="-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n",
        node_naming=NodeNaming.INSTANCE_ID,
        cloud_provider_mode=CloudProviderMode.EXTERNAL,
        node_security_groups=(SecurityGroupId("sg-1"),),
        node_instance_profile=f"nodes.{CLUSTER}",
        key_name="key",
        key_type="rsa",
        bastion=None,
        groups=(
            InstanceGroup(name="nodes", role=GroupRole.NODE, subnets=("eu-west-1a", "eu-west-1b")),
        ),
    )
    return replace(base, **change)


def pool(name: str = "game-servers", **change: Any) -> PoolSpec:
    return replace(PoolSpec(name=name), **change)


IMAGE = ImageFacts(
    image_id="ami-1",
    name="Windows_Server-2019-English-Core-Base-2026.08.13",
    release=WindowsRelease.WS2019,
    root_device="/dev/sda1",
    root_size_gb=30,
)


def choices(**change: Any) -> Choices:
    base = Choices(
        kubernetes_version="1.34.5",
        runtime=Runtime.CONTAINERD,
        image=IMAGE,
        user_data="<powershell></powershell>",
        spec_hash="0123456789abcdef",
    )
    return replace(base, **change)


def desired(count: int = 1, **change: Any) -> Any:
    request = NodeRequest(pool=pool(count=count, **change))
    return desired_nodes(request, facts(), choices())


def instance(number: int = 1, **change: Any) -> ObservedInstance:
    base = ObservedInstance(
        instance_id=InstanceId(f"i-{number}"),
        state=InstanceState.RUNNING,
        private_ip=f"172.20.32.{number}",
        private_dns=f"ip-172-20-32-{number}.ec2.internal",
        zone="eu-west-1a",
        subnet_id="subnet-a",
        image_id="ami-1",
        instance_type="m5.xlarge",
        launched_at="2026-11-23T10:00:00Z",
        tags={
            Tag.OWNED.value: "true",
            Tag.NODE.value: f"game-servers-{number}",
            Tag.POOL.value: "game-servers",
        },
    )
    return replace(base, **change)


def kube_node(number: int = 1, *, os: str = "windows", vni: int = 4096, **change: Any) -> KubeNode:
    base = KubeNode(
        name=KubeNodeName(f"i-{number}"),
        uid=f"uid-{number}",
        labels={
            "kubernetes.io/os": os,
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": f"i-{number}",
            **(
                {POOL_LABEL: "game-servers", "node.kubernetes.io/windows-build": "10.0.17763"}
                if os == "windows"
                else {}
            ),
        },
        annotations={
            "flannel.alpha.coreos.com/backend-data": ANNOTATION % (vni, f"0e:{number:02x}"),
            "bootstrap.node/spec-hash": "0123456789abcdef",
        },
        taints=(),
        provider_id=f"aws:///eu-west-1a/i-{number}",
        pod_cidr=f"100.96.{number}.0/24",
        ready=True,
        unschedulable=False,
        kubelet_version="v1.34.5",
        kube_proxy_version="v1.34.5",
        runtime_version="containerd://2.3.4",
        os_image="Windows Server 2019 Datacenter",
        internal_ip=f"172.20.32.{number}",
        created_at="2026-11-23T10:05:00Z",
        conditions={"Ready": "True"},
    )
    return replace(base, **change)


def identity(**change: Any) -> ClusterIdentity:
    base = ClusterIdentity(uid="u", version="v1.34.5", ca_pem="", server="https://127.0.0.1:1")
    return replace(base, **change)


def flannel(backend: dict[str, object] | None = None) -> FlannelConfig:
    found = {"Type": "vxlan", "VNI": 4096, "Port": 4789} if backend is None else backend
    return FlannelConfig(
        namespace="kube-flannel",
        config_map="kube-flannel-cfg",
        daemon_set="kube-flannel-ds",
        net_conf={"Network": "100.64.0.0/10", "Backend": found},
        cni_network_name="cbr0",
    )
