"""win_command, win_shell and the programs of Windows that they may call."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.state import Route, Service
from tests.sandbox.windows_host.hosts import make_host
from tests.sandbox.windows_host.playing import fails, play


@pytest.fixture
def host() -> WindowsHost:
    made = make_host()
    made.state.services["a"] = Service(name="a", binary_path=r"C:\a.exe")
    return made


def run(host: WindowsHost, line: str) -> dict[str, Any]:
    return play(host, "win_command", _raw_params=line)


def test_command_answers_output_and_exit_code(host: WindowsHost) -> None:
    result = run(host, r"C:\Windows\System32\HOSTNAME.EXE")
    assert (result["rc"], result["stdout"].strip()) == (0, host.state.computer_name)
    assert result["changed"]


def test_command_is_given_as_words(host: WindowsHost) -> None:
    assert play(host, "win_command", argv=["hostname"])["rc"] == 0


def test_shell_runs_a_plain_command(host: WindowsHost) -> None:
    assert play(host, "win_shell", _raw_params="hostname", _uses_shell=True)["rc"] == 0


@pytest.mark.parametrize(
    "line", ["Get-Service kubelet", "$x = 1", "hostname | Out-Null", "hostname; hostname"]
)
def test_shell_refuses_powershell_as_a_language(host: WindowsHost, line: str) -> None:
    assert "as a language" in fails(host, "win_shell", _raw_params=line)


def test_command_that_is_not_in_the_table_is_refused(host: WindowsHost) -> None:
    assert "is not imitated" in fails(host, "win_command", _raw_params="format.com C:")


def test_command_without_a_line_is_refused(host: WindowsHost) -> None:
    message = fails(host, "win_command")
    assert message == "one of the following is required: _raw_params, argv, cmd"


def test_command_given_twice_is_refused(host: WindowsHost) -> None:
    message = fails(host, "win_command", cmd="hostname", argv=["hostname"])
    assert message == "parameters are mutually exclusive: _raw_params, argv, cmd"


def test_check_mode_runs_no_command(host: WindowsHost) -> None:
    result = play(host, "win_command", _raw_params="format.com C:", check=True)
    assert (result["skipped"], result["changed"]) == (True, False)


def test_command_is_skipped_when_its_result_is_there(host: WindowsHost) -> None:
    result = play(host, "win_command", _raw_params="x", creates=r"C:\Windows")
    assert result["msg"] == r"skipped, since C:\Windows exists"
    result = play(host, "win_command", _raw_params="x", removes=r"C:\no")
    assert result["msg"] == r"skipped, since C:\no does not exist"


def test_recovery_of_a_service_is_set(host: WindowsHost) -> None:
    run(host, "sc.exe failure a reset= 60 actions= restart/5000/restart/10000")
    run(host, "sc.exe failureflag a 1")
    service = host.state.services["a"]
    recovery = (service.recovery, service.recovery_reset_s, service.failure_flag)
    assert recovery == ((5000, 10000), 60, True)


def test_service_that_is_not_there_fails_with_the_code_of_windows(host: WindowsHost) -> None:
    message = fails(host, "win_command", _raw_params="sc.exe query no")
    assert message == "non-zero return code"


def test_recovery_by_reboot_is_refused(host: WindowsHost) -> None:
    line = "sc.exe failure a reset= 60 actions= reboot/5000"
    assert "is not imitated" in fails(host, "win_command", _raw_params=line)


def test_tar_unpacks_into_a_folder(host: WindowsHost) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("./bin/a.exe")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"a"))
    host.state.files.write(r"C:\k\x.tgz", buffer.getvalue())
    run(host, r"tar.exe -xzf C:\k\x.tgz -C C:\k")
    assert host.state.files.read(r"C:\k\bin\a.exe") == b"a"


@pytest.mark.parametrize(
    "line", [r"tar.exe -xf C:\no.tgz -C C:\k", r"tar.exe -xf C:\k\text -C C:\k"]
)
def test_tar_fails_on_what_is_no_archive(host: WindowsHost, line: str) -> None:
    host.state.files.write(r"C:\k\text", b"text")
    assert fails(host, "win_command", _raw_params=line) == "non-zero return code"


def test_route_is_added_once_and_removed(host: WindowsHost) -> None:
    line = "route.exe -p add 169.254.169.254 mask 255.255.255.255 10.0.0.1"
    run(host, line)
    expected = Route(
        destination="169.254.169.254/32",
        next_hop="10.0.0.1",
        interface=host.state.main_adapter().name,
        persistent=True,
    )
    assert host.state.routes == [expected]
    assert fails(host, "win_command", _raw_params=line) == "non-zero return code"
    run(host, "route.exe delete 169.254.169.254")
    assert host.state.routes == []


def test_dynamic_ports_are_set_within_the_bounds_of_windows(host: WindowsHost) -> None:
    run(host, "netsh.exe int ipv4 set dynamicport tcp start=34000 num=31536")
    assert host.state.dynamic_ports == (34000, 31536)
    line = "netsh.exe int ipv4 set dynamicport tcp start=34000 num=10"
    assert fails(host, "win_command", _raw_params=line) == "non-zero return code"


def test_power_plan_is_set(host: WindowsHost) -> None:
    run(host, "powercfg.exe /setactive 8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c")
    assert host.state.power_plan == "High performance"
    line = "powercfg.exe /setactive 00000000-0000-0000-0000-000000000000"
    assert fails(host, "win_command", _raw_params=line) == "non-zero return code"
