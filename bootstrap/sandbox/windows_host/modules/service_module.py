"""``ansible.windows.win_service`` of 3.3, by its own source: services through their manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments, Refused
from bootstrap.sandbox.windows_host.modules.paths import expanded
from bootstrap.sandbox.windows_host.services import ServiceError
from bootstrap.sandbox.windows_host.state import Service, ServiceState, StartMode

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_MODULE = "ansible.windows.win_service"
_SET = (
    "dependencies",
    "description",
    "display_name",
    "failure_actions",
    "failure_actions_on_non_crash_failure",
    "failure_reset_period_sec",
    "path",
    "start_mode",
    "state",
    "username",
)
_NOT_IMITATED = {
    "desktop_interact": False,
    "error_control": "normal",
    "failure_command": None,
    "failure_reboot_msg": None,
    "load_order_group": None,
    "password": None,
    "pre_shutdown_timeout_ms": None,
    "required_privileges": None,
    "service_type": "win32_own_process",
    "sid_info": "none",
    "update_password": "on_create",
}
_KNOWN = ("name", "dependency_action", "force_dependent_services", *_SET, *_NOT_IMITATED)
_ALIASES = {
    "failure_reset_period": "failure_reset_period_sec",
    "pre_shutdown_timeout": "pre_shutdown_timeout_ms",
}
_STATES = ("started", "stopped", "restarted", "absent", "paused")
_ACTIONS = ("none", "reboot", "restart", "run_command")
_CRASHED = "Unhandled exception while executing module: "


def win_service(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Register, change, start, stop or remove a service."""
    arguments = Arguments(given, _KNOWN, _MODULE, aliases=_ALIASES)
    name = str(arguments.required("name"))
    arguments.only_default(_NOT_IMITATED)
    state = arguments.choice("state", _STATES, "")
    service = _found(host, name)
    if state == "absent":
        return _removed(host, service, arguments, check)
    if service is None and not any(arguments.has(key) for key in _SET):
        return {"changed": False, "exists": False}
    if service is None and not arguments.has("path"):
        raise Refused(
            f"Service '{name}' is not installed, need to set 'path' to create a new service"
        )
    before = service or Service(name=name, binary_path="", display_name=name)
    wanted = _wanted(host, before, arguments)
    changed = service is None or wanted != before
    if changed and not check:
        _store(host, service, wanted)
    moved = _moved(host, wanted, state, check, arguments.flag("force_dependent_services"))
    if check:
        shown = "running" if state in ("started", "restarted") else state or before.state.value
        return {"changed": changed or moved, **_view(host, wanted), "state": shown}
    return {"changed": changed or moved, **_view(host, _found(host, name) or wanted)}


def _found(host: WindowsHost, name: str) -> Service | None:
    """Find a service by its name, or else by what is shown for it."""
    with host.state.lock:
        services = list(host.state.services.values())
    for service in services:
        if name.lower() in (service.name.lower(), service.display_name.lower()):
            return service
    return None


def _removed(
    host: WindowsHost, service: Service | None, arguments: Arguments, check: bool
) -> dict[str, Any]:
    if service is None:
        return {"changed": False, "exists": False}
    _require_stoppable(host, service, arguments.flag("force_dependent_services"))
    if not check:
        host.services.stop(service.name)
        with host.state.lock:
            del host.state.services[service.name.lower()]
    return {"changed": True, "exists": False}


def _wanted(host: WindowsHost, before: Service, arguments: Arguments) -> Service:
    """Return a service as the task wants it: what it does not name stays as it is."""
    values: dict[str, Any] = {}
    if arguments.has("path"):
        values["binary_path"] = expanded(host, arguments.text("path"))
    for option, field in (("display_name", "display_name"), ("description", "description")):
        if arguments.has(option):
            values[field] = arguments.text(option)
    if arguments.has("username"):
        values["account"] = _account(arguments.text("username"))
    if arguments.has("start_mode"):
        modes = ("auto", "manual", "disabled", "delayed")
        values["start_mode"] = StartMode(arguments.choice("start_mode", modes, ""))
    action = arguments.choice("dependency_action", ("add", "remove", "set"), "set")
    if arguments.has("dependencies"):
        values["dependencies"] = _dependencies(before, arguments.names("dependencies"), action)
    return replace(before, **values, **_recovery(arguments))


