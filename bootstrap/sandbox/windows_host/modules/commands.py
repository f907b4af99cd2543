"""``win_command`` and ``win_shell`` of ansible.windows 3.3: a short table of commands.

There is no PowerShell and no program behind them. What is not in the table is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments, Refused
from bootstrap.sandbox.windows_host.modules.paths import local_path
from bootstrap.sandbox.windows_host.modules.programs import PROGRAMS

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_COMMON = ("_raw_params", "_uses_shell", "cmd", "creates", "removes", "output_encoding_override")
_COMMAND = (*_COMMON, "argv", "chdir", "stdin")
_SHELL = (*_COMMON, "executable", "no_profile", "chdir", "stdin")
# PowerShell as a language: pipes, variables, blocks, several statements, cmdlets.
_LANGUAGE = re.compile(r"[|;&$`{}<>\n]|^\s*[A-Za-z]+-[A-Za-z]+\b")


def win_command(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Run a program of the table with arguments."""
    arguments = Arguments(given, _COMMAND, "ansible.windows.win_command")
    arguments.exclusive("_raw_params", "argv", "cmd")
    arguments.one_of("_raw_params", "argv", "cmd")
    words = tuple(arguments.names("argv")) if arguments.has("argv") else ()
    line = arguments.text("cmd") or arguments.text("_raw_params") or " ".join(words)
    return _run(host, arguments, line.strip(), words, check)


def win_shell(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Run a program of the table; PowerShell's own language is refused."""
    arguments = Arguments(given, _SHELL, "ansible.windows.win_shell")
    arguments.one_of("_raw_params", "cmd")
    arguments.only_default({"executable": None})
    line = (arguments.text("_raw_params") or arguments.text("cmd")).strip()
    if _LANGUAGE.search(line):
        raise Refused(f"sandbox: PowerShell as a language is not imitated: {line[:120]!r}")
    return _run(host, arguments, line, (), check)


def _run(
    host: WindowsHost, arguments: Arguments, line: str, words: tuple[str, ...], check: bool
) -> dict[str, Any]:
    arguments.only_default({"chdir": None, "stdin": None, "output_encoding_override": None})
    if check:
        # Neither module supports check mode: Ansible.Basic ends them before they look at anything.
        reason = "remote module (ansible.windows.win_command) does not support check mode"
        return {"changed": False, "skipped": True, "msg": reason}
    if reason := _unneeded(host, arguments):
        return {"changed": False, "skipped": True, "msg": reason, "cmd": line, "rc": 0}
    # The agents know the host, so that the host's modules cannot import them first.
    from bootstrap.sandbox.windows_host.agents.command_line import split_command_line

    words = words or tuple(split_command_line(line))
    program = words[0].rpartition("\\")[2].lower().removesuffix(".exe") if words else ""
    if program not in PROGRAMS:
        raise Refused(f"sandbox: the command {line[:120]!r} is not imitated")
    code, output = PROGRAMS[program](host, words[1:])
    result = {"changed": True, "cmd": line, "rc": code, "stdout": output, "stderr": ""}
    if code:
        result |= {"failed": True, "msg": "non-zero return code"}
    return result


def _unneeded(host: WindowsHost, arguments: Arguments) -> str:
    creates, removes = arguments.text("creates"), arguments.text("removes")
    if creates and host.state.files.exists(local_path(host, creates)):
        return f"skipped, since {creates} exists"
    if removes and not host.state.files.exists(local_path(host, removes)):
        return f"skipped, since {removes} does not exist"
    return ""
