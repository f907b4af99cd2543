"""Windows' own programs that playbooks call, as far as they are imitated: exit code and output."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bootstrap.sandbox.windows_host.archives import NoArchive
from bootstrap.sandbox.windows_host.modules.arguments import Refused
from bootstrap.sandbox.windows_host.modules.downloads import unpack
from bootstrap.sandbox.windows_host.modules.paths import local_path
from bootstrap.sandbox.windows_host.state import Route, ServiceState

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

Words = tuple[str, ...]
Answer = tuple[int, str]
_NO_SERVICE = "The specified service does not exist as an installed service.\r\n"
_POWER_PLANS = {
    "381b4222-f694-41f0-9685-ff5bb260df2e": "Balanced",
    "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c": "High performance",
}


def _not_imitated(program: str, words: Words) -> Refused:
    return Refused(f"sandbox: {program} {' '.join(words)} is not imitated")


def _hostname(host: WindowsHost, words: Words) -> Answer:
    return 0, f"{host.state.computer_name}\r\n"


def _whoami(host: WindowsHost, words: Words) -> Answer:
    return 0, f"{host.state.computer_name.lower()}\\administrator\r\n"


def _sc(host: WindowsHost, words: Words) -> Answer:
    """``sc query``, ``failure`` with restarts only, ``failureflag``."""
    verb = words[0].lower() if words else ""
    if verb not in ("query", "failure", "failureflag") or len(words) < 2:
        raise _not_imitated("sc.exe", words)
    service = host.state.service(words[1])
    if service is None:
        return 1060, f"[SC] OpenService FAILED 1060:\r\n\r\n{_NO_SERVICE}"
    if verb == "query":
        running = service.state is ServiceState.RUNNING
        shown = "4  RUNNING" if running else "1  STOPPED"
        return 0, f"\r\nSERVICE_NAME: {service.name}\r\n        STATE              : {shown}\r\n"
    if verb == "failureflag":
        service.failure_flag = words[2:] == ("1",)
        return 0, "[SC] ChangeServiceConfig2 SUCCESS\r\n"
    # ``reset= 0 actions= restart/5000/restart/5000``: the blank after ``=`` belongs to the syntax.
    options = dict(zip(words[2::2], words[3::2], strict=False))
    parts = options.pop("actions=", "").split("/")
    service.recovery_reset_s = int(options.pop("reset=", "0"))
    if options or any(kind != "restart" for kind in parts[::2]):
        raise _not_imitated("sc.exe", words)
    service.recovery = tuple(int(delay) for delay in parts[1::2])
    return 0, "[SC] ChangeServiceConfig2 SUCCESS\r\n"


def _tar(host: WindowsHost, words: Words) -> Answer:
    """``tar -xf <archive> [-C <folder>]``: all that is in it, into a folder that is there."""
    found = re.fullmatch(r"-x[zv]*f (\S+)(?: -C (\S+))?", " ".join(w for w in words))
    if not found or not found[2]:
        raise _not_imitated("tar.exe", words)
    path, folder = local_path(host, found[1]), local_path(host, found[2])
    source = host.state.files.get(path)
    if source is None:
        return 1, f"tar: Error opening archive: Failed to open '{found[1]}'\r\n"
    if not host.state.files.is_folder(folder):
        return 1, f"tar: could not chdir to '{found[2]}'\r\n"
    try:
        unpack(host, source, folder, check=False)
    except NoArchive as exc:
        return 1, f"tar: Error opening archive: {exc}\r\n"
    return 0, ""


def _route(host: WindowsHost, words: Words) -> Answer:
    """``route [-p] add <address> mask <mask> <gateway>`` and ``route delete <address>``."""
    persistent = "-p" in words
    rest = tuple(word.lower() for word in words if word != "-p")
    if len(rest) == 2 and rest[0] == "delete":
        return _route_deleted(host, rest[1])
    if len(rest) != 5 or rest[0] != "add" or rest[2] != "mask":
        raise _not_imitated("route.exe", words)
    destination = str(ipaddress.ip_network(f"{rest[1]}/{rest[3]}"))
    with host.state.lock:
        if any(route.destination == destination for route in host.state.routes):
            return 1, "The route addition failed: The object already exists.\r\n\r\n"
        adapter = host.state.main_adapter().name
        host.state.routes.append(
            Route(
                destination=destination,
                next_hop=rest[4],
                interface=adapter,
                persistent=persistent,
            )
        )
    return 0, " OK!\r\n"


def _route_deleted(host: WindowsHost, address: str) -> Answer:
    with host.state.lock:
        kept = [r for r in host.state.routes if r.destination.split("/")[0] != address]
        if len(kept) == len(host.state.routes):
            return 1, "The route deletion failed: Element not found.\r\n\r\n"
        host.state.routes = kept
    return 0, " OK!\r\n"


def _netsh(host: WindowsHost, words: Words) -> Answer:
    """``netsh int ipv4 set dynamicport tcp|udp start=N num=N``."""
    pattern = r"int(?:erface)? ipv4 set dynamicport(?:range)? (?:tcp|udp) start=(\d+) num=(\d+)"
    found = re.match(pattern, " ".join(words).lower())
    if not found:
        raise _not_imitated("netsh.exe", words)
    start, count = int(found[1]), int(found[2])
    # https://learn.microsoft.com/troubleshoot/windows-server/networking: 1025..65535, at least 255.
    if start < 1025 or count < 255 or start + count > 65536:
        return 1, "The parameter is incorrect.\r\n\r\n"
    host.state.dynamic_ports = (start, count)
    return 0, "Ok.\r\n\r\n"


def _powercfg(host: WindowsHost, words: Words) -> Answer:
    """``powercfg /setactive <GUID>``."""
    if len(words) != 2 or words[0].lower() not in ("/setactive", "-setactive", "/s", "-s"):
        raise _not_imitated("powercfg.exe", words)
    plan = _POWER_PLANS.get(words[1].lower())
    if plan is None:
        return 1, "The power scheme, subgroup or setting specified does not exist.\r\n"
    host.state.power_plan = plan
    return 0, ""


PROGRAMS: Mapping[str, Callable[[WindowsHost, Words], Answer]] = {
    "hostname": _hostname,
    "netsh": _netsh,
    "powercfg": _powercfg,
    "route": _route,
    "sc": _sc,
    "tar": _tar,
    "whoami": _whoami,
}
