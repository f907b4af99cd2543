"""Evidence becomes files: one per section and log, with checksums, and nothing unmasked."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bootstrap.model.secret import MASK, Secret
from bootstrap.planning.bundle import INDEX, Evidence, Missing, bundle
from bootstrap.planning.redaction import Redactor

STATE: dict[str, Any] = {
    "changed": False,
    "windows": {"build": 17763},
    "hns": None,
    "logs": [
        {"path": r"C:\var\log\kubelet\kubelet.log", "bytes": 9, "lines": ["a", "token: abc"]},
        {"path": r"C:\ProgramData\Amazon\EC2Launch\log\agent.log", "bytes": 0, "lines": []},
    ],
    "errors": [{"section": "hns", "message": "HNS does not answer"}],
}
HEAD = {"node": "x-1"}


def test_every_section_and_log_has_a_file() -> None:
    made = bundle(Evidence(state=STATE, console="up", node={"name": "x-1"}), HEAD, Redactor())
    assert set(made.files) == {
        INDEX,
        "node/windows.json",
        "logs/kubelet.log",
        "logs/agent.log",
        "ec2/console.txt",
        "cluster/node.json",
    }
    assert json.loads(made.files["node/windows.json"]) == {"build": 17763}
    assert made.files["logs/kubelet.log"].decode() == f"a\ntoken: {MASK}\n"


def test_index_has_the_checksum_of_every_other_file_and_what_was_masked() -> None:
    made = bundle(Evidence(state=STATE), HEAD, Redactor())
    index = json.loads(made.files[INDEX])
    assert index["node"] == "x-1"
    assert index["redactions"] == made.redactions == 1
    assert index["files"] == {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in made.files.items()
        if name != INDEX
    }


def test_what_gave_nothing_is_named_with_its_reason() -> None:
    given = (Missing(source="kubernetes", reason="no route"),)
    made = bundle(Evidence(state=STATE, missing=given), HEAD, Redactor())
    assert made.missing == (*given, Missing(source="node/hns", reason="HNS does not answer"))
    assert [item["source"] for item in json.loads(made.files[INDEX])["missing"]] == [
        "kubernetes",
        "node/hns",
    ]


def test_without_a_host_there_is_still_a_bundle() -> None:
    made = bundle(Evidence(console="booting"), HEAD, Redactor())
    assert set(made.files) == {INDEX, "ec2/console.txt"}


def test_password_of_the_run_is_in_no_file() -> None:
    evidence = Evidence(
        state={"windows": {"name": "pass word"}, "errors": []},
        console="it is pass word",
        node={"tags": {"x": "pass word"}},
        missing=(Missing(source="node", reason="pass word was wrong"),),
    )
    made = bundle(evidence, HEAD, Redactor(known=[Secret("pass word")]))
    assert all(b"pass word" not in content for content in made.files.values())
