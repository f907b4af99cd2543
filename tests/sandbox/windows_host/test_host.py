"""A simulated host through boot, user data, services, reboot."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography import x509

from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.services import AgentFactory, ServiceError
from bootstrap.sandbox.windows_host.state import (
    FeatureState,
    Route,
    ScheduledTask,
    Service,
    ServiceState,
    StartMode,
)
from tests.sandbox.windows_host.fake_machine import eventually
from tests.sandbox.windows_host.simulated import World, make_host, running_host, user_data


class Program:
    """A program that runs until it is stopped, or ends at once with a code."""

    def __init__(self, code: int | None = None) -> None:
        self.code = code
        self.log: list[str] = []

    def factory(self) -> AgentFactory:
        def make(host: WindowsHost, service: Service, words: tuple[str, ...]) -> Program._Process:
            return Program._Process(self, service.name)

        return make

    class _Process:
        def __init__(self, program: Program, name: str) -> None:
            self._program = program
            self._name = name

        def run(self, stop: threading.Event) -> int:
            self._program.log.append(f"+{self._name}")
            if self._program.code is not None:
                return self._program.code
            stop.wait(10)
            self._program.log.append(f"-{self._name}")
            return 0


@contextmanager
def booted(program: Program | None = None, **options: Any) -> Iterator[WindowsHost]:
    """Boot a host without WinRM whose services run the program ``p.exe``."""
    agents = {"p.exe": (program or Program()).factory()}
    host = make_host(World(), data="", agents=agents, **options)
    host.state.files.write(r"C:\k\p.exe", b"MZ")
    host.boot()
    try:
        eventually(lambda: host.state.boots == 1)
        yield host
    finally:
        host.power_off()


def add_service(host: WindowsHost, name: str, **more: object) -> Service:
    values = {"binary_path": r"C:\k\p.exe --x", "start_mode": StartMode.MANUAL} | more
    service = Service(name=name, **values)  # type: ignore[arg-type]
    host.state.services[name.lower()] = service
    return service


# -- boot and user data --
def test_boot_shows_the_fingerprint_of_the_certificate_it_serves() -> None:
    world = World()
    with running_host(world) as host:
        pem = ssl.get_server_certificate((host.spec.address, 5986))
        shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    assert world.fingerprint == shown


def test_certificate_names_address_and_dns_name() -> None:
    with running_host(World()) as host:
        pem = ssl.get_server_certificate((host.spec.address, 5986))
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    found = [str(name.value) for name in names.value]
    assert found == [host.spec.address, host.spec.private_dns]


def test_console_says_what_ec2launch_says() -> None:
    world = World()
    with running_host(world) as host:
        assert f"RDPCERTIFICATE-SUBJECTNAME: {host.state.computer_name}" in world.text
        assert "Windows is Ready to use" in world.text


def test_administrator_gets_a_password() -> None:
    world = World()
    with running_host(world) as host:
        assert world.passwords == [host.state.users["administrator"]]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "no user data"),
        (user_data().replace("<powershell>", "<script>"), "unable to parse"),
        (user_data().replace("</powershell>", ""), "unable to parse"),
        (user_data().replace("5986", "5985"), "not carried out"),
        (user_data() + "#" * 17_000, "longer than 16384"),
    ],
    ids=["none", "wrong tag", "no end", "other script", "too long"],
)
def test_broken_user_data_opens_no_winrm(data: str, said: str) -> None:
    world = World()
    host = make_host(world, data=data)
    host.boot()
    try:
        eventually(lambda: said in world.text)
        assert world.fingerprint == ""
        with pytest.raises(ConnectionRefusedError):
            ssl.get_server_certificate((host.spec.address, 5986))
    finally:
        host.power_off()


def test_line_endings_of_user_data_do_not_matter() -> None:
    world = World()
    with running_host(world, data=user_data().replace("\n", "\r\n")):
        assert world.fingerprint


def test_fault_user_data_ignored_shows_no_fingerprint() -> None:
    world = World(faults={"user-data-ignored"})
    host = make_host(world)
    host.boot()
    eventually(lambda: "not executed" in world.text)
    host.power_off()
    assert world.fingerprint == ""


def test_fault_wrong_certificate_shows_another_one() -> None:
    world = World(faults={"wrong-certificate"})
    with running_host(world) as host:
        pem = ssl.get_server_certificate((host.spec.address, 5986))
    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() != world.fingerprint


def test_fault_password_never_gives_none() -> None:
    world = World(faults={"password-never"})
    with running_host(world):
        assert world.passwords == []


def test_fault_winrm_refused_leaves_the_port_closed() -> None:
    world = World(faults={"winrm-refused"})
    with running_host(world) as host, pytest.raises(ConnectionRefusedError):
        ssl.get_server_certificate((host.spec.address, 5986))


# -- reboot --
def test_reboot_changes_the_boot_time_and_installs_what_waited() -> None:
    with booted() as host:
        before = host.boot_file_time()
        host.state.features["containers"] = FeatureState.INSTALL_PENDING
        host.state.reboot_pending = True
        host.reboot()
        eventually(lambda: host.state.boots == 2)
        assert host.boot_file_time() > before
        assert host.state.features["containers"] is FeatureState.INSTALLED
        assert not host.state.reboot_pending


def test_reboot_loses_hns_networks_and_routes_that_are_not_persistent() -> None:
    with booted() as host:
        host.state.hns.networks["1"] = {"Name": "External"}
        host.state.attach_switch()
        kept = Route(destination="10.0.0.0/8", next_hop="1.1.1.1", interface="x", persistent=True)
        host.state.routes += [kept, Route(destination="1.0.0.0/8", next_hop="", interface="x")]
        host.reboot()
        eventually(lambda: host.state.boots == 2)
        destinations = {route.destination for route in host.state.routes}
        assert host.state.hns.networks == {}
        assert host.state.main_adapter().name == "Ethernet"
        assert "10.0.0.0/8" in destinations and "1.0.0.0/8" not in destinations


def test_certificate_and_password_outlive_a_reboot() -> None:
    world = World()
    with running_host(world) as host:
        before = ssl.get_server_certificate((host.spec.address, 5986))
        host.reboot()
        eventually(lambda: host.state.boots == 2)
        eventually(lambda: _certificate(host) == before)
        assert len(world.passwords) == 1


def _certificate(host: WindowsHost) -> str:
    try:
        return ssl.get_server_certificate((host.spec.address, 5986))
    except OSError:
        return ""


def test_host_that_goes_off_while_it_boots_serves_nothing() -> None:
    for _ in range(5):
        host = make_host(World())
        host.boot()
        host.power_off()
        assert _certificate(host) == ""


def test_startup_task_runs_at_each_boot() -> None:
    ran: list[dict[str, object]] = []

    def script(host: WindowsHost, request: dict[str, object], check: bool) -> ScriptOutcome:
        ran.append(request)
        return ScriptOutcome()

    with booted(scripts={"T.ps1": script}) as host:
        task = ScheduledTask(name="t", script="T.ps1", request='{"a": 1}')
        host.state.tasks["t"] = task
        host.reboot()
        eventually(lambda: len(ran) == 1)
        assert ran[0] == {"a": 1, "detached": True}


def test_host_that_is_off_does_not_reboot() -> None:
    with booted() as host:
        host.power_off()
        host.reboot()
        threading.Event().wait(0.3)
        assert host.state.boots == 1


def test_blip_breaks_connections_and_the_port_answers_again() -> None:
    world = World()
    with running_host(world) as host:
        host.network_blip()
        eventually(lambda: _certificate(host) != "")


def test_fault_at_the_vswitch_keeps_the_port_deaf() -> None:
    with running_host(World(faults={"winrm-drop-at-vswitch"})) as host:
        host.network_blip()
        assert _certificate(host) == ""


# -- services --
def test_service_starts_after_what_it_depends_on() -> None:
    program = Program()
    with booted(program) as host:
        add_service(host, "containerd")
        add_service(host, "kubelet", dependencies=("containerd",))
        host.services.start("kubelet")
        eventually(lambda: len(program.log) == 2)
        assert sorted(program.log) == ["+containerd", "+kubelet"]
        assert {s.name for s in host.state.running_services()} == {"containerd", "kubelet"}


def test_service_is_stopped_after_what_depends_on_it_without_delay() -> None:
    program = Program()
    with booted(program) as host:
        add_service(host, "containerd")
        add_service(host, "kubelet", dependencies=("containerd",))
        host.services.start("kubelet")
        eventually(lambda: len(program.log) == 2)
        done = threading.Event()
        threading.Thread(target=_then(lambda: host.services.stop("containerd"), done)).start()
        assert done.wait(2)
        assert program.log[2:] == ["-kubelet", "-containerd"]


def _then(act: Callable[[], None], done: threading.Event) -> Callable[[], None]:
    def run() -> None:
        act()
        done.set()

    return run


def test_automatic_services_start_at_boot() -> None:
    program = Program()
    with booted(program) as host:
        add_service(host, "kubelet", start_mode=StartMode.AUTO)
        add_service(host, "by-hand")
        host.reboot()
        eventually(lambda: program.log == ["+kubelet"])


def test_program_that_ends_is_restarted_by_its_recovery() -> None:
    program = Program(code=1)
    with booted(program) as host:
        service = add_service(host, "kubelet", recovery=(1000,))
        host.services.start("kubelet")
        eventually(lambda: service.starts >= 3)
        assert any("terminated unexpectedly, exit code 1" in text for text in host.state.events)


def test_program_that_ends_without_recovery_stays_stopped() -> None:
    with booted(Program(code=3)) as host:
        service = add_service(host, "kubelet")
        host.services.start("kubelet")
        eventually(lambda: service.state is ServiceState.STOPPED)
        assert (service.exit_code, service.starts) == (3, 1)


def test_nothing_recovers_on_a_host_that_is_off() -> None:
    with booted(Program(code=1)) as host:
        service = add_service(host, "kubelet", recovery=(0,))
        host.services.start("kubelet")
        eventually(lambda: service.starts >= 1)
        host.power_off()
        threading.Event().wait(0.2)
        starts = service.starts
        threading.Event().wait(0.2)
        assert service.starts == starts


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"binary_path": r"C:\k\missing.exe"}, "cannot find the file"),
        ({"binary_path": ""}, "cannot find the file"),
        ({"start_mode": StartMode.DISABLED}, "1058"),
        ({"dependencies": ("nobody",)}, "1075"),
    ],
    ids=["no program", "no path", "disabled", "unknown dependency"],
)
def test_service_that_cannot_start_is_refused(more: dict[str, object], text: str) -> None:
    with booted() as host:
        add_service(host, "kubelet", **more)
        with pytest.raises(ServiceError, match=text):
            host.services.start("kubelet")


def test_program_that_nobody_imitates_is_refused() -> None:
    with booted() as host:
        host.state.files.write(r"C:\k\other.exe", b"MZ")
        add_service(host, "other", binary_path=r"C:\k\other.exe")
        with pytest.raises(ServiceError, match="not imitated"):
            host.services.start("other")


def test_unknown_service_is_refused() -> None:
    with booted() as host, pytest.raises(ServiceError, match="Cannot find any service"):
        host.services.start("nobody")


# -- modules --
def test_module_result_tells_what_it_was_called_with() -> None:
    with booted() as host:
        result = host.run_module("ansible.windows.win_ping", {"data": "x", "_ansible_debug": True})
        assert result == {
            "changed": False,
            "ping": "x",
            "invocation": {"module_args": {"data": "x"}},
        }


def test_fault_reboot_in_task_takes_the_host_down_once() -> None:
    world = World(faults={"reboot-in-task"})
    host = make_host(world, data="")
    host.boot()
    try:
        eventually(lambda: host.state.boots == 1)
        assert not host.run_module("ansible.windows.win_ping", {}).get("failed")
        host.reboot()
        eventually(lambda: host.state.boots == 2)
        assert host.run_module("ansible.windows.win_ping", {})["failed"]
        eventually(lambda: host.state.boots == 3)
        assert not host.run_module("ansible.windows.win_ping", {}).get("failed")
    finally:
        host.power_off()


def test_fifty_hosts_run_at_once() -> None:
    hosts = [make_host(World(), data="") for _ in range(50)]
    for host in hosts:
        host.boot()
    try:
        eventually(lambda: all(host.state.boots == 1 for host in hosts))
    finally:
        for host in hosts:
            host.power_off()
