"""kops' documents become facts. Pure: texts in, values out; the adapter fetches the texts.

The CA bundle comes from public places only: ``pki/issued`` (kops <= 1.21), the node's nodeupconfig
(1.22 - 1.25), or the user data of the nodes' launch template (>= 1.26). ``pki/private`` holds the
CA's certificate too, beside its key, and is never read.
Sources: kops ``pkg/apis/kops/v1alpha2/{cluster,instancegroup}.go``, ``upup/pkg/fi/keyset.go``,
``pkg/apis/nodeup/config.go``, ``upup/models/cloudup`` and the stores that real kops versions wrote.
"""

from __future__ import annotations

import base64
import gzip
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from bootstrap.model.cluster import (
    ApiEndpoint,
    AwsFacts,
    Bastion,
    CloudProviderMode,
    ClusterFacts,
    ClusterName,
    Cni,
    Era,
    GroupRole,
    InstanceGroup,
    KubeletSpec,
    NameResolution,
    NetworkFacts,
    NodeNaming,
    StoreFacts,
    Subnet,
    SubnetId,
    SubnetType,
    VpcId,
)

Spec = Mapping[str, Any]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

API_VERSIONS = ("kops/v1alpha2", "kops.k8s.io/v1alpha2")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
ROLES = {
    "Master": GroupRole.CONTROL_PLANE,
    "ControlPlane": GroupRole.CONTROL_PLANE,
    "Node": GroupRole.NODE,
    "Bastion": GroupRole.BASTION,
    "APIServer": GroupRole.API_SERVER,
}
# kops' own defaults where a spec of an old version does not say (upup/pkg/fi/cloudup/defaults.go).
NON_MASQUERADE_CIDR = "100.64.0.0/10"
POD_CIDR = "100.96.0.0/11"
SERVICE_CIDR = "100.64.0.0/13"
API_PORT = 443


