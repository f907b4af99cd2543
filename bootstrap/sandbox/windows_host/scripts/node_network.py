"""Initialize-NodeNetwork, Wait-NodeOverlay, Set-SourceVip: HNS networks, routes, the source VIP."""

from __future__ import annotations

import ipaddress
import json
import re
import threading
import time

from bootstrap.sandbox.windows_host.agents.hns import add_network
from bootstrap.sandbox.windows_host.agents.machine import OverlayNetwork
from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts.request import Request, Thrown, answer, field
from bootstrap.sandbox.windows_host.state import Route, ScheduledTask

TASK_NAME = "bootstrap-network"
SCRIPT = "Initialize-NodeNetwork.ps1"
DETACHED = "detached"
"""Stands in the task's request for the switch of that name on its command line."""
SUBNET_FILE = r"C:\run\flannel\subnet.env"
HOST_LOCAL = r"C:\k\cni\host-local.exe"
_LEASES = r"C:\var\lib\cni\networks"
_VIP_ID = "kube-proxy-source-vip"
_SHORTEST_TIMEOUT_S = 30.0
_POLL_S = 0.1
_SWITCH_S = 1.0
"""How long HNS needs for the first vSwitch."""
_ANSWER_S = 1.5
"""How long the task waits for its session to get its answer, in any case."""


