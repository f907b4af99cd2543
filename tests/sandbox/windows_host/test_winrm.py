"""WinRM of a simulated host, with the real pywinrm."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import winrm
from winrm.exceptions import (
    InvalidCredentialsError,
    WinRMOperationTimeoutError,
    WSManFaultError,
)

from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.identity import self_signed
from tests.sandbox.windows_host.fake_machine import eventually
from tests.sandbox.windows_host.simulated import World, running_host

Host = tuple[WindowsHost, World]


@pytest.fixture(scope="module")
def up() -> Iterator[Host]:
    world = World()
    with running_host(world) as host:
        eventually(lambda: _answers(host))
        yield host, world


def _answers(host: WindowsHost) -> bool:
    import socket

    try:
        socket.create_connection((host.spec.address, 5986), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def trusted(up: Host, tmp_path: Path) -> str:
    import ssl

    path = tmp_path / "host.pem"
    path.write_text(ssl.get_server_certificate((up[0].spec.address, 5986)))
    return str(path)


def protocol(up: Host, trusted: str, *, password: str = "", **more: object) -> winrm.Protocol:
    host, world = up
    return winrm.Protocol(
        f"https://{host.spec.address}:5986/wsman",
        transport="ntlm",
        username="Administrator",
        password=password or world.passwords[0],
        server_cert_validation="validate",
        ca_trust_path=trusted,
        **more,
    )


def test_command_runs_over_ntlm_and_pinned_certificate(up: Host, trusted: str) -> None:
    client = protocol(up, trusted)
    shell = client.open_shell()
    command = client.run_command(shell, "hostname")
    stdout, stderr, code = client.get_command_output(shell, command)
    client.cleanup_command(shell, command)
    client.close_shell(shell)
    assert (stdout.decode().strip(), stderr, code) == (up[0].state.computer_name, b"", 0)


def test_wrong_password_is_refused(up: Host, trusted: str) -> None:
    with pytest.raises(InvalidCredentialsError):
        protocol(up, trusted, password="wrong").open_shell()


def test_other_certificate_is_not_trusted(up: Host, tmp_path: Path) -> None:
    other = self_signed(up[0].spec.address, up[0].spec.private_dns)
    path = tmp_path / "other.pem"
    path.write_text(other.certificate_pem)
    with pytest.raises(requests.exceptions.SSLError):
        protocol(up, str(path)).open_shell()


def test_request_without_login_is_answered_401(up: Host, trusted: str) -> None:
    url = f"https://{up[0].spec.address}:5986/wsman"
    answer = requests.post(url, data=b"", verify=trusted, timeout=5)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Negotiate")


def test_basic_login_is_refused(up: Host, trusted: str) -> None:
    url = f"https://{up[0].spec.address}:5986/wsman"
    login = ("Administrator", up[1].passwords[0])
    answer = requests.post(url, data=b"", auth=login, verify=trusted, timeout=5)
    assert answer.status_code == 401


def test_unknown_shell_is_a_fault(up: Host, trusted: str) -> None:
    client = protocol(up, trusted)
    with pytest.raises(WSManFaultError) as caught:
        client.run_command("11111111-1111-1111-1111-111111111111", "hostname")
    assert caught.value.wsman_fault_code == 2150858843


def test_thirty_first_shell_is_a_fault(up: Host, trusted: str) -> None:
    client = protocol(up, trusted)
    shells = [client.open_shell() for _ in range(30)]
    try:
        with pytest.raises(WSManFaultError) as caught:
            client.open_shell()
        assert caught.value.wsman_fault_code == 2150859173
    finally:
        for shell in shells:
            client.close_shell(shell)


def test_receive_times_out_while_a_command_waits(up: Host, trusted: str) -> None:
    client = protocol(up, trusted, operation_timeout_sec=1, read_timeout_sec=3)
    shell = client.open_shell()
    command = client.run_command(shell, "powershell", ["-EncodedCommand", _WAITS_FOR_INPUT])
    with pytest.raises(WinRMOperationTimeoutError):
        client.get_command_output_raw(shell, command)
    client.cleanup_command(shell, command)
    client.close_shell(shell)


_WAITS_FOR_INPUT = base64.b64encode(
    "$codeJson = foreach ($in in $input)".encode("utf-16-le")
).decode()


def test_unknown_script_fails_loudly(up: Host, trusted: str) -> None:
    host, world = up
    session = winrm.Session(
        f"https://{host.spec.address}:5986/wsman",
        auth=("Administrator", world.passwords[0]),
        transport="ntlm",
        ca_trust_path=trusted,
    )
    answer = session.run_ps("Remove-Item -Recurse C:\\")
    assert answer.status_code == 1
    assert b"not imitated" in answer.std_err


def test_many_clients_at_once_are_served(up: Host, trusted: str) -> None:
    codes: list[int] = []

    def run() -> None:
        client = protocol(up, trusted)
        shell = client.open_shell()
        command = client.run_command(shell, "hostname")
        codes.append(client.get_command_output(shell, command)[2])
        client.close_shell(shell)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert codes == [0] * 8


def test_requests_and_bytes_are_counted(up: Host, trusted: str) -> None:
    before = up[0].counters.requests
    client = protocol(up, trusted)
    client.close_shell(client.open_shell())
    assert up[0].counters.requests == before + 2
    assert up[0].counters.bytes_in > 0 and up[0].counters.bytes_out > 0


def test_power_off_closes_the_port_and_every_connection() -> None:
    world = World()
    with running_host(world) as host:
        eventually(lambda: _answers(host))
        host.power_off()
        began = time.monotonic()
        assert not _answers(host)
        assert time.monotonic() - began < 1
