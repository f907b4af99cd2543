"""What a command line and standard input mean, as Ansible and pywinrm send them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible.executor.powershell.module_manifest import _bootstrap_powershell_script
from ansible.plugins.shell.powershell import ShellModule
from ansible_collections.ansible.windows.plugins.plugin_utils import _reboot

from bootstrap.sandbox.windows_host.powershell import Interpreter, Output

FOLDER = r"C:\Users\Administrator\AppData\Local\Temp"


@dataclass
class FakeHost:
    """Implements ``powershell.Machine``."""

    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {FOLDER})
    shut_downs: list[float] = field(default_factory=list)
    modules: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def boot_file_time(self) -> int:
        return 134000000000000000

    def shut_down(self, delay_s: float) -> None:
        self.shut_downs.append(delay_s)

    def computer_name(self) -> str:
        return "EC2AMAZ-1"

    def windows_version(self) -> str:
        return "10.0.17763.8000"

    def read_file(self, path: str) -> bytes | None:
        return self.files.get(path)

    def write_file(self, path: str, content: bytes) -> None:
        self.files[path] = content

    def make_folder(self, path: str) -> None:
        self.folders.add(path)

    def is_folder(self, path: str) -> bool:
        return path in self.folders

    def remove(self, path: str) -> bool:
        return self.files.pop(path, None) is not None

    def knows_module(self, name: str) -> bool:
        return name == "win_ping"

    def run_module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.modules.append((name, arguments))
        return {"failed": True, "msg": "no"} if arguments.get("data") == "bad" else {"ping": 1}


def run(host: FakeHost, line: str, data: bytes | None = None) -> Output:
    """Run a command line to its end."""
    execution = Interpreter(host).start(line)
    if data is not None:
        half = len(data) // 2
        execution.feed(data[:half], False)
        execution.feed(data[half:], True)
    assert execution.wait(5)
    return execution.output


def encoded(script: str) -> str:
    """Return the command line that runs a script."""
    return f"powershell -encodedcommand {base64.b64encode(script.encode('utf-16-le')).decode()}"


def wrapped(script: str) -> str:
    """Return the command line that Ansible's PowerShell plug-in makes of a script."""
    line: str = ShellModule()._encode_script(script)
    return line


def manifest(*names: str, **complex_args: object) -> bytes:
    """Return what ansible-core sends for a module, with as many wrappers as are named."""
    variables = [{"Name": "complex_args", "Value": complex_args, "Scope": "Global"}]
    actions = [{"name": name, "params": {"Variables": variables}} for name in names]
    return b'{"name": "exec_wrapper"}\n\0\0\0\0\n' + json.dumps({"actions": actions}).encode()


WRAPPER = wrapped(_bootstrap_powershell_script("powershell_mkdtemp.ps1")[0])


def own_script(name: str, **parameters: object) -> bytes:
    """Return the input of one of Ansible's own scripts."""
    return _bootstrap_powershell_script(name, parameters)[1]


@pytest.mark.parametrize("line", ["hostname", "HOSTNAME.EXE", encoded("hostname")])
def test_hostname_is_the_computer_name(line: str) -> None:
    assert run(FakeHost(), line) == Output(stdout=b"EC2AMAZ-1\r\n")


def test_version_is_that_of_windows_powershell() -> None:
    line = encoded("$PSVersionTable.PSVersion.ToString()")
    assert run(FakeHost(), line).stdout == b"5.1.17763.8000\r\n"


@pytest.mark.parametrize(
    "line",
    [
        "format C:",
        "hostname & del *",
        encoded("hostname; Stop-Computer"),
        encoded("# LastBootUpTime"),
    ],
)
def test_what_is_not_known_fails_and_says_so(line: str) -> None:
    output = run(FakeHost(), line)
    assert output.exit_code == 1
    assert b"not imitated" in output.stderr


def test_line_that_cmd_cannot_take_fails() -> None:
    output = run(FakeHost(), encoded("hostname " + "#" * 4000))
    assert (output.exit_code, output.stderr) == (1, b"The command line is too long.\r\n")


