"""``bootstrap support-matrix``, without a cluster."""

from __future__ import annotations

import json

from bootstrap.cli import main


def test_matrix_of_one_minor_is_a_document(capsys) -> None:
    assert main.run(["support-matrix", "--kubernetes", "1.21", "-o", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {item["runtime"] for item in shown["items"]} == {"containerd", "docker", "docker-ee"}
    assert {item["kubernetes"] for item in shown["items"]} == {"1.21"}


def test_minor_that_nobody_knows_is_wrong_usage(capsys) -> None:
    assert main.run(["support-matrix", "--kubernetes", "1.13"]) == 64
    assert "1.14 to 1." in capsys.readouterr().err


def test_checks_are_listed_with_their_meaning(capsys) -> None:
    assert main.run(["support-matrix", "--checks"]) == 0
    out = capsys.readouterr().out
    assert "ArtifactsKnown" in out and "checksums" in out
