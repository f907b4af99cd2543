"""The port RemoteShell: one contract for pywinrm on a simulated host and for the fake."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from bootstrap.adapters.winrm_shell import WinRmShell
from bootstrap.errors import AccessError, RemoteError
from bootstrap.model.host import HostTarget
from bootstrap.model.node import NodeName
from bootstrap.model.secret import Secret
from bootstrap.planning import node_state
from bootstrap.ports import RemoteShell
from bootstrap.resources import data_path
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.identity import self_signed
from bootstrap.sandbox.windows_host.scripts import SCRIPTS
from bootstrap.sandbox.windows_host.state import Service
from tests.fakes.remote_shell import FakeHost, FakeRemoteShell
from tests.sandbox.windows_host.simulated import World, running_host

NAME = NodeName("win-1")
OTHER = self_signed("127.0.0.1", "other.example.com").certificate_pem


@dataclass
class Case:
    """A shell and a host that it can log in to."""

    shell: RemoteShell
    target: HostTarget
    computer_name: str
    fingerprint: str


@contextlib.contextmanager
def _real() -> Iterator[Case]:
    world = World()
    with running_host(world) as host:
        shell = WinRmShell()
        target = HostTarget(
            node=NAME,
            host=host.spec.address,
            ca_pem=shell.certificate(host.spec.address, 5986),
            user="Administrator",
            password=Secret(world.passwords[0]),
        )
        yield Case(shell, target, host.state.computer_name, world.fingerprint)


def _fake() -> Case:
    pem = self_signed("10.0.0.1", "win-1.example.com").certificate_pem
    host = FakeHost(certificate=pem, password="right", computer_name="EC2AMAZ-7")
    target = HostTarget(
        node=NAME,
        host="10.0.0.1",
        ca_pem=pem,
        user="Administrator",
        password=Secret("right"),
    )
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    return Case(FakeRemoteShell(hosts={"10.0.0.1": host}), target, "EC2AMAZ-7", digest)


@pytest.fixture(scope="module", params=["winrm", "fake"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    if request.param == "fake":
        yield _fake()
        return
    with _real() as real:
        yield real


def test_host_that_listens_is_reachable(case: Case) -> None:
    assert case.shell.is_reachable(case.target.host, case.target.port)


def test_address_without_a_host_is_not_reachable(case: Case) -> None:
    assert not case.shell.is_reachable("127.255.1.1", 5986)


def test_certificate_is_the_one_of_the_console(case: Case) -> None:
    pem = case.shell.certificate(case.target.host, case.target.port)
    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() == case.fingerprint


def test_certificate_of_nobody_is_a_remote_error(case: Case) -> None:
    with pytest.raises(RemoteError):
        case.shell.certificate("127.255.1.1", 5986)


def test_login_returns_the_computer_name(case: Case) -> None:
    assert case.shell.check_login(case.target) == case.computer_name


def test_login_with_a_wrong_password_is_an_access_error(case: Case) -> None:
    with pytest.raises(AccessError) as caught:
        case.shell.check_login(replace(case.target, password=Secret("wrong")))
    assert caught.value.name == "WinRmLoginRefused"


def test_login_at_another_certificate_is_an_access_error(case: Case) -> None:
    with pytest.raises(AccessError) as caught:
        case.shell.check_login(replace(case.target, ca_pem=OTHER))
    assert caught.value.name == "WinRmCertificateMismatch"


def test_login_at_an_address_without_a_host_is_a_remote_error(case: Case) -> None:
    with pytest.raises(RemoteError):
        case.shell.check_login(replace(case.target, host="127.255.1.1"))


def test_host_that_closes_the_connection_is_a_remote_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.close()
        with pytest.raises(RemoteError):
            WinRmShell().certificate("127.0.0.1", port)


def test_errors_do_not_show_the_password() -> None:
    target = replace(_fake().target, host="127.255.1.1", password=Secret("hunter2"))
    with pytest.raises(RemoteError) as caught:
        WinRmShell().check_login(target)
    assert "hunter2" not in f"{caught.value.message} {caught.value.evidence}"


def test_script_is_run_in_one_command_and_answers() -> None:
    world = World()
    with running_host(world, scripts=SCRIPTS) as host:
        host.state.services["kubelet"] = Service(name="kubelet", binary_path=r"C:\k\kubelet.exe")
        answer = WinRmShell().run_script(
            _target_of(host, world), script("Get-NodeState"), node_state.request()
        )
        state = node_state.parse(answer)
    assert state.errors == ()
    assert [service.name for service in state.services or ()] == ["kubelet"]
    assert state.windows is not None
    assert state.windows.build == 17763
    assert state.files == ()


def test_script_that_throws_is_a_remote_error_with_its_text() -> None:
    world = World()
    with running_host(world, scripts=SCRIPTS) as host, pytest.raises(RemoteError) as caught:
        WinRmShell().run_script(_target_of(host, world), script("Get-NodeState"), {})
    assert caught.value.name == "NodeScriptFailed"
    assert caught.value.evidence == "WN0001 the request lacks the field sections"


def script(name: str) -> str:
    return (data_path("scripts") / f"{name}.ps1").read_text(encoding="utf-8")


def _target_of(host: WindowsHost, world: World) -> HostTarget:
    return HostTarget(
        node=NAME,
        host=host.spec.address,
        ca_pem=WinRmShell().certificate(host.spec.address, 5986),
        user="Administrator",
        password=Secret(world.passwords[0]),
    )
