"""kops' documents become facts. Pure: texts in, values out; the adapter fetches the texts.

Sources: kops ``pkg/apis/kops/v1alpha2/{cluster,instancegroup}.go``,
``pkg/apis/kops/registry/registry.go`` (layout), ``nodeup/pkg/model/context.go`` (node names),
``pkg/model/awsmodel/sshkey.go`` (key pair), and stores that kops 1.18 to 1.36 wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bootstrap.model.cluster import (
    CloudProviderMode,
    ClusterName,
    Era,
    GroupRole,
    InstanceGroup,
    KubeletSpec,
    NodeNaming,
    StoreFacts,
    VpcId,
)
from bootstrap.planning import kops_keyset, kops_network
from bootstrap.planning.kops_assembly import assemble
from bootstrap.planning.kops_documents import (
    Document,
    SpecError,
    flag_at,
    has,
    number_at,
    pairs_at,
    parse_object,
    reading,
    required,
    section,
    text_at,
    texts_at,
)

__all__ = [
    "COMPLETED",
    "OLD",
    "SpecError",
    "StoreDocuments",
    "assemble",
    "store_facts",
]

COMPLETED: Final = "cluster-completed.spec"
OLD: Final = "cluster.spec"
"""kops <= 1.21; may lie there still, stale, after an upgrade."""

_ROLES: Final = {
    "Master": GroupRole.CONTROL_PLANE,
    "ControlPlane": GroupRole.CONTROL_PLANE,
    "Node": GroupRole.NODE,
    "Bastion": GroupRole.BASTION,
    "APIServer": GroupRole.API_SERVER,
}
_VERSION = re.compile(r"v?(\d+\.\d+(?:\.\d+)?(?:[-+][0-9A-Za-z.+-]+)?)")
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
# kops minors in which things changed; docs/releases of that kops.
_INSTANCE_ID_NAMES = 23
_CONFIG_SERVER = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreDocuments:
    """The texts of one cluster in a state store; '' where an object is not there."""

    name: ClusterName
    completed_spec: str
    is_modern_layout: bool
    """``cluster-completed.spec`` was there, not only ``cluster.spec``."""
    kops_version: str
    groups: Mapping[str, str]
    """Name -> text of ``instancegroup/<name>``."""
    nodeup_config: str = ""
    """A ``nodeupconfig.yaml`` that has the CA; preferably the control plane's."""
    ca_keyset: str = ""
    """``pki/issued/<ca>/keyset.yaml``, which has public material only."""
    ca_certificates: tuple[str, ...] = ()
    """``pki/issued/<ca>/*.crt`` of stores without keyset files."""
    ssh_fingerprints: tuple[str, ...] = ()
    """Names of the objects below ``pki/ssh/public/admin/``."""


def store_facts(documents: StoreDocuments) -> StoreFacts:
    """Read what the store tells of a cluster; SpecError says what is wrong, and in which object."""
    spec_path = COMPLETED if documents.is_modern_layout else OLD
    groups = _groups(documents)
    authority = _ca_bundle(documents)
    with reading(spec_path):
        cluster = parse_object(documents.completed_spec, "Cluster")
        named = text_at(cluster, "metadata", "name")
        if named not in ("", documents.name):
            raise SpecError(f"it is the spec of another cluster, {named}")
        return _facts(documents, section(cluster, "spec"), groups, authority)


def _facts(
    documents: StoreDocuments, spec: Document, groups: tuple[InstanceGroup, ...], authority: str
) -> StoreFacts:
    name = documents.name
    version = _version(required(spec, "kubernetesVersion"))
    kops_version = documents.kops_version.strip().removeprefix("v")
    era = _era(documents, spec)
    mode = _cloud_provider_mode(spec)
    return StoreFacts(
        name=name,
        kubernetes_version=version,
        kops_version=kops_version,
        era=era,
        cloud_provider=_cloud(spec),
        api_host=_api_host(name, spec, era),
        resolution=kops_network.name_resolution(name, spec),
        ca_bundle=authority,
        node_naming=_node_naming(spec, mode, version, kops_version),
        cloud_provider_mode=mode,
        vpc_id=VpcId(text_at(spec, "networkID")),
        vpc_cidr=kops_network.vpc_cidr(spec),
        pod_cidr=kops_network.pod_cidr(spec),
        service_cidr=kops_network.service_cidr(spec),
        non_masquerade_cidr=kops_network.non_masquerade_cidr(spec),
        dns_service_ip=kops_network.dns_service_ip(spec),
        cluster_domain=kops_network.cluster_domain(spec),
        node_local_dns=kops_network.uses_node_local_dns(spec),
        cni=kops_network.cni(spec),
        kube_proxy_enabled=kops_network.runs_kube_proxy(spec),
        is_ipv6=kops_network.is_ipv6(spec),
        subnets=kops_network.subnets(spec),
        groups=groups,
        ssh_key_name=_ssh_key_name(name, spec, documents.ssh_fingerprints),
        bastion_host=_bastion_host(spec, groups),
        kubelet=_kubelet(section(spec, "kubelet")),
        api_load_balancer=_load_balancer(spec),
        api_server_authorization=tuple(
            filter(None, text_at(spec, "kubeAPIServer", "authorizationMode").split(","))
        ),
        dns_zone=text_at(spec, "dnsZone"),
        cloud_labels=pairs_at(spec, "cloudLabels"),
    )


def _groups(documents: StoreDocuments) -> tuple[InstanceGroup, ...]:
    groups = []
    for name, text in sorted(documents.groups.items()):
        with reading(f"instancegroup/{name}"):
            groups.append(_group(name, parse_object(text, "InstanceGroup")))
    return tuple(groups)


