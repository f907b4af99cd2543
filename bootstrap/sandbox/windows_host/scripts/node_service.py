"""Set-NodeService: services of the service control manager, and the state they are to have."""

from __future__ import annotations

import time
from typing import Any

from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts.request import Request, Thrown, answer, field
from bootstrap.sandbox.windows_host.services import ServiceError
from bootstrap.sandbox.windows_host.state import Service, ServiceState, StartMode

_STATE_TIMEOUT_S = 120.0
_SHORTEST_TIMEOUT_S = 10.0
_POLL_S = 0.05


def set_services(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Register what differs, and start, stop or restart."""
    results = []
    for wanted in field(request, "services"):
        service = host.state.service(str(field(wanted, "name")))
        registered = service is not None and _is_as_wanted(service, wanted)
        in_state = service is not None and service.state is _expected(wanted)
        stale = service is not None and _is_stale(host, service, wanted)
        restarted = wanted["state"] == "restarted"
        changed = not registered or stale or restarted or not in_state
        if changed and not check:
            if not registered:
                _register(host, wanted, service)
            _set_state(host, wanted, restart=stale or restarted or not registered)
        results.append({"name": wanted["name"], "changed": changed, "state": wanted["state"]})
    return answer(changed=any(result["changed"] for result in results), services=results)


def _is_stale(host: WindowsHost, service: Service, wanted: Request) -> bool:
    """Tell whether a file that a running service watches is newer than its process."""
    files = [host.state.files.get(str(path)) for path in field(wanted, "watches")]
    return service.state is ServiceState.RUNNING and any(
        file is not None and file.written > service.started_at for file in files
    )


def _expected(wanted: Request) -> ServiceState:
    stopped = field(wanted, "state") == "stopped"
    return ServiceState.STOPPED if stopped else ServiceState.RUNNING


def _is_as_wanted(service: Service, wanted: Request) -> bool:
    return (
        service.binary_path == field(wanted, "binaryPath")
        and service.start_mode is StartMode.AUTO
        and service.dependencies == tuple(field(wanted, "dependencies"))
        and service.environment == _environment(wanted)
        and service.failure_flag
    )


def _environment(wanted: Request) -> dict[str, str]:
    environment: dict[str, Any] = field(wanted, "environment") or {}
    return {str(name): str(value) for name, value in environment.items()}


def _register(host: WindowsHost, wanted: Request, service: Service | None) -> None:
    name = str(wanted["name"])
    with host.state.lock:
        if service is None:
            service = Service(name=name, binary_path="")
            host.state.services[name.lower()] = service
        service.binary_path = str(wanted["binaryPath"])
        service.display_name = str(field(wanted, "displayName"))
        service.start_mode = StartMode.AUTO
        service.dependencies = tuple(str(item) for item in wanted["dependencies"])
        service.environment = _environment(wanted)
        service.recovery = tuple(int(delay) for delay in field(wanted, "recoveryDelaysMs"))
        service.recovery_reset_s = int(field(wanted, "resetSeconds"))
        service.failure_flag = True


def _set_state(host: WindowsHost, wanted: Request, *, restart: bool) -> None:
    name, expected = str(wanted["name"]), _expected(wanted)
    service = host.state.service(name)
    assert service is not None
    running = service.state is ServiceState.RUNNING
    try:
        if expected is ServiceState.STOPPED:
            host.services.stop(name)
        elif running and restart:
            host.services.restart(name)
        elif not running:
            host.services.start(name)
    except ServiceError as error:
        raise Thrown(
            f"WN0401 Failed to start service '{service.display_name} ({name})': {error}"
        ) from error
    timeout_s = max(_SHORTEST_TIMEOUT_S, _STATE_TIMEOUT_S * host.spec.time_factor)
    deadline = time.monotonic() + timeout_s
    while service.state is not expected:
        if time.monotonic() > deadline:
            raise Thrown(
                f"WN0401 service {name} is not {expected.capitalize()} after "
                f"{_STATE_TIMEOUT_S:.0f} s"
            )
        time.sleep(_POLL_S)
