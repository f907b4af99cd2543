"""The addresses, names and pod network in a completed kops spec.

Sources: kops ``pkg/apis/kops/v1alpha2/{cluster,networking}.go``, ``pkg/apis/kops/cluster.go``
(``UsesNoneDNS``, ``UsesLegacyGossip``), defaults of
``upup/pkg/fi/cloudup/populate_cluster_spec.go``.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from bootstrap.model.cluster import Cni, NameResolution, Subnet, SubnetId, SubnetType
from bootstrap.planning.kops_documents import (
    Document,
    SpecError,
    flag_at,
    has,
    required,
    section,
    sections_at,
    text_at,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_NON_MASQUERADE_CIDR: Final = "100.64.0.0/10"
DEFAULT_SERVICE_CIDR: Final = "100.64.0.0/13"
DEFAULT_DOMAIN: Final = "cluster.local"
# kops gives cluster DNS the tenth Service address (pkg/model/components/context.go).
DNS_ADDRESS: Final = 10
_BACKEND_FIELDS: Final = {
    "flannel": "backend",
    "calico": "encapsulationMode",
    "cilium": "tunnel",
}


def pod_cidr(spec: Document) -> str:
    """Return ``podCIDR``; before kops 1.22 only the controller manager's range tells it."""
    return (
        _cidr(spec, "podCIDR")
        or _cidr(spec, "kubeControllerManager", "clusterCIDR")
        or _cidr(spec, "kubeProxy", "clusterCIDR")
        or _upper_half(non_masquerade_cidr(spec))
    )


def service_cidr(spec: Document) -> str:
    """Return the range of Service addresses."""
    return (
        _cidr(spec, "serviceClusterIPRange")
        or _cidr(spec, "kubeAPIServer", "serviceClusterIPRange")
        or DEFAULT_SERVICE_CIDR
    )


def non_masquerade_cidr(spec: Document) -> str:
    """Return the range that pods and Services lie in."""
    return _cidr(spec, "nonMasqueradeCIDR") or DEFAULT_NON_MASQUERADE_CIDR


def vpc_cidr(spec: Document) -> str:
    """Return the VPC's range, '' where a shared VPC is named by its id only."""
    return _cidr(spec, "networkCIDR")


def dns_service_ip(spec: Document) -> str:
    """Return the address of the cluster DNS Service.

    Never ``kubelet.clusterDNS``: with NodeLocal DNS that is a link-local address on Linux only.
    """
    named = text_at(spec, "kubeDNS", "serverIP")
    if named:
        return _address(named)
    return str(ipaddress.ip_network(service_cidr(spec), strict=False).network_address + DNS_ADDRESS)


def cluster_domain(spec: Document) -> str:
    """Return the DNS domain of Services."""
    return text_at(spec, "clusterDNSDomain") or text_at(spec, "kubeDNS", "domain") or DEFAULT_DOMAIN


def is_ipv6(spec: Document) -> bool:
    """Tell whether pods or Services have IPv6 addresses."""
    ranges = (pod_cidr(spec), service_cidr(spec), non_masquerade_cidr(spec))
    return any(":" in cidr for cidr in ranges)


def cni(spec: Document) -> Cni:
    """Return the pod network; its name is '' when the spec names none."""
    networking = section(spec, "networking")
    name = next(iter(networking), "")
    field = _BACKEND_FIELDS.get(name)
    backend = text_at(section(networking, name), field) if field else ""
    # A flannel without backend is one from before kops 1.8, and runs udp
    # (kops pkg/apis/kops/v1alpha2/defaults.go).
    return Cni(name=name, backend=backend or ("udp" if name == "flannel" else ""))


def name_resolution(name: str, spec: Document) -> NameResolution:
    """Tell how ``api.internal.<cluster>`` resolves inside the VPC."""
    if text_at(spec, "topology", "dns", "type").lower() == "none":
        return NameResolution.NONE
    return NameResolution.GOSSIP if name.endswith(".k8s.local") else NameResolution.DNS_ZONE


def subnets(spec: Document) -> tuple[Subnet, ...]:
    """Return the subnets in the order of the spec."""
    return tuple(_subnet(item) for item in sections_at(spec, "subnets"))


def uses_node_local_dns(spec: Document) -> bool:
    """Tell whether Linux nodes run a DNS cache of their own."""
    return flag_at(spec, "kubeDNS", "nodeLocalDNS", "enabled") is True


def runs_kube_proxy(spec: Document) -> bool:
    """Tell whether kube-proxy is there; only ``enabled: false`` switches it off."""
    return flag_at(spec, "kubeProxy", "enabled") is not False


def _subnet(item: Document) -> Subnet:
    kind = text_at(item, "type") or SubnetType.PUBLIC
    if kind not in tuple(SubnetType):
        raise SpecError(f"subnet {text_at(item, 'name')} has the unknown type {kind}")
    return Subnet(
        name=required(item, "name"),
        type=SubnetType(kind),
        zone=text_at(item, "zone"),
        cidr=_cidr(item, "cidr"),
        subnet_id=SubnetId(text_at(item, "id")),
        shared=has(item, "id"),
        egress=text_at(item, "egress"),
    )


def _cidr(document: Document, *path: str) -> str:
    value = text_at(document, *path)
    try:
        if value:
            ipaddress.ip_network(value, strict=False)
    except ValueError as exc:
        raise SpecError(f"{'.'.join(path)} is no network: {value}") from exc
    return value


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as exc:
        raise SpecError(f"kubeDNS.serverIP is no address: {value}") from exc


def _upper_half(cidr: str) -> str:
    """Cut the pods' half out of the non-masquerade range, as kops does."""
    network: Network = ipaddress.ip_network(cidr, strict=False)
    *_, upper = network.subnets(prefixlen_diff=1)
    return str(upper)