def initialize(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Make the External network in a task, or mend the routes once it is there."""
    network = field(request, "network")
    name = str(field(network, "name"))
    if host.state.hns.network(name) is not None:
        added = _add_routes(host, request, check)
        return answer(changed=bool(added), pending=False, routes=added)
    if request.get(DETACHED):
        return _make_here(host, request)
    _require_address(host, request)
    if not check:
        task_request = json.dumps(request | {DETACHED: True})
        task = ScheduledTask(name=TASK_NAME, script=SCRIPT, request=task_request)
        host.state.tasks[TASK_NAME] = task
        threading.Thread(
            target=_run_task, args=(host, request), name=TASK_NAME, daemon=True
        ).start()
    return answer(changed=True, pending=True, routes=[])


def _run_task(host: WindowsHost, request: Request) -> None:
    """Be the scheduled task: what it throws is seen in the task's history only."""
    try:
        _make_here(host, request)
    except Thrown as thrown:
        host.state.events.append(f"{TASK_NAME}: {thrown}")


def _make_here(host: WindowsHost, request: Request) -> ScriptOutcome:
    network = request["network"]
    _require_address(host, request)
    # The script waits 2 s, so that the session gets its answer before it is cut.
    time.sleep(max(_ANSWER_S, _SWITCH_S * host.spec.time_factor))
    add_network(
        host,
        OverlayNetwork(
            name=str(network["name"]),
            vsid=int(field(network, "vsid")),
            subnet=str(field(network, "prefix")),
            gateway=str(field(network, "gateway")),
            management_address=str(field(request, "managementAddress")),
        ),
    )
    added = _add_routes(host, request, False)
    overlay = field(request, "overlay")
    if host.state.files.exists(str(field(overlay, "kubeProxyConfig"))):
        _update_source_vip(host, overlay)
    return answer(changed=True, pending=False, routes=added)


def _require_address(host: WindowsHost, request: Request) -> str:
    wanted = str(field(request, "managementAddress"))
    for adapter in host.state.adapters.values():
        if adapter.address == wanted:
            return adapter.name
    raise Thrown(f"WN0501 no adapter has the address {wanted}")


def _add_routes(host: WindowsHost, request: Request, check: bool) -> list[str]:
    interface, gateway = _require_address(host, request), str(field(request, "gateway"))
    added = []
    with host.state.lock:
        for address in field(request, "metadataAddresses"):
            prefix = f"{address}/32"
            present = [route for route in host.state.routes if route.destination == prefix]
            right = [r for r in present if (r.interface, r.next_hop) == (interface, gateway)]
            if right and len(right) == len(present):
                continue
            added.append(address)
            if check or host.hooks.has_fault("lost-metadata-route"):
                continue
            host.state.routes = [r for r in host.state.routes if r.destination != prefix]
            host.state.routes.append(
                Route(destination=prefix, next_hop=gateway, interface=interface, persistent=True)
            )
    return added


def _update_source_vip(host: WindowsHost, overlay: Request) -> None:
    network = field(overlay, "network")
    wait_for_overlay(host, {"network": network, "timeoutSeconds": 300}, False)
    request = {
        "network": network,
        "hostLocal": HOST_LOCAL,
        "template": field(overlay, "kubeProxyTemplate"),
        "config": field(overlay, "kubeProxyConfig"),
    }
    set_source_vip(host, request, False)
    service = host.state.service("kube-proxy")
    if service is not None:
        host.services.restart("kube-proxy")


def wait_for_overlay(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Wait until flanneld's network is there with an address, and subnet.env is written."""
    name, seconds = str(field(request, "network")), float(field(request, "timeoutSeconds"))
    deadline = time.monotonic() + max(_SHORTEST_TIMEOUT_S, seconds * host.spec.time_factor)
    while True:
        found = host.state.hns.network(name)
        if found and found.get("ManagementIP") and host.state.files.exists(SUBNET_FILE):
            subnet = found["Subnets"][0]["AddressPrefix"]
            return answer(changed=False, subnet=subnet, managementAddress=found["ManagementIP"])
        if time.monotonic() > deadline:
            with host.state.lock:
                seen = ", ".join(str(n["Name"]) for n in host.state.hns.networks.values())
            raise Thrown(
                f"WN0601 network {name} did not come up in {seconds:.0f} s; HNS has: {seen}"
            )
        time.sleep(_POLL_S)


def set_source_vip(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Reserve an address as host-local does, and write it into kube-proxy's configuration."""
    name = str(field(request, "network"))
    network = host.state.hns.network(name)
    if network is None:
        raise Thrown(f"WN0701 HNS has no network {name}")
    vip = _reserved(host, name, network["Subnets"][0]["AddressPrefix"])
    if not vip and not check:
        vip = _reserve(host, request, name, network["Subnets"][0]["AddressPrefix"])
    path, template = str(field(request, "config")), str(field(request, "template"))
    content = host.state.files.read(template)
    if content is None:
        raise Thrown(f"WN0701 there is no file {template}")
    text = (host.state.files.read(path) or b"").decode("utf-8", errors="replace")
    wanted = content.decode("utf-8", errors="replace")
    mended = re.sub(r"(?m)^(\s*sourceVip:).*$", rf"\1 '{vip}'", wanted)
    changed = text.strip() != mended.strip()
    if changed and not check:
        host.state.files.write(path, mended.encode("ascii", errors="replace"))
    return answer(changed=changed, sourceVip=vip)


def _reserved(host: WindowsHost, name: str, subnet: str) -> str:
    network = ipaddress.IPv4Network(subnet)
    for file in host.state.files.below(rf"{_LEASES}\{name}"):
        address = file.path.rpartition("\\")[2]
        content = file.content if isinstance(file.content, bytes) else b""
        if content.splitlines()[:1] != [_VIP_ID.encode()]:
            continue
        if _is_in(address, network):
            return address
    return ""


def _is_in(address: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.IPv4Address(address) in network
    except ValueError:
        return False


def _reserve(host: WindowsHost, request: Request, name: str, subnet: str) -> str:
    if not host.state.files.exists(str(field(request, "hostLocal"))):
        raise Thrown("WN0701 host-local DEL ended with 1: the program is not there")
    network = ipaddress.IPv4Network(subnet)
    folder = rf"{_LEASES}\{name}"
    for file in host.state.files.below(folder):
        content = file.content if isinstance(file.content, bytes) else b""
        if content.startswith(_VIP_ID.encode()):
            host.state.files.remove(file.path)
    taken = set(host.state.files.names_in(folder))
    free = (str(address) for address in list(network.hosts())[1:] if str(address) not in taken)
    vip = next(free, "")
    if not vip:
        raise Thrown("WN0701 host-local ADD ended with 1: no IP addresses available in range set")
    host.state.files.write(rf"{folder}\{vip}", f"{_VIP_ID}\r\nvip".encode())
    host.state.files.write(rf"{folder}\last_reserved_ip.0", vip.encode())
    return vip
