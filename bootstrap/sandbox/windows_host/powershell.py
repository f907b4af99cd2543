"""What arrives as a command line and standard input of PowerShell, understood and carried out.

Ansible starts ``PowerShell -EncodedCommand <bootstrap wrapper>`` and sends a manifest with the
module and its arguments (ansible-core 2.19 ``executor/powershell/module_manifest.py``); its action
plug-ins send small commands of their own, and pywinrm sends a script. Each form is recognised;
anything else ends with exit code 1 and says so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bootstrap.model.host import SCRIPT_LOADER

_PROFILE = r"C:\Users\Administrator"
TEMP = rf"{_PROFILE}\AppData\Local\Temp"
_NULS = b"\n\0\0\0\0\n"
# What ansible.windows' win_reboot sends (plugin_utils/_reboot.py).
_BOOT_TIME = (
    "(Get-CimInstance -ClassName Win32_OperatingSystem -Property LastBootUpTime)"
    ".LastBootUpTime.ToFileTime()"
)
_SHUTDOWN = re.compile(r"\{ C:\\Windows\\System32\\shutdown\.exe /r /t (\d+) /c '[^']*' \|")
_LOGON_TEST = re.compile(
    r"Get-Item -LiteralPath 'HKLM:\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon"
    r"\\AutoLogonChecked' -ErrorAction Stop; '(success-[0-9a-f-]+)'"
)
# How Ansible removes a temporary folder (plugins/shell/powershell.py).
_REMOVE = re.compile(r"Remove-Item '([^']+)' -Force(?: -Recurse)?")
_TAIL = re.compile(r";?\s*If \(-not \$\?\) \{ If \(Get-Variable LASTEXITCODE[^\n]*\Z")
_BOOTSTRAP = "$codeJson"
_MAX_LINE = 8191
"""Of cmd.exe, which WinRM starts commands through: https://support.microsoft.com/kb/830473"""
_ENCODED = re.compile(r"-(?:enc|encodedcommand)\s+([A-Za-z0-9+/=]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Output:
    """What a command wrote, and its exit code."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 0


def refused(text: str) -> Output:
    """Refuse loudly what the sandbox does not know."""
    return Output(stderr=f"sandbox: not imitated: {text}\r\n".encode(), exit_code=1)


class Execution:
    """A command that runs in a thread of its own once its input is complete."""

    def __init__(self, act: Callable[[bytes], Output], *, takes_input: bool) -> None:
        self._act = act
        self._input = bytearray()
        self._done = threading.Event()
        self._begun = False
        self.output = Output()
        if not takes_input:
            self._begin()

    def feed(self, data: bytes, last: bool) -> None:
        """Take a part of standard input."""
        self._input += data
        if last and not self._begun:
            self._begin()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end; False when it takes longer."""
        return self._done.wait(timeout_s)

    def _begin(self) -> None:
        self._begun = True
        threading.Thread(target=self._run, name="powershell", daemon=True).start()

    def _run(self) -> None:
        try:
            self.output = self._act(bytes(self._input))
        except Exception as exc:  # noqa: BLE001 - a bug here must end the command, not hang it
            self.output = refused(f"{type(exc).__name__}: {exc}")
        finally:
            self._done.set()


class Machine(Protocol):
    """What commands need of the host."""

    def boot_file_time(self) -> int:
        """Return the boot time as a Windows FILETIME."""

    def shut_down(self, delay_s: float) -> None:
        """Reboot after a delay."""

    def computer_name(self) -> str:
        """Return the NetBIOS name."""

    def windows_version(self) -> str:
        """Return ``10.0.<build>.<revision>``."""

    def read_file(self, path: str) -> bytes | None:
        """Return a file's bytes, None when there is none."""

    def write_file(self, path: str, content: bytes) -> None:
        """Write a file that a connection plug-in uploads."""

    def make_folder(self, path: str) -> None:
        """Make a folder with its parents."""

    def is_folder(self, path: str) -> bool:
        """Tell whether a folder is there."""

    def remove(self, path: str) -> bool:
        """Remove a file or folder; tells whether it was there."""

    def run_module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an Ansible module and return its result."""

    def knows_module(self, name: str) -> bool:
        """Tell whether a module is imitated."""

    def run_script(self, script: str, request: str) -> tuple[str, str]:
        """Run one of our scripts; returns its answer, or '' and what it threw."""


class Interpreter:
    """PowerShell and cmd of one host."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def start(self, line: str) -> Execution:
        """Start a command line."""
        if len(line) > _MAX_LINE:
            output = Output(stderr=b"The command line is too long.\r\n", exit_code=1)
            return Execution(lambda _: output, takes_input=False)
        script = decoded(line)
        if script is None:
            return Execution(lambda _: self._plain(line), takes_input=False)
        if script == SCRIPT_LOADER:
            return Execution(self._loaded, takes_input=True)
        takes_input = _BOOTSTRAP in script
        act = self._from_manifest if takes_input else (lambda _: self._script(script))
        return Execution(act, takes_input=takes_input)

    def _plain(self, line: str) -> Output:
        words = [word.lower() for word in line.split()]
        if words in (["hostname"], ["hostname.exe"]):
            return _text(self._machine.computer_name())
        return refused(f"command line {line[:200]!r}")

    def _script(self, script: str) -> Output:
        """Carry out one of the small scripts that action plug-ins and our probe send."""
        core = _core(script)
        match core.lower():
            case "hostname" | "$env:computername":
                return _text(self._machine.computer_name())
            case "$psversiontable.psversion.tostring()":
                return _text(f"5.1.{self._machine.windows_version().split('.', 2)[2]}")
        if core == _BOOT_TIME:
            return _text(str(self._machine.boot_file_time()))
        if found := _SHUTDOWN.search(core):
            self._machine.shut_down(float(found[1]))
            return _text(json.dumps({"stdout": "", "stderr": "", "rc": 0}))
        if found := _LOGON_TEST.fullmatch(core):
            return _text(found[1])
        if found := _REMOVE.fullmatch(core):
            return self._remove(found[1])
        return refused(f"script {core[:200]!r}")

    def _remove(self, path: str) -> Output:
        if self._machine.remove(path):
            return Output()
        text = f"Remove-Item : Cannot find path '{path}' because it does not exist.\r\n"
        return Output(stderr=text.encode(), exit_code=1)

    def _loaded(self, data: bytes) -> Output:
        job = json.loads(data)
        shown, thrown = self._machine.run_script(str(job["script"]), str(job["request"]))
        if thrown:
            return Output(stderr=f"{thrown}\r\n".encode(), exit_code=1)
        return _text(shown)

    def _from_manifest(self, data: bytes) -> Output:
        head, separator, rest = data.partition(_NULS)
        if not separator:
            return refused("standard input without a manifest")
        text, _, further = rest.partition(_NULS)
        try:
            json.loads(head)
            actions = json.loads(text)["actions"]
            first = actions[0]
        except (ValueError, LookupError, TypeError) as exc:
            return refused(f"a manifest that cannot be read: {exc}")
        if len(actions) != 1:
            # async, become and coverage put wrappers before the module.
            names = ", ".join(str(action.get("name")) for action in actions)
            return refused(f"a chain of wrappers: {names}")
        return self._action(first, further)

    def _action(self, action: Mapping[str, Any], further: bytes) -> Output:
        name, parameters = str(action.get("name")), action.get("params") or {}
        match name:
            case "module_wrapper.ps1":
                return self._module(parameters)
            case "winrm_put_file.ps1":
                return self._put_file(str(parameters["Path"]), further)
            case "winrm_fetch_file.ps1":
                return self._fetch_file(parameters)
            case "powershell_mkdtemp.ps1":
                path = f"{expanded(str(parameters['Directory']))}\\{parameters['Name']}"
                self._machine.make_folder(path)
                return _text(path)
            case "powershell_expand_user.ps1":
                return _text(_in_profile(str(parameters["Path"])))
            case _:
                return refused(f"wrapper {name}")

    def _put_file(self, path: str, further: bytes) -> Output:
        folder = path.rpartition("\\")[0]
        if not self._machine.is_folder(folder):
            text = f'Exception calling "Create": "Could not find a part of the path \'{path}\'."'
            return Output(stderr=f"{text}\r\n".encode(), exit_code=1)
        content = b"".join(base64.b64decode(line) for line in further.split())
        self._machine.write_file(path, content)
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        return _text(json.dumps({"sha1": digest}))

    def _fetch_file(self, parameters: Mapping[str, Any]) -> Output:
        path, begin = str(parameters["Path"]), int(parameters["Offset"])
        if self._machine.is_folder(path):
            return _text("[DIR]")
        content = self._machine.read_file(path)
        if content is None:
            return Output(stderr=f"{path} does not exist\r\n".encode(), exit_code=1)
        part = content[begin : begin + int(parameters["BufferSize"])]
        return _text(base64.b64encode(part).decode())

    def _module(self, parameters: Mapping[str, Any]) -> Output:
        variables = {item["Name"]: item["Value"] for item in parameters.get("Variables") or []}
        arguments = variables.get("complex_args")
        if not isinstance(arguments, dict):
            return refused("a module without complex_args")
        name = str(arguments.get("_ansible_module_name") or "")
        if not self._machine.knows_module(name):
            result: dict[str, Any] = {
                "failed": True,
                "msg": f"sandbox: module {name} is not imitated",
            }
        else:
            result = self._machine.run_module(name, arguments)
        code = 1 if result.get("failed") else 0
        return Output(stdout=json.dumps(result).encode(), exit_code=code)


def _text(text: str) -> Output:
    return Output(stdout=f"{text}\r\n".encode())


def _core(script: str) -> str:
    """Return a script without what Ansible puts around it (``_encode_script``, ``win_reboot``)."""
    text = script.strip().replace("\r\n", "\n")
    for prefix in ("$ProgressPreference = 'SilentlyContinue';", "Set-StrictMode -Version Latest\n"):
        text = text.removeprefix(prefix)
    return _TAIL.sub("", text).strip()


def expanded(path: str) -> str:
    """Expand the variables that Ansible's temporary folders are named with."""
    return re.sub(r"%(?:TEMP|TMP)%", lambda _: TEMP, path, flags=re.IGNORECASE)


def _in_profile(path: str) -> str:
    return _PROFILE + path[1:] if path == "~" or path.startswith("~\\") else path


def decoded(line: str) -> str | None:
    """Return the script of ``powershell -EncodedCommand``, None for any other command line."""
    if not re.match(r"(?:.*\\)?powershell(?:\.exe)?\b", line.strip(), re.IGNORECASE):
        return None
    found = _ENCODED.search(line)
    if not found:
        return None
    try:
        return base64.b64decode(found[1]).decode("utf-16-le")
    except (binascii.Error, UnicodeDecodeError):
        return None
