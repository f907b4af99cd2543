"""What the state store and AWS tell of one cluster, put together; ``planning.kops_spec`` shows it.

Kept apart because it reads no document: two values in, one out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bootstrap.errors import NotFoundError
from bootstrap.model.cluster import (
    ApiEndpoint,
    AwsFacts,
    Bastion,
    ClusterFacts,
    GroupRole,
    NameResolution,
    NetworkFacts,
    StoreFacts,
    Subnet,
)

API_PORT: Final = 443
"""Of ``api.internal.<cluster>``, whatever resolves it, in every kops version."""
# Login names of the images that kops uses (kops docs/operations/images.md).
_SSH_USERS: Final = {
    "ubuntu": "ubuntu",
    "debian": "admin",
    "flatcar": "core",
    "coreos": "core",
    "rocky": "rocky",
    "al2": "ec2-user",
    "amzn": "ec2-user",
    "rhel": "ec2-user",
}


def assemble(store: StoreFacts, aws: AwsFacts) -> ClusterFacts:
    """Add AWS' ids to the store's facts; NotFoundError for a subnet of Linux nodes that is gone."""
    return ClusterFacts(
        name=store.name,
        region=aws.region,
        account=aws.account,
        kubernetes_version=store.kubernetes_version,
        kops_version=store.kops_version,
        era=store.era,
        network=_network(store, aws),
        api=_api(store, aws),
        ca_bundle=store.ca_bundle or aws.ca_bundle,
        node_naming=store.node_naming,
        cloud_provider_mode=store.cloud_provider_mode,
        node_security_groups=aws.node_security_groups,
        node_instance_profile=aws.node_instance_profile,
        key_name=aws.key_name or store.ssh_key_name,
        key_type=aws.key_type,
        bastion=_bastion(store, aws),
        groups=store.groups,
        kubelet=store.kubelet,
        cloud_labels=store.cloud_labels,
    )


def _network(store: StoreFacts, aws: AwsFacts) -> NetworkFacts:
    return NetworkFacts(
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
        subnets=tuple(_with_id(subnet, store, aws) for subnet in store.subnets),
    )


def _api(store: StoreFacts, aws: AwsFacts) -> ApiEndpoint:
    resolves = store.resolution is NameResolution.DNS_ZONE
    return ApiEndpoint(
        host=store.api_host,
        port=API_PORT,
        resolution=store.resolution,
        addresses=() if resolves else aws.api_addresses,
    )


def _with_id(subnet: Subnet, store: StoreFacts, aws: AwsFacts) -> Subnet:
    found = _find(subnet, aws.subnets)
    if found is None:
        _refuse_if_needed(subnet, store, aws)
        return subnet
    return replace(
        subnet,
        subnet_id=found.subnet_id,
        zone=found.zone or subnet.zone,
        cidr=found.cidr or subnet.cidr,
        available_addresses=found.available_addresses,
    )


def _find(subnet: Subnet, known: Sequence[Subnet]) -> Subnet | None:
    """Find by id; without an id by kops' name, else by range and zone."""
    if subnet.subnet_id:
        return next((item for item in known if item.subnet_id == subnet.subnet_id), None)
    by_name = (item for item in known if item.name == subnet.name)
    by_range = (
        item for item in known if item.cidr == subnet.cidr and item.zone in ("", subnet.zone)
    )
    return next(by_name, None) or next(by_range, None)


def _refuse_if_needed(subnet: Subnet, store: StoreFacts, aws: AwsFacts) -> None:
    users = [
        group.name
        for group in store.groups
        if group.role is GroupRole.NODE and subnet.name in group.subnets
    ]
    if users:
        raise NotFoundError(
            f"EC2 has no subnet {subnet.name} ({subnet.subnet_id or subnet.cidr})"
            f" of cluster {store.name}",
            name="SubnetMissing",
            target=aws.vpc_id or store.vpc_id,
            evidence=f"the state store has it for {', '.join(users)}",
            fix="check region and account, and whether the cluster is up to date",
            command=f"kops update cluster {store.name}",
        )


def _bastion(store: StoreFacts, aws: AwsFacts) -> Bastion | None:
    groups = [group for group in store.groups if group.role is GroupRole.BASTION]
    host = store.bastion_host or aws.bastion_host
    return Bastion(host=host, user=_ssh_user(groups[0].image)) if groups and host else None


def _ssh_user(image: str) -> str:
    lowered = image.lower()
    return next((user for word, user in _SSH_USERS.items() if word in lowered), "")
