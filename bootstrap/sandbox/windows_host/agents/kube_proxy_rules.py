"""What kube-proxy does all day: HNS load balancers from Services and EndpointSlices.

Source: Kubernetes ``pkg/proxy/winkernel/proxier.go``; reactions as seen on the real kube-proxy.exe.
"""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass
from typing import Any

from bootstrap.sandbox.cluster_client import ApiClient, ApiError, ApiUnreachable
from bootstrap.sandbox.windows_host.agents.machine import Balancer, Invocation

_RETRY_S = 1.0
_SETTLE_S = 0.05
_SLICE_SERVICE = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySetup:
    """What kube-proxy's flags and configuration come down to."""

    node: str
    network: str
    source_vip: str
    is_dsr: bool
    client: ApiClient


class Rules:
    """Follows Services and EndpointSlices and keeps the host's load balancers like them."""

    def __init__(self, invocation: Invocation, setup: ProxySetup) -> None:
        self._invocation = invocation
        self._setup = setup
        self._lock = threading.Lock()
        self._services: dict[str, Any] = {}
        self._slices: dict[str, Any] = {}
        self._synced: set[str] = set()
        self._dirty = threading.Event()

    def follow(self) -> None:
        """Work until told to stop."""
        kinds = (
            ("/api/v1/services", self._services),
            ("/apis/discovery.k8s.io/v1/endpointslices", self._slices),
        )
        for path, store in kinds:
            thread = threading.Thread(
                target=self._mirror, args=(path, store), name="kube-proxy", daemon=True
            )
            thread.start()
        stop = self._invocation.stop
        while not stop.is_set():
            if self._dirty.wait(0.2):
                stop.wait(_SETTLE_S)
                self._dirty.clear()
                self._sync()

    def _mirror(self, path: str, store: dict[str, Any]) -> None:
        stop, client = self._invocation.stop, self._setup.client
        while not stop.is_set():
            try:
                listed = client.get(path)
                with self._lock:
                    store.clear()
                    store.update({_key(item): item for item in listed.get("items") or []})
                    self._synced.add(path)
                self._dirty.set()
                version = str(listed["metadata"]["resourceVersion"])
                for event in client.watch(path, resource_version=version, stop=stop):
                    with self._lock:
                        if event["type"] == "DELETED":
                            store.pop(_key(event["object"]), None)
                        else:
                            store[_key(event["object"])] = event["object"]
                    self._dirty.set()
            except (ApiError, ApiUnreachable) as error:
                self._invocation.log(f"E1101 reflector.go:205] Failed to watch {path}: {error}")
            stop.wait(_RETRY_S)

    def _sync(self) -> None:
        machine, setup = self._invocation.machine, self._setup
        networks = {network.name: network for network in machine.overlay_networks()}
        network = networks.get(setup.network)
        if network is None:
            self._invocation.log(
                f'E1101 proxier.go:1106] "Unable to find HNS Network specified" '
                f'hnsNetworkName="{setup.network}"'
            )
            self._retry_later()
            return
        if not _is_usable(setup.source_vip, network.subnet):
            self._invocation.log('E1101 proxier.go:1257] "Source Vip endpoint creation failed"')
            return
        machine.ensure_source_vip(network.name, setup.source_vip)
        with self._lock:
            if len(self._synced) < 2:
                return
            balancers = _balancers(self._services, self._slices, setup)
        machine.set_balancers(balancers)

    def _retry_later(self) -> None:
        self._invocation.stop.wait(_RETRY_S)
        self._dirty.set()


def _is_usable(address: str, subnet: str) -> bool:
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    network = ipaddress.IPv4Network(subnet)
    return parsed in network and parsed != network.network_address


def _key(item: dict[str, Any]) -> str:
    return f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"


def _balancers(
    services: dict[str, Any], slices: dict[str, Any], setup: ProxySetup
) -> list[Balancer]:
    found: list[Balancer] = []
    for key, service in sorted(services.items()):
        vip = str(service["spec"].get("clusterIP") or "")
        if not vip or vip == "None" or ":" in vip:
            continue
        for port in service["spec"].get("ports") or []:
            target, backends = _backends(key, port, slices)
            if backends:
                found.append(
                    Balancer(
                        service=f"{key}:{port.get('name') or port['port']}",
                        vip=vip,
                        protocol=str(port.get("protocol") or "TCP"),
                        port=int(port["port"]),
                        target_port=target,
                        backends=tuple(sorted(backends)),
                        source_vip=setup.source_vip,
                        is_dsr=setup.is_dsr,
                    )
                )
    return found


def _backends(service: str, port: dict[str, Any], slices: dict[str, Any]) -> tuple[int, set[str]]:
    target, addresses = 0, set()
    for item in slices.values():
        labels = item["metadata"].get("labels") or {}
        owner = f"{item['metadata'].get('namespace', '')}/{labels.get(_SLICE_SERVICE, '')}"
        if owner != service:
            continue
        for slice_port in item.get("ports") or []:
            if (slice_port.get("name") or "") == (port.get("name") or ""):
                target = int(slice_port.get("port") or 0)
                addresses |= _ready_addresses(item)
    return target, addresses


def _ready_addresses(item: dict[str, Any]) -> set[str]:
    return {
        str(address)
        for endpoint in item.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint.get("addresses") or []
    }
