"""Every error has an exit code of the table, and is spelled out the same way everywhere."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bootstrap import errors
from bootstrap.cli import failure
from bootstrap.cli.options import Output
from bootstrap.errors import BootstrapError, ExitCode

KINDS = {
    errors.BootstrapError: 70,
    errors.UsageError: 64,
    errors.RefusedError: 3,
    errors.SafetyStop: 5,
    errors.DeadlineError: 6,
    errors.RemoteError: 69,
    errors.NotFoundError: 69,
    errors.ConflictError: 69,
    errors.LockedError: 75,
    errors.AccessError: 77,
    errors.Interrupted: 130,
}


def test_the_table_of_kinds_is_complete() -> None:
    tree = ast.parse(Path(errors.__file__).read_text(encoding="utf-8"))
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert classes - {"ExitCode"} == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize(("kind", "code"), KINDS.items())
def test_each_kind_has_its_exit_code(kind: type[BootstrapError], code: int) -> None:
    assert kind("text").exit_code == ExitCode(code)


def test_an_error_is_spelled_out_with_all_that_helps() -> None:
    error = BootstrapError(
        "cannot log in",
        target="10.0.0.5",
        evidence="first line\nsecond line",
        fix="give the right key",
        command="bootstrap add-node --private-key FILE",
    )
    assert failure.lines(error) == [
        "error: cannot log in (10.0.0.5)",
        "  evidence: first line",
        "    second line",
        "  fix: give the right key",
        "  try: bootstrap add-node --private-key FILE",
    ]


def test_an_error_does_not_repeat_its_target() -> None:
    assert failure.lines(BootstrapError("host a is down", target="a")) == ["error: host a is down"]


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["get", "nodes"], Output.TABLE),
        (["get", "nodes", "-o", "json"], Output.JSON),
        (["get", "nodes", "-ojson"], Output.JSON),
        (["get", "--output=yaml"], Output.YAML),
        (["get", "--output", "wide"], Output.WIDE),
        (["get", "-o"], Output.TABLE),
        (["get", "-o", "xml"], Output.TABLE),
    ],
)
def test_the_output_is_found_in_a_command_line_that_may_be_wrong(
    arguments: list[str], output: Output
) -> None:
    assert failure.Presentation.of(arguments).output is output
