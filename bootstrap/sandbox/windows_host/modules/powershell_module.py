"""``ansible.windows.win_powershell``: our own scripts, recognised by their text.

A script that is not one of ours, or differs from the file by one character, is refused: the sandbox
does not run PowerShell, it renders the scripts it knows. Results as of ansible.windows 3.3
``win_powershell.ps1``; a script that throws leaves an error record and no ``msg``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from bootstrap.resources import data_path
from bootstrap.sandbox.windows_host.modules.arguments import Arguments, Refused

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_KNOWN = (
    "arguments",
    "chdir",
    "creates",
    "depth",
    "error_action",
    "executable",
    "parameters",
    "path",
    "remote_src",
    "removes",
    "script",
    "sensitive_parameters",
)
_ERROR_ACTIONS = ("silently_continue", "continue", "stop")
_SHOULD_PROCESS = re.compile(r"\[CmdletBinding\([^)]*SupportsShouldProcess(\s*=\s*\$true)?[,)\s]")


class _Thrown(Exception):
    """The script does not run, or throws."""


def text_hash(text: str) -> str:
    """Return the SHA-256 of a script's text, line endings and outer blanks aside."""
    normal = text.replace("\r\n", "\n").strip()
    return hashlib.sha256(normal.encode()).hexdigest()


@cache
def known_scripts() -> dict[str, str]:
    """Return hash -> file name of every script of the project."""
    files = sorted(data_path("scripts").glob("*.ps1"))
    return {text_hash(file.read_text(encoding="utf-8")): file.name for file in files}


def win_powershell(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Run one of our scripts by its contract (scripts/README.md)."""
    arguments = Arguments(given, _KNOWN, "ansible.windows.win_powershell")
    arguments.exclusive("path", "script")
    arguments.one_of("path", "script")
    arguments.choice("error_action", _ERROR_ACTIONS, "continue")
    arguments.only_default({"executable": "", "arguments": [], "chdir": "", "path": ""})
    skipped = _skipped(host, arguments)
    if skipped:
        return _result([]) | {"changed": False, "msg": skipped}
    text = arguments.text("script")
    if check and not _SHOULD_PROCESS.search(text):
        return _result([]) | {"changed": True, "msg": "skipped, running in check mode"}
    name = known_scripts().get(text_hash(text), "")
    rendering = host.scripts.get(name)
    if rendering is None:
        raise Refused(
            f"sandbox: not a script of this version of the project: {name or text[:80]!r}"
        )
    try:
        outcome = rendering(host, _request(arguments), check)
    except _Thrown as thrown:
        return _failed(str(thrown))
    if outcome.error:
        return _failed(outcome.error)
    answer = json.dumps(outcome.answer, separators=(",", ":"))
    # $Ansible.Changed is true unless a script says otherwise; ours leave that to changed_when.
    return _result([answer]) | {"changed": True}


def run_text(host: WindowsHost, text: str, request: str) -> tuple[str, str]:
    """Run one of our scripts as our own WinRM client sends it: answer, or '' and what it threw."""
    rendering = host.scripts.get(known_scripts().get(text_hash(text), ""))
    if rendering is None:
        return "", f"sandbox: not a script of this version of the project: {text[:80]!r}"
    try:
        given = json.loads(request)
    except ValueError as exc:
        return "", f"WN0001 the request is no JSON: {exc}"
    outcome = rendering(host, given, False)
    return json.dumps(outcome.answer, separators=(",", ":")), outcome.error


def _skipped(host: WindowsHost, arguments: Arguments) -> str:
    creates, removes = arguments.text("creates"), arguments.text("removes")
    if creates and host.state.files.exists(creates):
        return f"skipped, since {creates} exists"
    if removes and not host.state.files.exists(removes):
        return f"skipped, since {removes} does not exist"
    return ""


def _request(arguments: Arguments) -> dict[str, Any]:
    """Bind the parameters as PowerShell does to ``[string]$Request``."""
    parameters = arguments.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise Refused(
            "argument for parameters is of type System.String and we were unable to convert to dict"
        )
    secret = {item["name"]: item for item in arguments.get("sensitive_parameters") or []}
    bound = {key.lower(): value for key, value in {**parameters, **secret}.items()}
    unknown = [key for key in (*parameters, *secret) if key.lower() != "request"]
    if unknown:
        raise _Thrown(f"A parameter cannot be found that matches parameter name '{unknown[0]}'.")
    value = bound.get("request")
    if value in (None, ""):
        raise _Thrown(
            "Cannot process command because of one or more missing mandatory parameters: Request."
        )
    if secret:
        # A SecureString's text is the name of its type.
        raise _Thrown("Invalid JSON primitive: System.Security.SecureString.")
    if not isinstance(value, str):
        # What Ansible sends when a template yields a dict and no to_json stands at its end.
        raise _Thrown(
            "Cannot process argument transformation on parameter 'Request'. Cannot convert value to"
            " type System.String."
        )
    try:
        request = json.loads(value)
    except ValueError as exc:
        raise _Thrown(f"Invalid JSON primitive: {value.split()[0][:40]}.") from exc
    if not isinstance(request, dict):
        raise _Thrown("WN0001 the request is no JSON object")
    return request


def _result(output: list[str]) -> dict[str, Any]:
    empty: dict[str, Any] = {
        key: [] for key in ("error", "warning", "verbose", "debug", "information")
    }
    return empty | {"result": {}, "host_out": "", "host_err": "", "output": output}


def _failed(text: str) -> dict[str, Any]:
    kind = "System.Management.Automation.RuntimeException"
    record: dict[str, Any] = {
        "output": f"{text}\r\n    + CategoryInfo          : OperationStopped: ({text}:String) [],"
        " RuntimeException\r\n",
        "error_details": None,
        "exception": {"message": text, "type": kind, "hresult": -2146233087},
        "target_object": text,
        "category_info": {
            "category": "OperationStopped",
            "category_id": 14,
            "activity": "",
            "reason": "RuntimeException",
            "target_name": text,
            "target_type": "String",
        },
        "fully_qualified_error_id": text,
        "script_stack_trace": "at <ScriptBlock>, <No file>: line 1",
        "pipeline_iteration_info": [],
    }
    return _result([]) | {"failed": True, "changed": True, "error": [record]}
