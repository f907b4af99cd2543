"""Reset-Node: everything of a node goes, what uses a thing before the thing itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts.node_host import HOSTS_FILE
from bootstrap.sandbox.windows_host.scripts.node_network import TASK_NAME
from bootstrap.sandbox.windows_host.scripts.request import Request, answer, field
from bootstrap.sandbox.windows_host.state import ServiceState

_RUNTIMES = ("containerd", "docker")
_MARK = "# bootstrap"
_ANSWER_S = 1.5
"""How long the task waits for its session to get its answer."""


def reset(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Take the steps of the script in its order."""
    services = [str(name) for name in field(request, "services")]
    networks = [str(name) for name in field(request, "networks")]
    addresses = [str(address) for address in field(request, "metadataAddresses")]
    exclusions = {str(path) for path in field(request, "exclusions")}
    folders = [str(path) for path in field(request, "folders")]
    empty = [str(path) for path in field(request, "emptyFolders")]
    users = [name for name in services if name not in _RUNTIMES]
    runtimes = [name for name in services if name in _RUNTIMES]
    steps: dict[str, Callable[[], bool]] = {
        "task": lambda: _remove_task(host, check),
        "services": lambda: _remove_services(host, users, check),
        "containers": lambda: _clear_runtimes(host, check),
        "runtimes": lambda: _remove_services(host, runtimes, check),
        "loadBalancers": lambda: _remove(host.state.hns.load_balancers, None, check),
        "endpoints": lambda: _remove(host.state.hns.endpoints, networks, check),
        "routes": lambda: _remove_routes(host, addresses, check),
        "firewall": lambda: _remove_rules(host, check),
        "exclusions": lambda: _remove_exclusions(host, exclusions, check),
        "hosts": lambda: _remove_hosts(host, check),
        "folders": lambda: _remove_folders(host, folders, empty, check),
        "networks": lambda: _start_removal(host, networks, check),
    }
    changes = [name for name, step in steps.items() if step()]
    pending = bool(_networks_of(host, networks))
    return answer(changed=bool(changes), pending=pending, steps=changes)


def _remove_task(host: WindowsHost, check: bool) -> bool:
    found = TASK_NAME in host.state.tasks
    if found and not check:
        del host.state.tasks[TASK_NAME]
    return found


def _remove_services(host: WindowsHost, names: Collection[str], check: bool) -> bool:
    found = [name for name in names if host.state.service(name) is not None]
    for name in [] if check else found:
        host.services.stop(name)
        with host.state.lock:
            del host.state.services[name.lower()]
    return bool(found)


def _clear_runtimes(host: WindowsHost, check: bool) -> bool:
    found = [host.state.service(name) for name in _RUNTIMES]
    runs = any(item is not None and item.state is ServiceState.RUNNING for item in found)
    if runs and not check:
        host.state.images.clear()
    return runs


def _remove(
    items: dict[str, dict[str, object]], networks: Collection[str] | None, check: bool
) -> bool:
    doomed = [
        key
        for key, item in items.items()
        if networks is None or item.get("VirtualNetworkName") in networks
    ]
    for key in [] if check else doomed:
        del items[key]
    return bool(doomed)


def _remove_routes(host: WindowsHost, addresses: Collection[str], check: bool) -> bool:
    prefixes = {f"{address}/32" for address in addresses}
    kept = [
        route
        for route in host.state.routes
        if route.destination not in prefixes or not route.interface.startswith("vEthernet")
    ]
    changed = len(kept) != len(host.state.routes)
    if not check:
        host.state.routes = kept
    return changed


def _remove_rules(host: WindowsHost, check: bool) -> bool:
    doomed = [name for name in host.state.firewall if name.startswith("bootstrap-")]
    for name in [] if check else doomed:
        del host.state.firewall[name]
    return bool(doomed)


def _remove_exclusions(host: WindowsHost, paths: set[str], check: bool) -> bool:
    ours = paths & host.state.defender_exclusions
    if not check:
        host.state.defender_exclusions -= ours
    return bool(ours)


def _remove_hosts(host: WindowsHost, check: bool) -> bool:
    lines = (host.state.files.read(HOSTS_FILE) or b"").decode("ascii", "replace").splitlines()
    foreign = [line for line in lines if not line.endswith(_MARK)]
    if len(lines) == len(foreign):
        return False
    if not check:
        text = "".join(f"{line}\r\n" for line in foreign)
        host.state.files.write(HOSTS_FILE, text.encode("ascii", "replace"))
    return True


def _remove_folders(
    host: WindowsHost, paths: Collection[str], if_empty: Collection[str], check: bool
) -> bool:
    files = host.state.files
    found = [path for path in paths if files.exists(path)]
    if not check:
        for path in found:
            files.remove(path)
        for path in if_empty:
            if files.is_folder(path) and not files.names_in(path):
                files.remove(path)
    return bool(found)


def _networks_of(host: WindowsHost, names: Collection[str]) -> list[str]:
    with host.state.lock:
        networks = host.state.hns.networks
        return [key for key, item in networks.items() if item.get("Name") in names]


def _start_removal(host: WindowsHost, names: Collection[str], check: bool) -> bool:
    found = bool(_networks_of(host, names))
    if found and not check:
        threading.Thread(target=_remove_networks, args=(host, names), daemon=True).start()
    return found


def _remove_networks(host: WindowsHost, names: Collection[str]) -> None:
    """Be the task: with the last network the vSwitch goes, and every connection breaks."""
    time.sleep(_ANSWER_S)
    with host.state.lock:
        for key in _networks_of(host, names):
            del host.state.hns.networks[key]
        is_last = not host.state.hns.networks
        if is_last:
            host.state.detach_switch()
    if is_last:
        host.network_blip()
