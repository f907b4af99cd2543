"""What arrives as a command line and standard input of PowerShell, understood and carried out.

Ansible starts ``PowerShell -EncodedCommand <bootstrap wrapper>`` and sends a manifest with the
module and its arguments (ansible-core 2.19 ``executor/powershell/module_manifest.py``); its action
plug-ins send small commands of their own, and pywinrm sends a script. Each form is recognised;
anything else ends with exit code 1 and says so.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

_NULS = b"\n\0\0\0\0\n"
_BOOTSTRAP = "$codeJson"
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

    def write_file(self, path: str, content: bytes) -> None:
        """Write a file that a connection plug-in uploads."""

    def run_module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an Ansible module and return its result."""

    def knows_module(self, name: str) -> bool:
        """Tell whether a module is imitated."""


class Interpreter:
    """PowerShell and cmd of one host."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def start(self, line: str) -> Execution:
        """Start a command line."""
        script = decoded(line)
        if script is None:
            return Execution(lambda _: self._plain(line), takes_input=False)
        takes_input = _BOOTSTRAP in script
        act = self._from_manifest if takes_input else (lambda _: self._script(script))
        return Execution(act, takes_input=takes_input)

    def _plain(self, line: str) -> Output:
        words = shlex.split(line, posix=False)
        if [word.lower() for word in words] in (["hostname"], ["hostname.exe"]):
            return Output(stdout=f"{self._machine.computer_name()}\r\n".encode())
        return refused(f"command line {line[:200]!r}")

    def _script(self, script: str) -> Output:
        """Carry out one of the small scripts that action plug-ins and our probe send."""
        if "LastBootUpTime" in script:
            return Output(stdout=f"{self._machine.boot_file_time()}\r\n".encode())
        if "shutdown.exe /r" in script:
            delay = re.search(r"shutdown\.exe /r /t (\d+)", script)
            self._machine.shut_down(float(delay[1]) if delay else 0.0)
            answer = {"stdout": "", "stderr": "", "rc": 0}
            return Output(stdout=json.dumps(answer).encode())
        if found := re.search(r"AutoLogonChecked.*?'(success-[0-9a-f-]+)'", script, re.DOTALL):
            return Output(stdout=f"{found[1]}\r\n".encode())
        if script.strip().lower() in ("hostname", "$env:computername"):
            return Output(stdout=f"{self._machine.computer_name()}\r\n".encode())
        if script.strip() == "$PSVersionTable.PSVersion.ToString()":
            return Output(stdout=b"5.1.17763.8000\r\n")
        return refused(f"script {script[:200]!r}")

    def _from_manifest(self, data: bytes) -> Output:
        head, separator, rest = data.partition(_NULS)
        if not separator:
            return refused("standard input without a manifest")
        text, _, further = rest.partition(_NULS)
        try:
            json.loads(head)
            manifest = json.loads(text)
            action = manifest["actions"][-1]
        except (ValueError, LookupError, TypeError) as exc:
            return refused(f"a manifest that cannot be read: {exc}")
        return self._action(action, further)

    def _action(self, action: Mapping[str, Any], further: bytes) -> Output:
        name, parameters = str(action.get("name")), action.get("params") or {}
        if name == "module_wrapper.ps1":
            return self._module(parameters)
        if name == "winrm_put_file.ps1":
            return self._put_file(str(parameters["Path"]), further)
        if name == "powershell_mkdtemp.ps1":
            path = f"{parameters['Directory']}\\{parameters['Name']}"
            return Output(stdout=json.dumps(path).encode())
        if name == "powershell_expand_user.ps1":
            home = r"C:\Users\Administrator"
            return Output(stdout=str(parameters["Path"]).replace("~", home).encode() + b"\r\n")
        return refused(f"wrapper {name}")

    def _put_file(self, path: str, further: bytes) -> Output:
        import hashlib

        content = b"".join(base64.b64decode(line) for line in further.split() if line)
        self._machine.write_file(path, content)
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        return Output(stdout=json.dumps({"sha1": digest}).encode())

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
