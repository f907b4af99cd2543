"""Initialize-NodeHost: build, dynamic ports, power plan, Defender, firewall, hosts file."""

from __future__ import annotations

from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts.request import Request, Thrown, answer, field
from bootstrap.sandbox.windows_host.state import FirewallRule

HOSTS_FILE = r"C:\Windows\System32\drivers\etc\hosts"
_MARK = "# bootstrap"


def initialize(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Bring the host's settings into the wanted state."""
    state = host.state
    expected = field(request, "expectedBuild")
    if expected and state.build != expected:
        raise Thrown(f"WN0101 this host runs Windows build {state.build}, expected is {expected}")
    with state.lock:
        changes = [
            _set_ports(host, request, check),
            _set_power_plan(host, request, check),
            _add_exclusions(host, request, check),
            _set_firewall(host, request, check),
            _set_hosts(host, request, check),
        ]
        return answer(
            changed=any(changes),
            build=state.build,
            revision=state.revision,
            rebootPending=state.reboot_pending,
        )


def _set_ports(host: WindowsHost, request: Request, check: bool) -> bool:
    ports = field(request, "dynamicPorts")
    wanted = (int(field(ports, "start")), int(field(ports, "count")))
    if host.state.dynamic_ports == wanted:
        return False
    if not check:
        host.state.dynamic_ports = wanted
    return True


def _set_power_plan(host: WindowsHost, request: Request, check: bool) -> bool:
    plan = str(field(request, "powerPlan"))
    if not plan or host.state.power_plan == plan:
        return False
    if not check:
        host.state.power_plan = plan
    return True


def _add_exclusions(host: WindowsHost, request: Request, check: bool) -> bool:
    missing = set(field(request, "defenderExclusions")) - host.state.defender_exclusions
    if missing and not check:
        host.state.defender_exclusions |= missing
    return bool(missing)


def _set_firewall(host: WindowsHost, request: Request, check: bool) -> bool:
    rules = [
        FirewallRule(
            name=str(field(rule, "name")),
            protocol=str(field(rule, "protocol")).lower(),
            local_port=str(field(rule, "port")),
            remote=",".join(field(rule, "remote")),
        )
        for rule in field(request, "firewall")
    ]
    wrong = [rule for rule in rules if host.state.firewall.get(rule.name.lower()) != rule]
    if not check:
        host.state.firewall.update({rule.name.lower(): rule for rule in wrong})
    return bool(wrong)


def _set_hosts(host: WindowsHost, request: Request, check: bool) -> bool:
    content = host.state.files.read(HOSTS_FILE) or b""
    lines = content.decode("ascii", errors="replace").splitlines()
    foreign = [line for line in lines if not line.endswith(_MARK)]
    entries = [f"{e['address']} {e['name']} {_MARK}" for e in field(request, "hosts")]
    if lines == foreign + entries:
        return False
    if not check:
        text = "".join(f"{line}\r\n" for line in foreign + entries)
        host.state.files.write(HOSTS_FILE, text.encode("ascii"))
    return True
