"""A folder that is ``C:\\``, with stubs for Windows, in which scripts run under ``pwsh``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from bootstrap.resources import data_path

STUBS = Path(__file__).with_name("WindowsStubs.psm1")
STATE_STUBS = Path(__file__).with_name("StateStubs.psm1")
SERVICES = "HKLM:\\SYSTEM\\CurrentControlSet\\Services"
VERSION = "HKLM:\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
_QUIET = {"DOTNET_CLI_TELEMETRY_OPTOUT": "1", "POWERSHELL_TELEMETRY_OPTOUT": "1"}
_RUN = """
$ErrorActionPreference = 'Stop'
if (-not (Test-Path -Path 'C:\\')) {{
    New-PSDrive -Name C -PSProvider FileSystem -Root $env:PWSH_DRIVE_C -Scope Global | Out-Null
}}
Import-Module '{stubs}'
{further}
& '{script}' -Request ([System.IO.File]::ReadAllText('{request}')) {switches}
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a script ended: its answer, or what it threw."""

    exit_code: int
    answer: dict[str, Any]
    error: str
    calls: list[list[Any]]

    @property
    def commands(self) -> list[str]:
        """Commands that changed something, in order."""
        return [str(call[0]) for call in self.calls]


class WindowsNode:
    """A node whose state outlives the runs of scripts on it."""

    def __init__(self, folder: Path, pwsh: str) -> None:
        self._folder = folder
        self._pwsh = pwsh
        self.modules: tuple[Path, ...] = ()
        """Modules with further stubs, imported after the first."""
        self.drive = folder / "c"
        self.drive.mkdir()
        self._state_file = folder / "state.json"
        self.state: dict[str, Any] = {
            "exitCodes": {},
            "registry": {VERSION: {"CurrentBuildNumber": "17763", "UBR": 6893}},
            "services": {},
            "started": {},
            "brokenServices": [],
            "stuckServices": [],
            "dynamicPorts": [49152, 16384],
            "powerPlan": "381b4222-f694-41f0-9685-ff5bb260df2e",
            "exclusions": [],
            "networks": [],
            "hnsError": "",
            "addresses": [{"IPAddress": "172.20.32.20", "InterfaceIndex": 7}],
            "routes": [],
            "tasks": {},
        }

    def path(self, windows_path: str) -> Path:
        """Return where a path of the node lies here."""
        return self.drive.joinpath(*PureWindowsPath(windows_path).parts[1:])

    def write(self, windows_path: str, content: str | bytes) -> Path:
        """Write a file of the node."""
        path = self.path(windows_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def program(self, windows_path: str, shell_script: str) -> None:
        """Put a program on the node."""
        self.write(windows_path, f"#!/bin/sh\n{shell_script}").chmod(0o755)

    def run(self, script: str, request: object, *switches: str) -> Outcome:
        """Run a script on the node; ``request`` may be text that is no JSON."""
        calls = self._folder / "calls.jsonl"
        calls.write_text("")
        self._state_file.write_text(json.dumps(self.state))
        request_file = self._folder / "request.json"
        request_file.write_text(request if isinstance(request, str) else json.dumps(request))
        command = _RUN.format(
            stubs=STUBS,
            further="\n".join(f"Import-Module '{path}'" for path in self.modules),
            script=data_path("scripts") / f"{script}.ps1",
            request=request_file,
            switches=" ".join(switches),
        )
        ended = subprocess.run(
            [self._pwsh, "-NoProfile", "-NonInteractive", "-Command", command],
            env=os.environ | _QUIET | self._environment(calls),
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        self.state = json.loads(self._state_file.read_text(encoding="utf-8-sig"))
        lines = ended.stdout.strip().splitlines()
        is_answer = ended.returncode == 0 and bool(lines)
        return Outcome(
            exit_code=ended.returncode,
            answer=json.loads(lines[-1]) if is_answer else {},
            error="" if is_answer else f"{ended.stderr}\n{ended.stdout}".strip(),
            calls=[_call(json.loads(line)) for line in calls.read_text().splitlines()],
        )

    def _environment(self, calls: Path) -> dict[str, str]:
        return {
            "PWSH_DRIVE_C": str(self.drive),
            "PWSH_SLEEP_SCALE": "0",
            "STUB_STATE": str(self._state_file),
            "STUB_CALLS": str(calls),
        }


def _call(found: dict[str, Any]) -> list[Any]:
    return [found["command"], *found["arguments"]]


def find_pwsh() -> str:
    """Return a pwsh that has what Windows PowerShell 5.1 has, '' where there is none."""
    program = shutil.which("pwsh")
    if not program:
        return ""
    probe = "Set-Content -Path $env:PROBE -Value ([byte[]]@(65)) -Encoding Byte"
    ended = subprocess.run(
        [program, "-NoProfile", "-NonInteractive", "-Command", probe],
        env=os.environ | {"PROBE": os.devnull},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    return program if ended.returncode == 0 else ""