def test_boot_time_is_a_file_time() -> None:
    line = wrapped(_reboot._DEFAULT_BOOT_TIME_COMMAND)
    assert run(FakeHost(), line).stdout == b"134000000000000000\r\n"


def test_module_answers_with_json() -> None:
    host = FakeHost()
    data = manifest("module_wrapper.ps1", _ansible_module_name="win_ping")
    assert json.loads(run(host, WRAPPER, data).stdout) == {"ping": 1}
    assert host.modules[0][0] == "win_ping"


def test_module_that_fails_ends_with_one() -> None:
    data = manifest("module_wrapper.ps1", _ansible_module_name="win_ping", data="bad")
    assert run(FakeHost(), WRAPPER, data).exit_code == 1


def test_module_that_is_not_imitated_fails() -> None:
    data = manifest("module_wrapper.ps1", _ansible_module_name="win_updates")
    output = run(FakeHost(), WRAPPER, data)
    assert output.exit_code == 1
    assert "not imitated" in json.loads(output.stdout)["msg"]


def test_module_that_is_run_in_the_background_is_refused() -> None:
    data = manifest("async_wrapper.ps1", "module_wrapper.ps1", _ansible_module_name="win_ping")
    output = run(FakeHost(), WRAPPER, data)
    assert output.exit_code == 1
    assert b"async_wrapper.ps1" in output.stderr


@pytest.mark.parametrize("data", [b"", b"{}", b"{}\n\0\0\0\0\nnot json", b"{}\n\0\0\0\0\n[]"])
def test_broken_manifest_is_refused(data: bytes) -> None:
    assert run(FakeHost(), WRAPPER, data).exit_code == 1


def test_temporary_folder_is_made_and_told() -> None:
    host = FakeHost()
    data = own_script("powershell_mkdtemp.ps1", Directory="%TEMP%", Name="ansible-tmp-1")
    assert run(host, WRAPPER, data).stdout == rf"{FOLDER}\ansible-tmp-1".encode() + b"\r\n"
    assert rf"{FOLDER}\ansible-tmp-1" in host.folders


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("~\\x", rb"C:\Users\Administrator\x"),
        ("~", rb"C:\Users\Administrator"),
        ("C:\\~", rb"C:\~"),
    ],
)
def test_home_is_expanded_at_the_beginning_only(path: str, expected: bytes) -> None:
    data = own_script("powershell_expand_user.ps1", Path=path)
    assert run(FakeHost(), WRAPPER, data).stdout == expected + b"\r\n"


def test_uploaded_file_is_written_and_its_checksum_told() -> None:
    host = FakeHost()
    head = own_script("winrm_put_file.ps1", Path=rf"{FOLDER}\a") + b"\n\0\0\0\0\n"
    body = base64.b64encode(b"hel") + b"\r\n" + base64.b64encode(b"lo") + b"\r\n"
    answer = json.loads(run(host, WRAPPER, head + body).stdout)
    assert host.files == {rf"{FOLDER}\a": b"hello"}
    assert answer == {"sha1": "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"}


def test_upload_into_a_folder_that_is_not_there_fails() -> None:
    data = own_script("winrm_put_file.ps1", Path=r"C:\nowhere\a") + b"\n\0\0\0\0\n"
    output = run(FakeHost(), WRAPPER, data)
    assert output.exit_code == 1
    assert b"Could not find a part of the path" in output.stderr


def test_file_is_fetched_in_parts() -> None:
    host = FakeHost(files={r"C:\a": b"hello"})
    data = own_script("winrm_fetch_file.ps1", Path=r"C:\a", BufferSize=3, Offset=3)
    assert base64.b64decode(run(host, WRAPPER, data).stdout) == b"lo"


def test_file_that_is_not_there_is_not_fetched() -> None:
    data = own_script("winrm_fetch_file.ps1", Path=r"C:\a", BufferSize=3, Offset=0)
    assert run(FakeHost(), WRAPPER, data).exit_code == 1


def test_file_is_removed_as_ansible_does() -> None:
    host = FakeHost(files={r"C:\a": b""})
    line = ShellModule().remove(r"C:\a", recurse=True)
    assert run(host, line).exit_code == 0
    assert host.files == {}
    assert run(host, line).exit_code == 1
