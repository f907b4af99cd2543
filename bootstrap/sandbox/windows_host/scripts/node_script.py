"""Invoke-NodeScript: several scripts in one session."""

from __future__ import annotations

import json

from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.modules.powershell_module import known_scripts, text_hash
from bootstrap.sandbox.windows_host.scripts.request import Request, Thrown, answer, field


def invoke(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Run the steps; the first that throws ends the run with its text."""
    results = []
    for step in field(request, "steps"):
        file_name = known_scripts().get(text_hash(str(field(step, "script"))), "")
        rendering = host.scripts.get(file_name)
        if rendering is None:
            raise Thrown(f"sandbox: step {step['name']} is not a script of this version")
        outcome = rendering(host, json.loads(field(step, "request")), check)
        if outcome.error:
            raise Thrown(outcome.error)
        changed = bool(outcome.answer["changed"])
        results.append({"name": step["name"], "changed": changed, "answer": outcome.answer})
    return answer(changed=any(result["changed"] for result in results), steps=results)
