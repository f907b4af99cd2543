"""Whether a pod on a simulated host gets its network, by the CNI configuration that lies there.

Sources: Kubernetes ``pkg/kubelet/network/dns/dns.go`` (the resolver's file is read for every pod),
containernetworking/plugins ``plugins/main/windows/win-overlay`` (``apiVersion`` 1 is HNS, 2 HCN).
"""

from __future__ import annotations

import json

from bootstrap.sandbox.windows_host.agents.kubelet_config import (
    HOST_RESOLVER,
    KubeletSettings,
)
from bootstrap.sandbox.windows_host.agents.machine import Machine, windows_path
from bootstrap.sandbox.windows_host.agents.runtime import pipe_of

_SUFFIXES = (".conf", ".conflist", ".json")


def cni_configurations(machine: Machine, folder: str) -> list[str]:
    """List the configurations in a folder, in the order in which a runtime takes them."""
    return sorted(name for name in machine.names_in(folder) if name.lower().endswith(_SUFFIXES))


def network_problem(machine: Machine, decided: KubeletSettings) -> str:
    """Return why a pod gets no sandbox, '' when it does."""
    resolver = decided.resolv_conf
    if resolver not in ("", HOST_RESOLVER) and machine.read(windows_path(resolver)) is None:
        return f"open {resolver}: The system cannot find the path specified."
    runtime = machine.listening(pipe_of(decided.endpoint))
    if runtime is None:
        return "container runtime is down"
    folder = decided.cni_conf_dir if decided.is_dockershim else runtime.conf_dir
    if not folder:
        return ""
    names = cni_configurations(machine, folder)
    if not names:
        return "cni config uninitialized"
    found = _api_version(machine.read(rf"{folder}\{names[0]}") or b"")
    if found != runtime.cni_api:
        return (
            f'failed to set up sandbox: plugin type="flannel" failed (add): apiVersion {found} of'
            f" {names[0]} is not that of {runtime.name} ({runtime.cni_api}):"
            " The parameter is incorrect. (0x57)"
        )
    return ""


def _api_version(content: bytes) -> int:
    try:
        document = json.loads(content)
    except ValueError:
        return 0
    plugin = (document.get("plugins") or [document])[0]
    body = plugin.get("delegate") or plugin
    return int(body.get("apiVersion", 1))
