"""``ansible.windows.win_powershell``: our own scripts, recognised by their text.

A script that is not one of ours, or differs from the file by one character, is refused: the sandbox
does not run PowerShell, it renders the scripts it knows.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from bootstrap.resources import data_path
from bootstrap.sandbox.windows_host.modules.arguments import Arguments

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
    "removes",
    "script",
    "sensitive_parameters",
)


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
    name = known_scripts().get(text_hash(str(arguments.required("script"))))
    rendering = host.scripts.get(name) if name else None
    if rendering is None:
        shown = name or arguments.text("script")[:80]
        return _failed(f"sandbox: this script is not one that it can render: {shown!r}")
    parameters = arguments.get("parameters") or {}
    unknown = sorted(set(parameters) - {"Request", "WhatIf"})
    if unknown:
        return _failed(f"A parameter cannot be found that matches parameter name '{unknown[0]}'.")
    try:
        request = json.loads(str(parameters["Request"]))
    except (KeyError, ValueError) as exc:
        return _failed(f"WN0001 the request is no JSON: {exc}")
    outcome = rendering(host, request, check)
    if outcome.error:
        return _failed(outcome.error)
    # A script that does not set $Ansible.Changed counts as changed.
    return _result([json.dumps(outcome.answer)]) | {"changed": True}


def _result(output: list[str]) -> dict[str, Any]:
    empty: dict[str, Any] = {
        key: [] for key in ("error", "warning", "verbose", "debug", "information")
    }
    return empty | {"result": {}, "host_out": "", "host_err": "", "output": output}


def _failed(text: str) -> dict[str, Any]:
    record = {
        "output": text,
        "error_details": None,
        "exception": {"message": text, "type": "System.Management.Automation.RuntimeException"},
    }
    return _result([]) | {
        "failed": True,
        "changed": True,
        "msg": f"Unhandled exception while executing script: {text}",
        "error": [record],
    }
