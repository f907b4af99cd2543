"""``bootstrap config init|validate|show|schema``."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from bootstrap import schemas
from bootstrap.cli import main

BAD = """\
apiVersion: bootstrap/v1
kind: WindowsNodes
pools:
  - name: web
    cuont: 3
    count: 0
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def document_of(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_init_writes_an_example_that_is_valid(capsys) -> None:
    given = ["--cluster", "a.example.com", "--state", "s3://mine", "--region", "us-east-1"]
    assert main.run(["config", "init", *given]) == 0
    assert capsys.readouterr().err.startswith("wrote bootstrap.yaml; next: bootstrap config")
    written = yaml.safe_load(Path("bootstrap.yaml").read_text(encoding="utf-8"))
    assert (written["cluster"], written["state"]) == ("a.example.com", "s3://mine")
    assert written["region"] == "us-east-1"
    assert main.run(["config", "validate", "-f", "bootstrap.yaml"]) == 0


def test_init_never_overwrites_unless_told(capsys) -> None:
    Path("mine.yaml").write_text("precious", encoding="utf-8")
    assert main.run(["config", "init", "-f", "mine.yaml"]) == 64
    assert "mine.yaml exists" in capsys.readouterr().err
    assert Path("mine.yaml").read_text(encoding="utf-8") == "precious"
    assert main.run(["config", "init", "-f", "mine.yaml", "--force"]) == 0
    assert "apiVersion" in Path("mine.yaml").read_text(encoding="utf-8")


def test_init_into_a_folder_that_is_missing_is_refused(capsys) -> None:
    assert main.run(["config", "init", "-f", "no/such/folder.yaml"]) == 64
    assert "cannot write no/such/folder.yaml" in capsys.readouterr().err


def test_validate_reports_all_faults_as_findings(capsys) -> None:
    Path("bad.yaml").write_text(BAD, encoding="utf-8")
    assert main.run(["config", "validate", "-f", "bad.yaml", "-o", "json"]) == 64
    document = document_of(capsys)
    jsonschema.validate(document, schemas.schema_of("FindingList"))
    assert document["ok"] is False
    found = [(finding["target"], finding["evidence"]) for finding in document["findings"]]
    assert found == [
        ("pools[0].cuont", {"where": "bad.yaml", "line": 5, "column": 5}),
        ("pools[0].count", {"where": "bad.yaml", "line": 6, "column": 5}),
    ]


def test_validate_without_a_file_looks_at_flags_and_environment(capsys, monkeypatch) -> None:
    assert main.run(["config", "validate"]) == 0
    assert "All checks passed." in capsys.readouterr().out
    monkeypatch.setenv("KOPS_STATE_STORE", "/some/folder")
    assert main.run(["config", "validate"]) == 64
    assert "KOPS_STATE_STORE" in capsys.readouterr().out


def test_a_missing_file_says_how_to_make_one(capsys) -> None:
    assert main.run(["config", "show", "-f", "none.yaml"]) == 64
    assert "try: bootstrap config init --config none.yaml" in capsys.readouterr().err


def test_show_says_where_each_value_comes_from(capsys, monkeypatch) -> None:
    monkeypatch.setenv("BOOTSTRAP_LIMITS_MAX_DELETIONS", "7")
    Path("b.yaml").write_text(
        "apiVersion: bootstrap/v1\nkind: WindowsNodes\npools: [{name: web}]\n", encoding="utf-8"
    )
    assert main.run(["config", "show", "-f", "b.yaml", "--region", "eu-west-1", "-o", "json"]) == 0
    document = document_of(capsys)
    jsonschema.validate(document, schemas.schema_of("Config"))
    origins = {entry["setting"]: entry["origin"] for entry in document["settings"]}
    assert origins["region"] == "--region"
    assert origins["pools[0].name"] == "b.yaml:3"
    assert origins["pools[0].count"] == "default"
    assert origins["limits.maxDeletions"] == "BOOTSTRAP_LIMITS_MAX_DELETIONS"
    assert document["config"]["limits"]["maxDeletions"] == 7


def test_show_hides_the_password_of_a_proxy(capsys, monkeypatch) -> None:
    monkeypatch.setenv("BOOTSTRAP_ARTIFACTS_PROXY", "http://me:hunter2@proxy.example.com:3128")
    for output in ("table", "wide", "json", "yaml"):
        assert main.run(["config", "show", "-o", output]) == 0
        out = capsys.readouterr().out
        assert "hunter2" not in out and "proxy.example.com" in out


def test_the_schema_accepts_the_example(capsys) -> None:
    assert main.run(["config", "schema"]) == 0
    schema = document_of(capsys)
    assert main.run(["config", "init"]) == 0
    example = yaml.safe_load(Path("bootstrap.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(example, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(example | {"pool": []}, schema)


def test_config_file_faults_reach_every_command(capsys) -> None:
    Path("bad.yaml").write_text(BAD, encoding="utf-8")
    assert main.run(["get", "nodes", "-f", "bad.yaml"]) == 64
    captured = capsys.readouterr()
    assert "the configuration has 2 faults" in captured.err
    assert "bad.yaml:5:5: pools[0].cuont: unknown key; did you mean 'count'?" in captured.err
