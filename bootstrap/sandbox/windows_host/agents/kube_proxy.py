"""kube-proxy.exe in kernelspace mode: load balancers in HNS from Services and EndpointSlices.

Sources: Kubernetes ``pkg/proxy/winkernel``, ``cmd/kube-proxy/app``; texts and exit codes as seen on
the real kube-proxy.exe 1.29 to 1.37.
"""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass
from typing import Any

from bootstrap.sandbox.cluster_client import ApiClient, ApiError, ApiUnreachable
from bootstrap.sandbox.windows_host.agents.command_line import FlagError, parse_pflags, words
from bootstrap.sandbox.windows_host.agents.files import FileRefused, load_kubeconfig, load_yaml
from bootstrap.sandbox.windows_host.agents.machine import (
    Balancer,
    Invocation,
    LookupFailed,
    missing_file,
)

_FLAGS = words("""
    bind-address bind-address-hard-fail cleanup cluster-cidr config config-sync-period
    detect-local-mode enable-dsr feature-gates forward-healthcheck-vip healthz-bind-address
    hostname-override init-only kube-api-burst kube-api-content-type kube-api-qps kubeconfig
    log-flush-frequency log-json-info-buffer-size log-json-split-stream
    log-text-info-buffer-size log-text-split-stream logging-format master metrics-bind-address
    network-name nodeport-addresses oom-score-adj pod-bridge-interface pod-interface-name-prefix
    profiling proxy-mode root-hnsendpoint-name show-hidden-metrics-for-version source-vip v
    version vmodule windows-service write-config-to help
    """)
_BOOLEANS = words("""
    bind-address-hard-fail cleanup enable-dsr forward-healthcheck-vip init-only
    log-json-split-stream log-text-split-stream profiling version windows-service help
    """)
_OVERLAY_PAUSE_S = 10.0
"""It sleeps this long at its start on an overlay network (winkernel/proxier.go)."""
_RETRY_S = 1.0
_SETTLE_S = 0.05
_SLICE_SERVICE = "kubernetes.io/service-name"


class _Ended(Exception):
    """kube-proxy ends with exit code 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setup:
    node: str
    network: str
    source_vip: str
    is_dsr: bool
    client: ApiClient


def run(invocation: Invocation) -> int:
    """Run kube-proxy until it is told to stop, or ends by itself."""
    try:
        setup = _set_up(invocation)
    except (FlagError, FileRefused, _Ended) as error:
        return invocation.fail(str(error))
    machine = invocation.machine
    if invocation.pause(_OVERLAY_PAUSE_S):
        return 0
    machine.set_balancers(())
    if not _await_node(invocation, setup):
        return 0
    _Rules(invocation, setup).follow()
    return 0


def _set_up(invocation: Invocation) -> _Setup:
    flags = parse_pflags(invocation.arguments, known=_FLAGS, booleans=_BOOLEANS)
    config = _configuration(invocation, flags)
    kernel = _section(config, "winkernel")
    minor = int(invocation.machine.program_version(invocation.executable).split(".")[1])
    _check(config, kernel, minor)
    network = str(
        kernel.get("networkName")
        or flags.get("network-name")
        or invocation.environment.get("KUBE_NETWORK", "")
    )
    if not network:
        raise _Ended("Environment variable KUBE_NETWORK and network-flag not initialized")
    source_vip = str(kernel.get("sourceVip") or flags.get("source-vip") or "")
    if not source_vip:
        raise _Ended("source-vip flag not set")
    name = str(config.get("hostnameOverride") or flags.get("hostname-override") or "")
    return _Setup(
        node=(name or invocation.machine.computer_name).lower(),
        network=network,
        source_vip=source_vip,
        is_dsr=bool(kernel.get("enableDSR")),
        client=_client(invocation, config, flags),
    )


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _configuration(invocation: Invocation, flags: dict[str, str]) -> dict[str, Any]:
    path = flags.get("config", "")
    if not path:
        return {"mode": flags.get("proxy-mode", "")}
    content = invocation.machine.read(path)
    if content is None:
        raise _Ended(f"failed complete: {missing_file(path)}")
    config = load_yaml(content)
    if config.get("kind") != "KubeProxyConfiguration":
        raise _Ended(f'failed complete: no kind "{config.get("kind")}" is registered')
    return config


def _check(config: dict[str, Any], kernel: dict[str, Any], minor: int) -> None:
    mode = str(config.get("mode") or "")
    if mode not in ("", "kernelspace"):
        raise _Ended(
            f'failed validate: KubeProxyConfiguration.Mode: Invalid value: "{mode}": '
            "must be kernelspace or blank"
        )
    gates = _section(config, "featureGates")
    if gates.get("WinOverlay") is False:
        raise _Ended(
            "WinOverlay feature gate not enabled"
            if minor < 34
            else "cannot set feature gate WinOverlay to false, feature is locked to true"
        )
    if kernel.get("enableDSR") and minor < 33 and not gates.get("WinDSR"):
        raise _Ended("WinDSR feature gate not enabled")
    for key in ("healthzBindAddress", "metricsBindAddress"):
        address = str(config.get(key) or "")
        if address and not _has_port(address):
            raise _Ended(
                f'failed validate: KubeProxyConfiguration.{key}: Invalid value: "{address}": '
                "must be IP:port"
            )


def _has_port(address: str) -> bool:
    _, has_port, port = address.rpartition(":")
    return bool(has_port) and port.isdigit() and 0 < int(port) < 65536


def _client(invocation: Invocation, config: dict[str, Any], flags: dict[str, str]) -> ApiClient:
    connection = _section(config, "clientConnection")
    path = str(connection.get("kubeconfig") or flags.get("kubeconfig") or "")
    content = invocation.machine.read(path) if path else None
    if content is None:
        raise _Ended(
            f"stat {path}: The system cannot find the file specified."
            if path
            else "invalid configuration: no configuration has been provided"
        )
    try:
        return invocation.machine.connect(load_kubeconfig(content, invocation.machine.read))
    except LookupFailed as error:
        raise _Ended(str(error)) from error


def _await_node(invocation: Invocation, setup: _Setup) -> bool:
    """Wait, without a word, until our Node has an address; False when told to stop."""
    while not invocation.stop.is_set():
        try:
            node = setup.client.get(f"/api/v1/nodes/{setup.node}")
            addresses = (node.get("status") or {}).get("addresses") or []
            if any(address.get("type") == "InternalIP" for address in addresses):
                return True
        except (ApiError, ApiUnreachable) as error:
            invocation.log(f'E1101 node.go:106] "Failed to retrieve node info" err="{error}"')
        invocation.stop.wait(_RETRY_S)
    return False


class _Rules:
    """Follows Services and EndpointSlices and keeps the host's load balancers like them."""

    def __init__(self, invocation: Invocation, setup: _Setup) -> None:
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


def _balancers(services: dict[str, Any], slices: dict[str, Any], setup: _Setup) -> list[Balancer]:
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
