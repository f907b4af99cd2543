"""``community.windows.win_firewall_rule`` for inbound rules of ports.

https://docs.ansible.com/ansible/latest/collections/community/windows/win_firewall_rule_module.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments, Refused
from bootstrap.sandbox.windows_host.state import FirewallRule

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_NOT_IMITATED = {
    "edge": "no",
    "group": "",
    "icmp_type_code": None,
    "interfacetypes": None,
    "localip": "any",
    "program": "any",
    "remoteport": "any",
    "security": "notrequired",
    "service": "any",
}
_KNOWN = (
    "name",
    "action",
    "description",
    "direction",
    "enabled",
    "localport",
    "profiles",
    "protocol",
    "remoteip",
    "state",
    *_NOT_IMITATED,
)
_ALIASES = {"enable": "enabled", "profile": "profiles"}
_PROFILES = ("domain", "private", "public")


def win_firewall_rule(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Make, change or remove a rule; of a rule that is there, only what is named is compared."""
    arguments = Arguments(given, _KNOWN, "community.windows.win_firewall_rule", aliases=_ALIASES)
    arguments.only_default(_NOT_IMITATED)
    name = arguments.text("name")
    if not name:
        raise Refused("Either name or group must be specified")
    if arguments.choice("direction", ("in", "out"), "in") == "out":
        raise Refused("sandbox: outbound rules are not imitated")
    unknown = next((item for item in arguments.names("profiles") if item not in _PROFILES), "")
    if unknown:
        raise Refused(f"Unknown profile '{unknown}'.")
    present = host.state.firewall.get(name.lower())
    if arguments.choice("state", ("present", "absent"), "present") == "absent":
        return _remove(host, name, check, is_there=present is not None)
    base = present or FirewallRule(name=name, protocol="any", local_port="any")
    wanted = _wanted(base, arguments)
    if not check:
        host.state.firewall[name.lower()] = wanted
    if present is None:
        return {"changed": True, "msg": f"Firewall rule '{name}' created."}
    changed = wanted != present
    rules = (name, "") if changed else ("", name)
    message = f"Firewall rule(s) changed '{rules[0]}' - unchanged '{rules[1]}'"
    return {"changed": changed, "msg": message}


def _remove(host: WindowsHost, name: str, check: bool, *, is_there: bool) -> dict[str, Any]:
    if not is_there:
        return {"changed": False, "msg": f"Firewall rule '{name}' does not exist."}
    if not check:
        del host.state.firewall[name.lower()]
    return {"changed": True, "msg": f"Firewall rule(s) '{name}' removed."}


def _wanted(base: FirewallRule, arguments: Arguments) -> FirewallRule:
    protocol = arguments.text("protocol", base.protocol).lower()
    if protocol not in ("any", "tcp", "udp") and not protocol.isdigit():
        raise Refused(f"Unknown protocol '{protocol}'.")
    port = arguments.text("localport", base.local_port)
    if port != "any" and protocol not in ("tcp", "udp", "6", "17"):
        # HNetCfg.FWRule takes ports only once its protocol has some.
        raise Refused("The parameter is incorrect. (Exception from HRESULT: 0x80070057)")
    return replace(
        base,
        protocol=protocol,
        local_port=port,
        action=arguments.choice("action", ("allow", "block"), base.action),
        remote=arguments.text("remoteip", base.remote),
        enabled=arguments.flag("enabled", base.enabled),
    )
