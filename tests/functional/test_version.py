"""``bootstrap version``, and the schemas that it and the others can print."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from bootstrap import __version__, schemas
from bootstrap.cli import main


def test_the_version_is_one_line(capsys) -> None:
    assert main.run(["version"]) == 0
    assert capsys.readouterr().out == f"bootstrap {__version__}\n"
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"bootstrap {__version__}\n"


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_the_version_is_a_document(capsys, output, read) -> None:
    assert main.run(["version", "-o", output]) == 0
    document = read(capsys.readouterr().out)
    jsonschema.validate(document, schemas.schema_of("Version"))
    assert document["components"]["ansible"].startswith("12.")


@pytest.mark.parametrize("kind", [*schemas.KINDS, "WindowsNodes"])
def test_each_kind_prints_its_schema(capsys, kind: str) -> None:
    assert main.run(["schema", kind]) == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))
