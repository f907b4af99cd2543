"""kube-proxy.exe in kernelspace mode: load balancers in HNS from Services and EndpointSlices.

Sources: Kubernetes ``pkg/proxy/winkernel``, ``cmd/kube-proxy/app``; texts and exit codes as seen on
the real kube-proxy.exe 1.29 to 1.37.
"""

from __future__ import annotations

from typing import Any

from bootstrap.sandbox.cluster_client import ApiClient, ApiError, ApiUnreachable
from bootstrap.sandbox.windows_host.agents.command_line import FlagError, parse_pflags, words
from bootstrap.sandbox.windows_host.agents.files import FileRefused, load_kubeconfig, load_yaml
from bootstrap.sandbox.windows_host.agents.kube_proxy_rules import ProxySetup, Rules
from bootstrap.sandbox.windows_host.agents.machine import (
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
_LOG_FLAGS = words("log-dir log-file logtostderr alsologtostderr")
_LAST_LOG_FLAGS = 25
"""klog's flags were removed in 1.26; 1.29 to 1.37 were seen to refuse them."""
_FIRST_DEFAULT_OVERLAY = 20
"""Before, WinOverlay is alpha and off unless it is named."""
_OVERLAY_PAUSE_S = 10.0
"""It sleeps this long at its start on an overlay network (winkernel/proxier.go)."""
_RETRY_S = 1.0


class _Ended(Exception):
    """kube-proxy ends with exit code 1."""


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
    Rules(invocation, setup).follow()
    return 0


def _set_up(invocation: Invocation) -> ProxySetup:
    minor = int(invocation.machine.program_version(invocation.executable).split(".")[1])
    log_flags = _LOG_FLAGS if minor <= _LAST_LOG_FLAGS else frozenset[str]()
    flags = parse_pflags(
        invocation.arguments,
        known=_FLAGS | log_flags,
        booleans=_BOOLEANS | (log_flags & {"logtostderr", "alsologtostderr"}),
    )
    config = _configuration(invocation, flags)
    kernel = _section(config, "winkernel")
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
    return ProxySetup(
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
    if gates.get("WinOverlay", minor >= _FIRST_DEFAULT_OVERLAY) is False:
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


def _await_node(invocation: Invocation, setup: ProxySetup) -> bool:
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