def _group(name: str, document: Document) -> InstanceGroup:
    spec = section(document, "spec")
    role = required(spec, "role")
    if role not in _ROLES:
        raise SpecError(f"the role {role} is unknown")
    return InstanceGroup(
        name=text_at(document, "metadata", "name") or name,
        role=_ROLES[role],
        subnets=texts_at(spec, "subnets"),
        machine_type=text_at(spec, "machineType"),
        image=text_at(spec, "image"),
        min_size=number_at(spec, "minSize"),
        max_size=number_at(spec, "maxSize"),
        security_group_override=text_at(spec, "securityGroupOverride"),
        additional_security_groups=texts_at(spec, "additionalSecurityGroups"),
        iam_profile=text_at(spec, "iam", "profile"),
        associate_public_ip=flag_at(spec, "associatePublicIp"),
    )


def _ca_bundle(documents: StoreDocuments) -> str:
    """Return the trusted certificates of the cluster's CA, '' when the store shows none."""
    if documents.nodeup_config:
        with reading("igconfig"):
            found = kops_keyset.bundle_of_nodeup_config(documents.nodeup_config)
        if found:
            return found
    if documents.ca_keyset:
        with reading("pki/issued"):
            return kops_keyset.bundle_of_keyset(documents.ca_keyset)
    return kops_keyset.bundle(documents.ca_certificates)


def _era(documents: StoreDocuments, spec: Document) -> Era:
    if not documents.is_modern_layout:
        return Era.SHARED_CERTIFICATE
    minor = _minor(documents.kops_version)
    if minor is None:
        # Only a store that somebody has touched lacks the version; since kops 1.26 the completed
        # spec has no masterInternalName.
        return Era.COMPLETED_SPEC if has(spec, "masterInternalName") else Era.CONFIG_SERVER
    return Era.CONFIG_SERVER if minor >= _CONFIG_SERVER else Era.COMPLETED_SPEC


def _cloud_provider_mode(spec: Document) -> CloudProviderMode:
    named = text_at(spec, "kubelet", "cloudProvider")
    if named == "external" or has(spec, "cloudControllerManager"):
        return CloudProviderMode.EXTERNAL
    return CloudProviderMode.IN_TREE


def _node_naming(
    spec: Document, mode: CloudProviderMode, version: str, kops_version: str
) -> NodeNaming:
    """Tell what the cluster calls its nodes.

    By instance id since kops 1.23 where the cloud controller manager runs (Kubernetes >= 1.22),
    unless ``cloudConfig.useIPBasedNodeNames`` (kops 1.37) says otherwise.
    """
    kops_minor, minor = _minor(kops_version), _minor(version)
    by_id = (
        mode is CloudProviderMode.EXTERNAL
        and (minor or 0) >= 22
        and (kops_minor is None or kops_minor >= _INSTANCE_ID_NAMES)
        and not flag_at(spec, "cloudConfig", "useIPBasedNodeNames")
    )
    return NodeNaming.INSTANCE_ID if by_id else NodeNaming.PRIVATE_DNS


def _api_host(name: str, spec: Document, era: Era) -> str:
    """Return the name for nodes; since kops 1.26 ``masterInternalName`` is not used any more."""
    named = "" if era is Era.CONFIG_SERVER else text_at(spec, "masterInternalName")
    return named or f"api.internal.{name}"


def _cloud(spec: Document) -> str:
    provider = spec.get("cloudProvider")
    # kops' newer API, v1alpha3, has a mapping with one key here.
    return (
        next(iter(provider), "") if isinstance(provider, dict) else text_at(spec, "cloudProvider")
    )


def _kubelet(kubelet: Document) -> KubeletSpec:
    return KubeletSpec(
        anonymous_auth=flag_at(kubelet, "anonymousAuth"),
        authorization_mode=text_at(kubelet, "authorizationMode"),
        authentication_token_webhook=flag_at(kubelet, "authenticationTokenWebhook"),
        feature_gates=pairs_at(kubelet, "featureGates"),
    )


def _load_balancer(spec: Document) -> str:
    """Return ``classic``, ``network`` or ''; before kops 1.19 there was only the classic one."""
    if "loadBalancer" not in section(spec, "api"):
        return ""
    return (text_at(spec, "api", "loadBalancer", "class") or "Classic").lower()


def _ssh_key_name(name: str, spec: Document, fingerprints: Sequence[str]) -> str:
    """Return the EC2 key pair: the user's own, or the one that kops made of the admin key.

    An empty ``sshKeyName`` means no key at all.
    """
    if "sshKeyName" in spec:
        return text_at(spec, "sshKeyName")
    known = [item for item in fingerprints if _FINGERPRINT.fullmatch(item)]
    if len(known) != 1:
        return ""
    octets = ":".join(re.findall("..", known[0]))
    return f"kubernetes.{name}-{octets}"


def _bastion_host(spec: Document, groups: Sequence[InstanceGroup]) -> str:
    """Return the DNS name that the user gave the bastion; without one only AWS knows it."""
    if not any(group.role is GroupRole.BASTION for group in groups):
        return ""
    return text_at(spec, "topology", "bastion", "bastionPublicName")


def _version(value: str) -> str:
    """Cut the version out of ``v1.34.5``, or out of the URL of a test build."""
    found = _VERSION.fullmatch(value) or re.search(rf"/{_VERSION.pattern}", value)
    if not found:
        raise SpecError(f"kubernetesVersion is no version: {value}")
    return found[1]


def _minor(version: str) -> int | None:
    found = re.match(r"v?1\.(\d+)", version.strip())
    return int(found[1]) if found else None
