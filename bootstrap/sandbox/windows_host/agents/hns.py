"""Objects of the Host Networking Service as JSON documents, and what making a network does."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from bootstrap.sandbox.windows_host.agents.machine import Balancer, OverlayNetwork, RemoteRoute
from bootstrap.sandbox.windows_host.host import WindowsHost


def document_of(network: OverlayNetwork) -> dict[str, Any]:
    """Return an overlay network as HNS shows it."""
    return {
        "ID": _new_id(),
        "Name": network.name,
        "Type": "Overlay",
        "ManagementIP": network.management_address,
        "Subnets": [
            {
                "AddressPrefix": network.subnet,
                "GatewayAddress": network.gateway,
                "Policies": [{"Type": "VSID", "VSID": network.vsid}],
            }
        ],
        "Policies": [],
    }


def networks_of(host: WindowsHost) -> list[OverlayNetwork]:
    """List a host's overlay networks."""
    with host.state.lock:
        documents = list(host.state.hns.networks.values())
    return [
        OverlayNetwork(
            name=str(document["Name"]),
            vsid=int(document["Subnets"][0]["Policies"][0]["VSID"]),
            subnet=str(document["Subnets"][0]["AddressPrefix"]),
            gateway=str(document["Subnets"][0]["GatewayAddress"]),
            management_address=str(document["ManagementIP"]),
        )
        for document in documents
        if document.get("Type") == "Overlay"
    ]


def add_network(host: WindowsHost, network: OverlayNetwork) -> None:
    """Make a network; one of that name goes first. The first one breaks connections.

    The first network makes the vSwitch: the address moves to another adapter, and every connection
    breaks (seen by everybody who made one over WinRM; Rancher 26739).
    """
    document = document_of(network)
    with host.state.lock:
        networks = host.state.hns.networks
        is_first = not networks
        for key in [key for key, other in networks.items() if other["Name"] == network.name]:
            del networks[key]
        networks[document["ID"]] = document
        if is_first:
            host.state.attach_switch()
    if is_first:
        host.network_blip()


def set_routes(host: WindowsHost, network: str, routes: Sequence[RemoteRoute]) -> None:
    """Replace the RemoteSubnetRoute policies of a network."""
    with host.state.lock:
        document = host.state.hns.network(network)
        if document is None:
            return
        document["Policies"] = [
            {
                "Type": "RemoteSubnetRoute",
                "Settings": {
                    "DestinationPrefix": route.destination,
                    "IsolationId": route.isolation,
                    "ProviderAddress": route.provider_address,
                    "DistributedRouterMacAddress": route.router_mac,
                },
            }
            for route in routes
        ]


def set_source_vip(host: WindowsHost, network: str, address: str) -> None:
    """Keep one endpoint for kube-proxy's source VIP."""
    with host.state.lock:
        endpoints = host.state.hns.endpoints
        for key in [key for key, item in endpoints.items() if item["Name"] == "sourceVip"]:
            if endpoints[key]["IPAddress"] == address:
                return
            del endpoints[key]
        identity = _new_id()
        endpoints[identity] = {
            "ID": identity,
            "Name": "sourceVip",
            "IPAddress": address,
            "VirtualNetworkName": network,
        }


def set_balancers(host: WindowsHost, balancers: Sequence[Balancer]) -> None:
    """Replace all load balancers."""
    with host.state.lock:
        host.state.hns.load_balancers.clear()
        for balancer in balancers:
            identity = _new_id()
            host.state.hns.load_balancers[identity] = {
                "ID": identity,
                "Service": balancer.service,
                "FrontendVIPs": [balancer.vip],
                "SourceVIP": balancer.source_vip,
                "Flags": 1 if balancer.is_dsr else 0,
                "PortMappings": [
                    {
                        "Protocol": balancer.protocol,
                        "ExternalPort": balancer.port,
                        "InternalPort": balancer.target_port,
                    }
                ],
                "Backends": list(balancer.backends),
            }


def _new_id() -> str:
    return str(uuid.uuid4()).upper()
