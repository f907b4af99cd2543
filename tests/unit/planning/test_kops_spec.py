"""kops' documents, one field at a time: what each era and each odd store says."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from bootstrap.model.cluster import (
    CloudProviderMode,
    ClusterName,
    Cni,
    Era,
    GroupRole,
    NameResolution,
    NodeNaming,
    StoreFacts,
    SubnetType,
)
from bootstrap.planning import kops_spec
from bootstrap.planning.kops_spec import SpecError, StoreDocuments

NAME = "play.example.net"
SUBNET = {"name": "a", "type": "Public", "zone": "eu-west-1a", "cidr": "172.20.0.0/17"}


def facts(
    spec: dict[str, Any] | None = None,
    *,
    name: str = NAME,
    header: dict[str, Any] | None = None,
    groups: dict[str, str] | None = None,
    kops: str = "1.34.3",
    modern: bool = True,
    without: str = "",
    fingerprints: tuple[str, ...] = (),
) -> StoreFacts:
    body: dict[str, Any] = {
        "cloudProvider": "aws",
        "kubernetesVersion": "1.34.5",
        "networkCIDR": "172.20.0.0/16",
        "networking": {"flannel": {"backend": "vxlan"}},
        "subnets": [SUBNET],
        "topology": {"dns": {"type": "Public"}},
        **(spec or {}),
    }
    body.pop(without, None)
    cluster = {
        "apiVersion": "kops.k8s.io/v1alpha2",
        "kind": "Cluster",
        "metadata": {"name": name},
        **(header or {}),
        "spec": body,
    }
    return kops_spec.store_facts(
        StoreDocuments(
            name=ClusterName(name),
            completed_spec=yaml.safe_dump(cluster),
            is_modern_layout=modern,
            kops_version=kops,
            groups=groups or {},
            ssh_fingerprints=fingerprints,
        )
    )


def group(**spec: Any) -> str:
    return yaml.safe_dump(
        {"kind": "InstanceGroup", "metadata": {"name": "nodes"}, "spec": {"role": "Node", **spec}}
    )


# -- reading --


@pytest.mark.parametrize("version", ["kops.k8s.io/v1alpha2", "kops/v1alpha2"])
def test_both_spellings_of_the_api_version_are_read(version: str) -> None:
    assert facts(header={"apiVersion": version}).name == NAME


def test_spec_of_kops_1_18_without_kind_and_version_is_read() -> None:
    assert facts(header={"apiVersion": None, "kind": None}).name == NAME


def test_other_api_version_is_named() -> None:
    with pytest.raises(SpecError, match="apiVersion kops.k8s.io/v1beta9 is not one of"):
        facts(header={"apiVersion": "kops.k8s.io/v1beta9"})


def test_other_kind_is_named() -> None:
    with pytest.raises(SpecError, match="it is a InstanceGroup, not a Cluster"):
        facts(header={"kind": "InstanceGroup"})


def test_spec_of_another_cluster_is_refused() -> None:
    with pytest.raises(SpecError, match="another cluster, other.example.com"):
        facts(header={"metadata": {"name": "other.example.com"}})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kubernetesVersion": None}, "kubernetesVersion is missing"),
        ({"kubernetesVersion": "newest"}, "kubernetesVersion is no version: newest"),
        ({"kubernetesVersion": ["1.34.5"]}, "kubernetesVersion is no text"),
        ({"networkCIDR": "172.20.0.0/33"}, "networkCIDR is no network"),
        ({"subnets": {"a": 1}}, "subnets is no list"),
        ({"subnets": ["a"]}, "subnets is no mapping"),
        ({"subnets": [{**SUBNET, "type": "Secret"}]}, "subnet a has the unknown type Secret"),
        ({"subnets": [{"type": "Public"}]}, "name is missing"),
        ({"kubeDNS": {"serverIP": "ten"}}, "kubeDNS.serverIP is no address"),
        ({"kubeProxy": {"enabled": "perhaps"}}, "neither true nor false"),
        ({"networking": "flannel"}, "networking is no mapping"),
        ({"kubelet": []}, "kubelet is no mapping"),
    ],
)
def test_fault_is_named_with_field_and_object(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        facts(spec)
    assert caught.value.path == "cluster-completed.spec"


def test_fault_in_an_instance_group_names_the_group() -> None:
    with pytest.raises(SpecError, match="the role Cook is unknown") as caught:
        facts(groups={"nodes": group(role="Cook")})
    assert caught.value.path == "instancegroup/nodes"


@pytest.mark.parametrize("text", ["a: [", "just text", "- 1\n", "", "{1: 2}", "a: &a [*a]"])
def test_what_is_no_kops_object_is_refused(text: str) -> None:
    documents = StoreDocuments(
        name=ClusterName(NAME),
        completed_spec=text,
        is_modern_layout=False,
        kops_version="",
        groups={},
    )
    with pytest.raises(SpecError) as caught:
        kops_spec.store_facts(documents)
    assert caught.value.path == "cluster.spec"


# -- versions and eras --


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("v1.34.5", "1.34.5"),
        ("1.34.5", "1.34.5"),
        ("1.26.0-alpha.0", "1.26.0-alpha.0"),
        ("https://dl.example.com/ci/v1.36.0-alpha.1+abc/", "1.36.0-alpha.1+abc"),
    ],
)
def test_kubernetes_version_loses_its_v(written: str, version: str) -> None:
    assert facts({"kubernetesVersion": written}).kubernetes_version == version


def test_kops_version_loses_its_v_and_line_end() -> None:
    assert facts(kops="v1.34.3\n").kops_version == "1.34.3"


@pytest.mark.parametrize(
    ("modern", "kops", "era"),
    [
        (False, "", Era.SHARED_CERTIFICATE),
        (False, "1.21.5", Era.SHARED_CERTIFICATE),
        (True, "1.22.6", Era.COMPLETED_SPEC),
        (True, "1.25.4", Era.COMPLETED_SPEC),
        (True, "1.26.0-beta.1", Era.CONFIG_SERVER),
        (True, "1.37.0", Era.CONFIG_SERVER),
    ],
)
def test_layout_and_kops_version_tell_the_era(modern: bool, kops: str, era: Era) -> None:
    assert facts(modern=modern, kops=kops).era is era


def test_without_a_kops_version_the_internal_name_tells_the_era() -> None:
    assert facts(kops="").era is Era.CONFIG_SERVER
    assert facts({"masterInternalName": "x"}, kops="").era is Era.COMPLETED_SPEC


# -- names --

EXTERNAL = {"kubelet": {"cloudProvider": "external"}, "cloudControllerManager": {}}
IN_TREE = {"kubelet": {"cloudProvider": "aws", "hostnameOverride": "@aws"}}


@pytest.mark.parametrize(
    ("spec", "kubernetes", "kops", "naming"),
    [
        (IN_TREE, "1.22.17", "1.22.6", NodeNaming.PRIVATE_DNS),
        (IN_TREE, "1.23.17", "1.25.4", NodeNaming.PRIVATE_DNS),
        (EXTERNAL, "1.22.17", "1.22.6", NodeNaming.PRIVATE_DNS),
        (EXTERNAL, "1.22.17", "1.23.0", NodeNaming.INSTANCE_ID),
        (EXTERNAL, "1.21.0", "1.23.0", NodeNaming.PRIVATE_DNS),
        (EXTERNAL, "1.24.17", "1.24.5", NodeNaming.INSTANCE_ID),
        (EXTERNAL, "1.36.1", "1.36.2", NodeNaming.INSTANCE_ID),
        (
            {**EXTERNAL, "cloudConfig": {"useIPBasedNodeNames": True}},
            "1.37.0",
            "1.37.0",
            NodeNaming.PRIVATE_DNS,
        ),
    ],
)
def test_nodes_are_named_as_that_kops_names_them(
    spec: dict[str, Any], kubernetes: str, kops: str, naming: NodeNaming
) -> None:
    assert facts({**spec, "kubernetesVersion": kubernetes}, kops=kops).node_naming is naming


def test_cloud_controller_manager_makes_the_provider_external() -> None:
    assert facts(EXTERNAL).cloud_provider_mode is CloudProviderMode.EXTERNAL
    assert facts(IN_TREE).cloud_provider_mode is CloudProviderMode.IN_TREE


@pytest.mark.parametrize(
    ("name", "dns", "resolution"),
    [
        (NAME, {"type": "Public"}, NameResolution.DNS_ZONE),
        (NAME, {"type": "Private"}, NameResolution.DNS_ZONE),
        (NAME, None, NameResolution.DNS_ZONE),
        (NAME, {"type": "None"}, NameResolution.NONE),
        ("play.k8s.local", {"type": "Private"}, NameResolution.GOSSIP),
        ("play.k8s.local", {"type": "None"}, NameResolution.NONE),
    ],
)
def test_topology_and_name_tell_how_the_api_resolves(
    name: str, dns: object, resolution: NameResolution
) -> None:
    assert facts({"topology": {"dns": dns}}, name=name).resolution is resolution


def test_internal_name_counts_until_kops_1_25_only() -> None:
    spec = {"masterInternalName": "api.inside.example.net"}
    assert facts(spec, kops="1.25.4").api_host == "api.inside.example.net"
    assert facts(spec, kops="1.26.0").api_host == f"api.internal.{NAME}"
    assert facts(modern=False).api_host == f"api.internal.{NAME}"


def test_other_cloud_is_told_in_both_spellings() -> None:
    assert facts({"cloudProvider": "gce"}).cloud_provider == "gce"
    assert facts({"cloudProvider": {"azure": {}}}).cloud_provider == "azure"
    assert facts(without="cloudProvider").cloud_provider == ""


# -- network --


def test_pod_range_falls_back_as_old_specs_need_it() -> None:
    manager = {"kubeControllerManager": {"clusterCIDR": "100.80.0.0/12"}}
    proxy = {"kubeProxy": {"clusterCIDR": "100.112.0.0/12"}}
    assert facts({"podCIDR": "100.100.0.0/16", **manager}).pod_cidr == "100.100.0.0/16"
    assert facts({**manager, **proxy}).pod_cidr == "100.80.0.0/12"
    assert facts(proxy).pod_cidr == "100.112.0.0/12"
    assert facts().pod_cidr == "100.96.0.0/11"
    assert facts({"nonMasqueradeCIDR": "10.0.0.0/8"}).pod_cidr == "10.128.0.0/9"


def test_service_range_falls_back_to_the_api_servers() -> None:
    server = {"kubeAPIServer": {"serviceClusterIPRange": "10.1.0.0/16"}}
    assert facts(server).service_cidr == "10.1.0.0/16"
    assert facts({**server, "serviceClusterIPRange": "10.2.0.0/16"}).service_cidr == "10.2.0.0/16"
    assert facts().service_cidr == "100.64.0.0/13"


def test_dns_address_is_the_services_with_node_local_dns_too() -> None:
    read = facts(
        {
            "kubelet": {"clusterDNS": "169.254.20.10"},
            "kubeDNS": {
                "serverIP": "100.64.0.10",
                "nodeLocalDNS": {"enabled": True, "localIP": "169.254.20.10"},
            },
        }
    )
    assert (read.dns_service_ip, read.node_local_dns) == ("100.64.0.10", True)


def test_dns_address_without_server_ip_is_the_tenth_of_the_services() -> None:
    read = facts(
        {"serviceClusterIPRange": "10.1.0.0/16", "kubelet": {"clusterDNS": "169.254.20.10"}}
    )
    assert (read.dns_service_ip, read.node_local_dns) == ("10.1.0.10", False)


@pytest.mark.parametrize(
    ("networking", "cni"),
    [
        ({"flannel": {"backend": "vxlan"}}, Cni(name="flannel", backend="vxlan")),
        ({"flannel": {"backend": "udp"}}, Cni(name="flannel", backend="udp")),
        ({"flannel": {}}, Cni(name="flannel", backend="udp")),
        ({"flannel": None}, Cni(name="flannel", backend="udp")),
        ({"calico": {"encapsulationMode": "vxlan"}}, Cni(name="calico", backend="vxlan")),
        ({"cilium": {"tunnel": "disabled"}}, Cni(name="cilium", backend="disabled")),
        ({"kubenet": {}}, Cni(name="kubenet")),
        ({"cni": {}}, Cni(name="cni")),
        ({}, Cni(name="")),
        (None, Cni(name="")),
    ],
)
def test_pod_network_and_backend_are_read(networking: object, cni: Cni) -> None:
    assert facts({"networking": networking}).cni == cni


def test_kube_proxy_is_off_only_when_the_spec_says_so() -> None:
    assert facts().kube_proxy_enabled
    assert facts({"kubeProxy": {"enabled": True}}).kube_proxy_enabled
    assert not facts({"kubeProxy": {"enabled": False}}).kube_proxy_enabled


def test_ipv6_cluster_is_told() -> None:
    spec = {"nonMasqueradeCIDR": "::/0", "podCIDR": "::/0", "serviceClusterIPRange": "fd00::/108"}
    read = facts(spec)
    assert read.is_ipv6
    assert read.dns_service_ip == "fd00::a"
    assert not facts().is_ipv6


def test_shared_subnet_and_vpc_keep_their_ids() -> None:
    read = facts(
        {
            "networkID": "vpc-1",
            "subnets": [
                {**SUBNET, "id": "subnet-1", "egress": "External"},
                {"name": "b", "type": "Utility", "zone": "eu-west-1b", "id": None},
                {"name": "c", "zone": "eu-west-1c"},
            ],
        }
    )
    first, second, third = read.subnets
    assert read.vpc_id == "vpc-1"
    assert (first.subnet_id, first.shared, first.egress) == ("subnet-1", True, "External")
    assert (second.subnet_id, second.shared, second.cidr) == ("", False, "")
    assert (second.type, third.type) == (SubnetType.UTILITY, SubnetType.PUBLIC)


# -- groups, keys, bastion, rest --


def test_instance_group_is_read_with_its_overrides() -> None:
    text = group(
        subnets=["a", "b"],
        machineType="t3.large",
        image="ami",
        minSize=1,
        maxSize=3,
        securityGroupOverride="sg-1",
        additionalSecurityGroups=["sg-2"],
        iam={"profile": "arn:aws:iam::1:instance-profile/own"},
        associatePublicIp=False,
    )
    (read,) = facts(groups={"nodes": text}).groups
    assert (read.subnets, read.min_size, read.max_size) == (("a", "b"), 1, 3)
    assert (read.security_group_override, read.additional_security_groups) == ("sg-1", ("sg-2",))
    assert read.iam_profile == "arn:aws:iam::1:instance-profile/own"
    assert read.associate_public_ip is False


@pytest.mark.parametrize(
    ("role", "wanted"),
    [
        ("Master", GroupRole.CONTROL_PLANE),
        ("ControlPlane", GroupRole.CONTROL_PLANE),
        ("APIServer", GroupRole.API_SERVER),
        ("Bastion", GroupRole.BASTION),
    ],
)
def test_roles_of_both_spellings_are_known(role: str, wanted: GroupRole) -> None:
    (read,) = facts(groups={"g": group(role=role)}).groups
    assert read.role is wanted


def test_key_pair_is_the_users_own_or_kops() -> None:
    fingerprint = "531a750c07d4020fb39faddbb2e3fe80"
    made = f"kubernetes.{NAME}-53:1a:75:0c:07:d4:02:0f:b3:9f:ad:db:b2:e3:fe:80"
    assert facts(fingerprints=(fingerprint,)).ssh_key_name == made
    assert facts({"sshKeyName": "mine"}, fingerprints=(fingerprint,)).ssh_key_name == "mine"
    assert facts({"sshKeyName": ""}, fingerprints=(fingerprint,)).ssh_key_name == ""
    assert facts(fingerprints=(fingerprint, "0" * 32)).ssh_key_name == ""
    assert facts().ssh_key_name == ""


def test_bastion_name_counts_only_while_there_is_a_bastion() -> None:
    spec = {"topology": {"bastion": {"bastionPublicName": "bastion.play.example.net"}}}
    bastions = {"bastions": group(role="Bastion")}
    assert facts(spec, groups=bastions).bastion_host == "bastion.play.example.net"
    assert facts(spec).bastion_host == ""
    assert facts(groups=bastions).bastion_host == ""


@pytest.mark.parametrize(
    ("api", "balancer"),
    [
        ({"dns": {}}, ""),
        (None, ""),
        ({"loadBalancer": {"type": "Public"}}, "classic"),
        ({"loadBalancer": {"type": "Internal", "class": "Network"}}, "network"),
    ],
)
def test_kind_of_the_api_load_balancer_is_told(api: object, balancer: str) -> None:
    assert facts({"api": api}).api_load_balancer == balancer


def test_kubelet_spec_is_mirrored() -> None:
    read = facts(
        {
            "kubelet": {
                "anonymousAuth": False,
                "authorizationMode": "Webhook",
                "authenticationTokenWebhook": True,
                "featureGates": {"B": "true", "A": False},
            },
            "kubeAPIServer": {"authorizationMode": "Node,RBAC"},
            "cloudLabels": {"team": "game", "cost": "1"},
        }
    )
    assert read.kubelet.anonymous_auth is False
    assert read.kubelet.authentication_token_webhook is True
    assert read.kubelet.authorization_mode == "Webhook"
    assert read.kubelet.feature_gates == (("A", "false"), ("B", "true"))
    assert read.api_server_authorization == ("Node", "RBAC")
    assert read.cloud_labels == (("cost", "1"), ("team", "game"))
