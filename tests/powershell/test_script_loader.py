"""The loader that our WinRM client starts: a script and its request from standard input."""

from __future__ import annotations

import base64
import json
import subprocess

from bootstrap.model.host import SCRIPT_LOADER

SCRIPT = "param([string]$Request)\n$x = ConvertFrom-Json -InputObject $Request\n"


def load(pwsh: str, script: str, request: object) -> subprocess.CompletedProcess[str]:
    encoded = base64.b64encode(SCRIPT_LOADER.encode("utf-16-le")).decode()
    job = {"script": script, "request": json.dumps(request)}
    return subprocess.run(
        [pwsh, "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_answer_is_on_standard_output(pwsh: str) -> None:
    ended = load(pwsh, SCRIPT + "ConvertTo-Json -InputObject $x -Compress", {"name": "Zo\u00eb"})
    assert (ended.returncode, json.loads(ended.stdout)) == (0, {"name": "Zo\u00eb"}), ended.stderr


def test_what_is_thrown_is_on_standard_error_as_text(pwsh: str) -> None:
    ended = load(pwsh, SCRIPT + 'throw "WN9999 $($x.name)"', {"name": "kubelet"})
    assert (ended.returncode, ended.stderr.strip()) == (1, "WN9999 kubelet"), ended.stdout
