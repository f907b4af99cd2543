"""kube-log-runner.exe: runs a program and writes what it says into a file.

Source: k8s.io/component-base/logs/kube-log-runner; seen on the real program 0.36.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PureWindowsPath

from bootstrap.sandbox.windows_host.agents.command_line import FlagError, parse_go_flags, words
from bootstrap.sandbox.windows_host.agents.machine import Invocation, Program

_FLAGS = words("log-file also-stdout redirect-stderr log-file-size log-file-age flush-interval")
_KEPT_LINES = 400
"""A log of the simulated host keeps this many lines; real ones grow."""


def run(invocation: Invocation, programs: Mapping[str, Program]) -> int:
    """Run the program that the command line names; its exit code is returned."""
    try:
        flags, inner = parse_go_flags(
            invocation.arguments, known=_FLAGS, booleans={"also-stdout", "redirect-stderr"}
        )
    except FlagError as error:
        invocation.log(str(error))
        return 2
    if not inner:
        invocation.log("Please specify a command to be executed.")
        return 1
    path = flags.get("log-file", "")
    runner = _LogFile(invocation, path)
    program = programs.get(PureWindowsPath(inner[0]).name.lower())
    if program is None or invocation.machine.read(inner[0]) is None:
        invocation.log(
            f'failed to start command: exec: "{inner[0]}": executable file not found in %PATH%'
        )
        return 1
    return program(
        replace(invocation, executable=inner[0], arguments=tuple(inner[1:]), log=runner.write)
    )


class _LogFile:
    """Appends lines to a file on the host, or hands them on when there is no file."""

    def __init__(self, invocation: Invocation, path: str) -> None:
        self._invocation = invocation
        self._path = path
        before = invocation.machine.read(path) if path else None
        self._lines = before.decode("utf-8", errors="replace").splitlines() if before else []
        if path:
            self._save()

    def write(self, line: str) -> None:
        """Take one line."""
        if not self._path:
            self._invocation.log(line)
            return
        self._lines = [*self._lines, line][-_KEPT_LINES:]
        self._save()

    def _save(self) -> None:
        text = "".join(f"{line}\n" for line in self._lines)
        self._invocation.machine.write(self._path, text.encode())
