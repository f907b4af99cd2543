"""win_service and win_wait_for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.services import Agent
from bootstrap.sandbox.windows_host.state import Service, ServiceState, StartMode
from tests.sandbox.windows_host.playing import changes, fails, play
from tests.sandbox.windows_host.simulated import World, make_host

ONCE = [True, True, False]


class _Idle:
    def run(self, stop: threading.Event) -> int:
        stop.wait()
        return 0


def _idle(host: WindowsHost, service: Service, words: tuple[str, ...]) -> Agent:
    return _Idle()


@pytest.fixture
def host() -> Iterator[WindowsHost]:
    made = make_host(World(), agents={"a.exe": _idle})
    made.state.files.write(r"C:\k\a.exe", b"")
    yield made
    made.services.stop_all()


def state_of(host: WindowsHost, name: str) -> ServiceState:
    service = host.state.service(name)
    assert service is not None
    return service.state


def register(host: WindowsHost, name: str, **more: Any) -> dict[str, Any]:
    return play(host, "win_service", name=name, path=r"C:\k\a.exe", **more)


def test_service_is_registered_and_started_once(host: WindowsHost) -> None:
    given = {"name": "a", "path": r"C:\k\a.exe -x", "start_mode": "auto", "state": "started"}
    assert changes(host, "win_service", **given) == ONCE
    assert state_of(host, "a") is ServiceState.RUNNING


def test_service_is_found_by_what_is_shown_for_it(host: WindowsHost) -> None:
    register(host, "a", display_name="The A")
    assert play(host, "win_service", name="the a")["name"] == "a"


def test_all_that_is_set_is_kept(host: WindowsHost) -> None:
    given = {
        "dependencies": ["b"],
        "failure_actions": [{"type": "restart", "delay_ms": 5000}, {"type": "restart"}],
        "failure_actions_on_non_crash_failure": True,
        "failure_reset_period_sec": 60,
        "start_mode": "delayed",
        "description": "says",
    }
    assert changes(host, "win_service", name="a", path=r"C:\k\a.exe", **given) == ONCE
    service = host.state.service("a")
    assert service is not None
    assert (service.recovery, service.recovery_reset_s) == ((5000, 0), 60)
    assert (service.start_mode, service.dependencies) == (StartMode.DELAYED, ("b",))
    assert (service.failure_flag, service.description) == (True, "says")


def test_dependency_is_added(host: WindowsHost) -> None:
    register(host, "a", dependencies=["b"])
    register(host, "a", dependencies=["c"], dependency_action="add")
    assert play(host, "win_service", name="a")["dependencies"] == ["b", "c"]


def test_service_is_stopped_and_removed(host: WindowsHost) -> None:
    register(host, "a", state="started")
    assert changes(host, "win_service", name="a", state="stopped") == ONCE
    assert changes(host, "win_service", name="a", state="absent") == ONCE
    assert play(host, "win_service", name="a")["exists"] is False


def test_restart_always_changes(host: WindowsHost) -> None:
    register(host, "a", state="started")
    assert changes(host, "win_service", name="a", state="restarted") == [True, True, True]


def test_service_without_a_path_is_refused(host: WindowsHost) -> None:
    message = fails(host, "win_service", name="no", state="started")
    assert message == "Service 'no' is not installed, need to set 'path' to create a new service"


def test_program_that_is_not_there_cannot_start(host: WindowsHost) -> None:
    message = fails(host, "win_service", name="b", path=r"C:\no.exe", state="started")
    assert "cannot be started due to the following error" in message


def test_disabled_service_cannot_start(host: WindowsHost) -> None:
    register(host, "a", start_mode="disabled")
    assert "cannot be started" in fails(host, "win_service", name="a", state="started")


def test_service_that_others_need_is_not_stopped_without_force(host: WindowsHost) -> None:
    register(host, "a", state="started")
    register(host, "b", dependencies=["a"], state="started")
    message = fails(host, "win_service", name="a", state="stopped")
    assert "It can only be stopped if the Force flag is set." in message
    play(host, "win_service", name="a", state="stopped", force_dependent_services=True)
    assert state_of(host, "b") is ServiceState.STOPPED


@pytest.mark.parametrize(
    "given",
    [
        {"state": "paused"},
        {"state": "running"},
        {"username": "bob"},
        {"failure_actions": [{"type": "reboot"}]},
        {"failure_actions": [{"delay_ms": 1}]},
        {"load_order_group": "x"},
        {"colour": "red"},
    ],
)
def test_what_is_not_imitated_is_refused(host: WindowsHost, given: dict[str, Any]) -> None:
    register(host, "a")
    assert fails(host, "win_service", name="a", **given)


# -- win_wait_for --
def test_file_is_awaited(host: WindowsHost) -> None:
    assert play(host, "win_wait_for", path=r"C:\k\a.exe")["wait_attempts"] == 1


def test_text_in_a_file_is_awaited_whatever_its_case(host: WindowsHost) -> None:
    host.state.files.write(r"C:\k\log", b"Node READY\n")
    play(host, "win_wait_for", path=r"C:\k\log", regex="node\\s+ready")


def test_file_that_does_not_come_is_a_timeout(host: WindowsHost) -> None:
    message = fails(host, "win_wait_for", path=r"C:\no", timeout=1)
    assert message == r"timeout while waiting for file C:\no to be present"


def test_port_of_the_host_is_awaited(host: WindowsHost) -> None:
    with socket.create_server((host.spec.address, 0)) as server:
        play(host, "win_wait_for", port=server.getsockname()[1])
        message = fails(host, "win_wait_for", port=server.getsockname()[1], state="stopped")
    assert message.endswith("to stop listening")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"port": 1, "path": r"C:\k"},
            "port and path parameter can not both be passed to win_wait_for",
        ),
        (
            {"path": r"C:\k", "state": "stopped"},
            "state=stopped should only be used for checking a port in the win_wait_for module",
        ),
        (
            {"port": 1, "regex": "x"},
            "regex should by used when checking a string in a file in the win_wait_for module",
        ),
        ({"port": 1, "exclude_hosts": ["x"]}, "exclude_hosts should only be with state=drained"),
    ],
)
def test_wait_for_refuses_contradictions(
    host: WindowsHost, given: dict[str, Any], message: str
) -> None:
    assert fails(host, "win_wait_for", **given) == message
