"""``community.windows.win_firewall_rule``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments
from bootstrap.sandbox.windows_host.state import FirewallRule

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_KNOWN = (
    "name",
    "action",
    "description",
    "direction",
    "enabled",
    "group",
    "icmp_type_code",
    "localip",
    "localport",
    "profiles",
    "program",
    "protocol",
    "remoteip",
    "remoteport",
    "service",
    "state",
)


def win_firewall_rule(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Make, change or remove an inbound rule."""
    arguments = Arguments(given, _KNOWN, "community.windows.win_firewall_rule")
    name = str(arguments.required("name"))
    arguments.choice("direction", ("in", "out"), "in")
    key = name.lower()
    present = host.state.firewall.get(key)
    if arguments.choice("state", ("absent", "present"), "present") == "absent":
        if present is not None and not check:
            del host.state.firewall[key]
        return {"changed": present is not None, "msg": f"Firewall rule '{name}' removed."}
    wanted = FirewallRule(
        name=name,
        protocol=arguments.text("protocol", "any").lower(),
        local_port=arguments.text("localport", "any"),
        action=arguments.choice("action", ("allow", "block"), "allow"),
        remote=arguments.text("remoteip", "any"),
        enabled=arguments.flag("enabled", True),
    )
    if wanted.local_port != "any" and wanted.protocol not in ("tcp", "udp", "6", "17"):
        return {
            "failed": True,
            "changed": False,
            "msg": "The parameter is incorrect. (a port needs protocol tcp or udp)",
        }
    if not check:
        host.state.firewall[key] = wanted
    return {"changed": wanted != present, "msg": f"Firewall rule '{name}' created."}