class SpecError(ValueError):
    """A document is not what kops writes; the message says what is wrong in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreDocuments:
    """The texts of one cluster in a state store; '' where an object is not there."""

    completed_spec: str
    is_modern_layout: bool
    """``cluster-completed.spec`` was there, not only ``cluster.spec``."""
    kops_version: str
    groups: Mapping[str, str]
    ca_keyset: str = ""
    """``pki/issued/ca/keyset.yaml``, which has public material only."""
    ca_certificates: tuple[str, ...] = ()
    """``pki/issued/ca/*.crt`` of stores without keyset files."""
    nodeup_config: str = ""
    """A node group's ``nodeupconfig.yaml``."""


def parse_object(text: str, kind: str) -> Spec:
    """Read one kops object; SpecError when it is no ``kind`` of a version that we know."""
    try:
        document = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as exc:
        raise SpecError(f"no YAML: {exc}") from exc
    if not isinstance(document, dict) or document.get("kind", kind) != kind:
        raise SpecError(f"no {kind} object")
    version = document.get("apiVersion", API_VERSIONS[0])
    if version not in API_VERSIONS:
        raise SpecError(f"apiVersion {version} is not one of {', '.join(API_VERSIONS)}")
    return document


def store_facts(documents: StoreDocuments) -> StoreFacts:
    """Read what the store tells of a cluster; SpecError names the field that is missing."""
    cluster = parse_object(documents.completed_spec, "Cluster")
    spec: Spec = cluster.get("spec") or {}
    name = ClusterName(_required(cluster.get("metadata") or {}, "name"))
    kops_version = documents.kops_version.strip().removeprefix("v")
    version = str(_required(spec, "kubernetesVersion")).removeprefix("v")
    mode = cloud_provider_mode(spec, version)
    resolution = name_resolution(name, spec)
    groups = tuple(
        instance_group(n, parse_object(t, "InstanceGroup"))
        for n, t in sorted(documents.groups.items())
    )
    return StoreFacts(
        name=name,
        kubernetes_version=version,
        kops_version=kops_version,
        era=era(documents, kops_version),
        cloud_provider=_cloud(spec),
        api_host=f"api.internal.{name}",
        resolution=resolution,
        ca_bundle=ca_bundle(documents),
        node_naming=node_naming(spec, mode, version, kops_version),
        cloud_provider_mode=mode,
        vpc_id=VpcId(str(spec.get("networkID") or "")),
        vpc_cidr=str(spec.get("networkCIDR") or ""),
        **_network(spec),
        is_ipv6=_is_ipv6(spec),
        subnets=tuple(_subnet(item) for item in spec.get("subnets") or ()),
        groups=groups,
        ssh_key_name=str(spec.get("sshKeyName") or ""),
        bastion_host=_bastion_host(name, spec, groups, resolution),
        kubelet=_kubelet(spec.get("kubelet") or {}),
        api_load_balancer=_load_balancer(spec),
        api_server_authorization=tuple(
            str((spec.get("kubeAPIServer") or {}).get("authorizationMode") or "").split(",")
        ),
        dns_zone=str(spec.get("dnsZone") or ""),
        cloud_labels=tuple(sorted((spec.get("cloudLabels") or {}).items())),
    )


def era(documents: StoreDocuments, kops_version: str) -> Era:
    """Tell the generation of kops by the layout and by the version that it noted."""
    if not documents.is_modern_layout:
        return Era.SHARED_CERTIFICATE
    return Era.CONFIG_SERVER if _minor(kops_version) >= 26 else Era.COMPLETED_SPEC


def cloud_provider_mode(spec: Spec, version: str) -> CloudProviderMode:
    """Tell who plays the cloud provider, from the kubelet's spec, else by version."""
    kubelet = spec.get("kubelet") or {}
    named = kubelet.get("cloudProvider") or (
        "external" if _minor(version) >= 24 or spec.get("cloudControllerManager") else "aws"
    )
    return CloudProviderMode.EXTERNAL if named == "external" else CloudProviderMode.IN_TREE


def node_naming(spec: Spec, mode: CloudProviderMode, version: str, kops_version: str) -> NodeNaming:
    """Tell what the cluster calls its nodes.

    Instance ids since kops 1.23 where the cloud controller manager runs, unless
    ``cloudConfig.useIPBasedNodeNames`` (kops 1.37) says otherwise.
    """
    if (spec.get("cloudConfig") or {}).get("useIPBasedNodeNames"):
        return NodeNaming.PRIVATE_DNS
    by_id = mode is CloudProviderMode.EXTERNAL and _minor(version) >= 22
    return (
        NodeNaming.INSTANCE_ID if by_id and _minor(kops_version) >= 23 else NodeNaming.PRIVATE_DNS
    )


def name_resolution(name: str, spec: Spec) -> NameResolution:
    """Tell how ``api.internal.<cluster>`` resolves inside the VPC."""
    dns_type = str(((spec.get("topology") or {}).get("dns") or {}).get("type") or "")
    if dns_type.lower() == "none":
        return NameResolution.NONE
    return NameResolution.GOSSIP if name.endswith(".k8s.local") else NameResolution.DNS_ZONE


def instance_group(name: str, document: Spec) -> InstanceGroup:
    """Read an instance group."""
    spec: Spec = document.get("spec") or {}
    role = str(_required(spec, "role"))
    if role not in ROLES:
        raise SpecError(f"instance group {name} has role {role}")
    return InstanceGroup(
        name=str((document.get("metadata") or {}).get("name") or name),
        role=ROLES[role],
        subnets=tuple(map(str, spec.get("subnets") or ())),
        machine_type=str(spec.get("machineType") or ""),
        image=str(spec.get("image") or ""),
        min_size=int(spec.get("minSize") or 0),
        max_size=int(spec.get("maxSize") or 0),
        security_group_override=str(spec.get("securityGroupOverride") or ""),
        additional_security_groups=tuple(map(str, spec.get("additionalSecurityGroups") or ())),
        iam_profile=str((spec.get("iam") or {}).get("profile") or ""),
        associate_public_ip=spec.get("associatePublicIp"),
    )


def ca_bundle(documents: StoreDocuments) -> str:
    """Return every trusted CA certificate that the store shows openly, '' when it shows none."""
    if documents.ca_keyset:
        return keyset_bundle(documents.ca_keyset)
    if documents.ca_certificates:
        return _bundle(documents.ca_certificates)
    config = yaml.load(documents.nodeup_config or "{}", Loader=_Loader)
    authorities = (config.get("CAs") if isinstance(config, dict) else None) or {}
    found = authorities.get("kubernetes-ca") or authorities.get("ca") or ""
    return _bundle(CERTIFICATE.findall(str(found)))


def keyset_bundle(text: str) -> str:
    """Return all certificates of a keyset that are not distrusted, the primary one first.

    Primary is ``primaryId``, else the greatest id; ids that are no numbers do not count (kops
    ``upup/pkg/fi/keyset.go`` FindPrimary). Private material, where there is any, is dropped unread.
    """
    spec: Spec = parse_object(text, "Keyset").get("spec") or {}
    keys = {
        str(key.get("id")): key.get("publicMaterial")
        for key in spec.get("keys") or ()
        if not key.get("distrustTimestamp") and str(key.get("id")).isdigit()
    }
    primary = str(spec.get("primaryId") or "")
    order = sorted(keys, key=lambda key: (key == primary, int(key)), reverse=True)
    return _bundle(_decoded(keys[key]) for key in order if keys[key])


def ca_from_user_data(text: str) -> str:
    """Find the CA bundle in a node's user data (``ConfigServer: CACertificates``), '' if none.

    Takes the text as EC2 gives it decoded once, or still base64, gzip or both.
    """
    return _bundle(dict.fromkeys(map(_unindented, CERTIFICATE.findall(_clear(text)))))


def _clear(text: str) -> str:
    if "CERTIFICATE" in text or "kube_env" in text:
        return text
    try:
        data = base64.b64decode(text, validate=False)
        return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except (ValueError, OSError, EOFError):
        return text


def _unindented(certificate: str) -> str:
    return "\n".join(line.strip() for line in certificate.splitlines())


def _bundle(certificates: Iterable[str]) -> str:
    texts = [_unindented(text.strip()) for text in certificates if text.strip()]
    return "".join(f"{text}\n" for text in texts)


def _decoded(material: object) -> str:
    try:
        return base64.b64decode(str(material)).decode("ascii")
    except ValueError as exc:
        raise SpecError("a keyset's publicMaterial is no base64 PEM") from exc


def _network(spec: Spec) -> dict[str, Any]:
    manager, dns = spec.get("kubeControllerManager") or {}, spec.get("kubeDNS") or {}
    service_cidr = str(spec.get("serviceClusterIPRange") or SERVICE_CIDR)
    kubelet = spec.get("kubelet") or {}
    return {
        "pod_cidr": str(spec.get("podCIDR") or manager.get("clusterCIDR") or POD_CIDR),
        "service_cidr": service_cidr,
        "non_masquerade_cidr": str(spec.get("nonMasqueradeCIDR") or NON_MASQUERADE_CIDR),
        # Never kubelet.clusterDNS: with NodeLocal DNS that is a link-local, Linux-only address.
        "dns_service_ip": str(dns.get("serverIP") or _tenth_address(service_cidr)),
        "cluster_domain": str(
            spec.get("clusterDNSDomain") or kubelet.get("clusterDomain") or "cluster.local"
        ),
        "node_local_dns": bool((dns.get("nodeLocalDNS") or {}).get("enabled")),
        "cni": _cni(spec),
        "kube_proxy_enabled": (spec.get("kubeProxy") or {}).get("enabled") is not False,
    }


def _tenth_address(cidr: str) -> str:
    network = ipaddress.ip_network(cidr, strict=False)
    return str(network.network_address + 10)


def _cni(spec: Spec) -> Cni:
    networking = spec.get("networking") or {}
    for name, settings in networking.items():
        if not isinstance(settings, dict) or name in ("topology", "egress"):
            continue
        settings = settings or {}
        # An empty backend of old versions means udp (kops pkg/model/components/networking.go).
        backend = settings.get("backend") or ("udp" if name == "flannel" else "")
        return Cni(name=name, backend=str(backend or settings.get("encapsulationMode") or ""))
    return Cni(name="")


def _is_ipv6(spec: Spec) -> bool:
    ranges = (spec.get("podCIDR"), spec.get("nonMasqueradeCIDR"), spec.get("serviceClusterIPRange"))
    return any(":" in str(cidr or "") for cidr in ranges)


def _cloud(spec: Spec) -> str:
    provider = spec.get("cloudProvider") or "aws"
    return str(next(iter(provider))) if isinstance(provider, dict) else str(provider)


def _subnet(item: Spec) -> Subnet:
    kind = str(item.get("type") or "Public")
    return Subnet(
        name=str(_required(item, "name")),
        type=SubnetType(kind) if kind in set(SubnetType) else SubnetType.PUBLIC,
        zone=str(item.get("zone") or ""),
        cidr=str(item.get("cidr") or ""),
        subnet_id=SubnetId(str(item.get("id") or "")),
        shared=bool(item.get("id")),
        egress=str(item.get("egress") or ""),
    )


def _kubelet(kubelet: Spec) -> KubeletSpec:
    return KubeletSpec(
        anonymous_auth=kubelet.get("anonymousAuth"),
        authorization_mode=str(kubelet.get("authorizationMode") or ""),
        authentication_token_webhook=kubelet.get("authenticationTokenWebhook"),
        feature_gates=tuple(
            sorted((k, str(v)) for k, v in (kubelet.get("featureGates") or {}).items())
        ),
    )


def _load_balancer(spec: Spec) -> str:
    balancer = (spec.get("api") or {}).get("loadBalancer")
    if not isinstance(balancer, dict):
        return ""
    return str(balancer.get("class") or "Classic").lower()


def _bastion_host(
    name: str, spec: Spec, groups: Sequence[InstanceGroup], resolution: NameResolution
) -> str:
    bastion = (spec.get("topology") or {}).get("bastion") or {}
    named = bastion.get("bastionPublicName") or (bastion.get("loadBalancer") or {}).get("name")
    if named:
        return str(named)
    has_group = any(group.role is GroupRole.BASTION for group in groups)
    return f"bastion.{name}" if has_group and resolution is NameResolution.DNS_ZONE else ""


def _required(mapping: Spec, key: str) -> Any:
    value = mapping.get(key)
    if value in (None, ""):
        raise SpecError(f"{key} is missing")
    return value


def _minor(version: str) -> int:
    found = re.match(r"v?1\.(\d+)", version)
    return int(found.group(1)) if found else 0


# -- with what AWS knows --


def assemble(store: StoreFacts, aws: AwsFacts) -> ClusterFacts:
    """Add AWS' ids to the store's facts."""
    resolves = store.resolution is NameResolution.DNS_ZONE
    return ClusterFacts(
        name=store.name,
        region=aws.region,
        account=aws.account,
        kubernetes_version=store.kubernetes_version,
        kops_version=store.kops_version,
        era=store.era,
        network=NetworkFacts(
            vpc_id=aws.vpc_id or store.vpc_id,
            vpc_cidr=aws.vpc_cidr or store.vpc_cidr,
            pod_cidr=store.pod_cidr,
            service_cidr=store.service_cidr,
            non_masquerade_cidr=store.non_masquerade_cidr,
            dns_service_ip=store.dns_service_ip,
            cluster_domain=store.cluster_domain,
            node_local_dns=store.node_local_dns,
            cni=store.cni,
            kube_proxy_enabled=store.kube_proxy_enabled,
            subnets=tuple(_with_id(subnet, aws.subnets) for subnet in store.subnets),
        ),
        api=ApiEndpoint(
            host=store.api_host,
            port=API_PORT,
            resolution=store.resolution,
            addresses=() if resolves else aws.api_addresses,
        ),
        ca_bundle=store.ca_bundle or aws.ca_bundle,
        node_naming=store.node_naming,
        cloud_provider_mode=store.cloud_provider_mode,
        node_security_groups=aws.node_security_groups,
        node_instance_profile=aws.node_instance_profile,
        key_name=aws.key_name,
        key_type=aws.key_type,
        bastion=_bastion(store, aws),
        groups=store.groups,
        kubelet=store.kubelet,
        cloud_labels=store.cloud_labels,
    )


def _with_id(subnet: Subnet, known: Sequence[Subnet]) -> Subnet:
    for found in known:
        by_id = bool(subnet.subnet_id) and found.subnet_id == subnet.subnet_id
        by_name = bool(found.name) and found.name == subnet.name and not subnet.subnet_id
        by_cidr = not found.name and found.cidr == subnet.cidr
        if by_id or by_name or by_cidr:
            return replace(
                subnet,
                subnet_id=found.subnet_id,
                zone=found.zone or subnet.zone,
                cidr=found.cidr or subnet.cidr,
                available_addresses=found.available_addresses,
            )
    return subnet


def _bastion(store: StoreFacts, aws: AwsFacts) -> Bastion | None:
    has_group = any(group.role is GroupRole.BASTION for group in store.groups)
    host = store.bastion_host or aws.bastion_host
    return Bastion(host=host) if has_group and host else None
