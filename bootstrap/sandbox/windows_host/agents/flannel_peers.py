"""What flanneld does all day: routes to the pods of every other node of its VNI.

Source: flannel ``pkg/backend/vxlan/vxlan_network_windows.go``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bootstrap.sandbox.cluster_client import ApiClient, ApiError, ApiUnreachable
from bootstrap.sandbox.windows_host.agents.files import NetConf
from bootstrap.sandbox.windows_host.agents.machine import (
    AdapterView,
    Invocation,
    OverlayNetwork,
    RemoteRoute,
)

PREFIX = "flannel.alpha.coreos.com"
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FlannelSetup:
    """What flanneld's flags and files come down to."""

    node: str
    conf: NetConf
    adapter: AdapterView
    client: ApiClient
    subnet_file: str


def follow_peers(invocation: Invocation, setup: FlannelSetup, network: OverlayNetwork) -> None:
    """Keep the routes to all peers of the same VNI, until told to stop."""
    path = "/api/v1/nodes"
    while not invocation.stop.is_set():
        try:
            listed = setup.client.get(path)
            nodes = {item["metadata"]["name"]: item for item in listed.get("items") or []}
            _set_routes(invocation, setup, network, list(nodes.values()))
            version = str(listed["metadata"]["resourceVersion"])
            for event in setup.client.watch(path, resource_version=version, stop=invocation.stop):
                node = event["object"]
                name = node.get("metadata", {}).get("name")
                if event["type"] == "DELETED":
                    nodes.pop(name, None)
                elif _lease_of(node) != _lease_of(nodes.get(name, {})):
                    nodes[name] = node
                else:
                    continue
                _set_routes(invocation, setup, network, list(nodes.values()))
        except (ApiError, ApiUnreachable) as error:
            invocation.log(f"E1101 reflector.go:205] Failed to watch *v1.Node: {error}")
        invocation.stop.wait(_RETRY_S)


def _lease_of(node: dict[str, dict[str, object]]) -> tuple[object, ...]:
    annotations = (node.get("metadata") or {}).get("annotations") or {}
    assert isinstance(annotations, dict)
    keys = ("backend-data", "backend-type", "public-ip")
    pod_cidr = (node.get("spec") or {}).get("podCIDR")
    return (pod_cidr, *(annotations.get(f"{PREFIX}/{key}") for key in keys))


def _set_routes(
    invocation: Invocation,
    setup: FlannelSetup,
    network: OverlayNetwork,
    nodes: list[dict[str, dict[str, object]]],
) -> None:
    routes: list[RemoteRoute] = []
    for node in nodes:
        pod_cidr, data, kind, public_ip = _lease_of(node)
        if not pod_cidr or pod_cidr == network.subnet or kind != "vxlan":
            continue
        backend = json.loads(str(data or "{}"))
        vni = int(backend.get("VNI") or 0)
        if vni != setup.conf.vni:
            invocation.log(
                f"E1101 vxlan_network_windows.go:118] VNI is {vni} but it is required to be "
                "greater than or equal to 4096 on Windows"
            )
            continue
        routes.append(
            RemoteRoute(
                destination=str(pod_cidr),
                provider_address=str(public_ip),
                router_mac=str(backend.get("VtepMAC") or ""),
                isolation=vni,
            )
        )
    invocation.machine.set_remote_routes(network.name, routes)
