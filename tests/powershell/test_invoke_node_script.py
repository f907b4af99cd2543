"""Invoke-NodeScript: steps in one session, each as if it ran alone."""

from __future__ import annotations

import json
from typing import Any

from bootstrap.resources import data_path
from tests.powershell.windows_node import WindowsNode

PATH = r"C:\k\net-conf.json"


def step(name: str, request: object) -> dict[str, Any]:
    text = (data_path("scripts") / f"{name}.ps1").read_text(encoding="utf-8")
    return {"name": name, "script": text, "request": json.dumps(request)}


def file(content: str) -> dict[str, Any]:
    return {"folders": [], "files": [{"path": PATH, "content": content, "secret": False}]}


def test_steps_run_in_their_order_and_answer_one_by_one(node: WindowsNode):
    steps = {"steps": [step("Set-NodeFile", file("1")), step("Set-NodeFile", file("1"))]}
    done = node.run("Invoke-NodeScript", steps)
    assert done.answer == {
        "changed": True,
        "steps": [
            {"name": "Set-NodeFile", "changed": True, "answer": {"changed": True, "files": [PATH]}},
            {"name": "Set-NodeFile", "changed": False, "answer": {"changed": False, "files": []}},
        ],
    }, done.error
    assert node.path(PATH).read_text() == "1"


def test_check_mode_reaches_every_step(node: WindowsNode):
    steps = {"steps": [step("Set-NodeFile", file("1")), step("Set-NodeFile", file("1"))]}
    done = node.run("Invoke-NodeScript", steps, "-WhatIf")
    assert [found["changed"] for found in done.answer["steps"]] == [True, True], done.error
    assert not node.path(PATH).exists()


def test_first_step_that_throws_ends_the_run_with_its_text(node: WindowsNode):
    steps = {"steps": [step("Set-NodeService", {}), step("Set-NodeFile", file("1"))]}
    done = node.run("Invoke-NodeScript", steps)
    assert "WN0001 the request lacks the field services" in done.error
    assert not node.path(PATH).exists()