def _account(username: str) -> str:
    if username.lower() not in ("localsystem", "system", r"nt authority\system"):
        raise Refused(f"sandbox: services of the account '{username}' are not imitated")
    return "LocalSystem"


def _dependencies(before: Service, named: list[str], action: str) -> tuple[str, ...]:
    if action == "add":
        return (*before.dependencies, *(n for n in named if n not in before.dependencies))
    if action == "remove":
        return tuple(item for item in before.dependencies if item not in named)
    # The order of dependencies says nothing; a set that is the same changes nothing.
    return before.dependencies if set(named) == set(before.dependencies) else tuple(named)


def _recovery(arguments: Arguments) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if arguments.has("failure_actions"):
        actions = arguments.get("failure_actions")
        if not isinstance(actions, list):
            raise Refused("sandbox: failure_actions has to be a list")
        values["recovery"] = tuple(_delay_ms(action) for action in actions)
    if arguments.has("failure_reset_period_sec"):
        values["recovery_reset_s"] = arguments.number("failure_reset_period_sec")
    if arguments.has("failure_actions_on_non_crash_failure"):
        values["failure_flag"] = arguments.flag("failure_actions_on_non_crash_failure")
    return values


def _delay_ms(given: Mapping[str, Any]) -> int:
    action = Arguments(given, ("delay_ms", "type"), _MODULE, aliases={"delay": "delay_ms"})
    if not action.has("type"):
        raise Refused("missing required arguments: type found in failure_actions")
    kind = action.choice("type", _ACTIONS, "")
    if kind != "restart":
        raise Refused(f"sandbox: the failure action {kind} is not imitated")
    return action.number("delay_ms")


def _store(host: WindowsHost, service: Service | None, wanted: Service) -> None:
    with host.state.lock:
        if service is None:
            host.state.services[wanted.name.lower()] = wanted
            return
        # The service manager holds on to the object.
        for field in fields(Service):
            setattr(service, field.name, getattr(wanted, field.name))


def _moved(host: WindowsHost, service: Service, state: str, check: bool, force: bool) -> bool:
    running = service.state is ServiceState.RUNNING
    if state == "paused":
        raise Refused(
            f"failed to pause service {service.name}: The service does not support pausing"
        )
    if not state or (state == "started" and running) or (state == "stopped" and not running):
        return False
    if state != "started":
        _require_stoppable(host, service, force)
    if check:
        return True
    try:
        match state:
            case "started":
                host.services.start(service.name)
            case "stopped":
                host.services.stop(service.name)
            case _:
                host.services.restart(service.name)
    except ServiceError as exc:
        raise Refused(f"{_CRASHED}{exc}") from exc
    return True


def _require_stoppable(host: WindowsHost, service: Service, force: bool) -> None:
    if force:
        return
    running = {other.name for other in host.state.running_services()}
    if running & set(_dependents(host, service)):
        raise Refused(
            f"{_CRASHED}Cannot stop service '{service.display_name} ({service.name})' because it"
            " has dependent services. It can only be stopped if the Force flag is set."
        )


def _dependents(host: WindowsHost, service: Service) -> list[str]:
    key = service.name.lower()
    with host.state.lock:
        others = list(host.state.services.values())
    return [o.name for o in others if key in (item.lower() for item in o.dependencies)]


def _view(host: WindowsHost, service: Service) -> dict[str, Any]:
    return {
        "can_pause_and_continue": False,
        "depended_by": _dependents(host, service),
        "dependencies": list(service.dependencies),
        "description": service.description,
        "desktop_interact": False,
        "display_name": service.display_name,
        "exists": True,
        "name": service.name,
        "path": service.binary_path,
        "start_mode": service.start_mode.value,
        "state": service.state.value.replace("_", ""),
        "username": service.account,
    }
