"""The frame of the command line: help, wrong usage, signals, bugs, pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from bootstrap.cli import main
from bootstrap.cli.lazy import CommandEntry
from bootstrap.errors import BootstrapError, RemoteError

HELP_SECONDS = 0.3
HEAVY = ("boto3", "rich", "kubernetes", "pydantic", "yaml", "paramiko", "ansible_runner", "moto")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Put a command ``try-it`` into the table, which does what the test says."""

    def _add(body: Callable[[], object]) -> None:
        entries = {"try-it": CommandEntry(target="unused:unused", summary="Try it.")}
        made = click.command("try-it")(click.option("-o", "--output")(lambda output: body()))
        monkeypatch.setattr(main.cli, "entries", main.COMMANDS | entries)
        monkeypatch.setattr(main.cli, "get_command", lambda context, name: made)

    return _add


def raising(error: BaseException) -> Callable[[], object]:
    def _raise() -> object:
        raise error

    return _raise


def bootstrap(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bootstrap", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_help_lists_every_command(capsys) -> None:
    assert main.run(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in main.COMMANDS)


def test_no_command_is_wrong_usage_and_shows_help(capsys) -> None:
    assert main.run([]) == 64
    captured = capsys.readouterr()
    assert captured.out == "" and "Commands:" in captured.err


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from bootstrap.cli import main; main.run(['--help']); "
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stderr.strip() == "[]"


def test_help_is_fast() -> None:
    def seconds() -> float:
        before = os.times()
        subprocess.run([sys.executable, "-m", "bootstrap", "--help"], capture_output=True)
        after = os.times()
        user = after.children_user - before.children_user
        return user + after.children_system - before.children_system

    # CPU time, and the best of three: other tests run at the same time.
    assert min(seconds() for _ in range(3)) < HELP_SECONDS


@pytest.mark.parametrize("name", main.COMMANDS)
def test_the_list_of_commands_says_what_the_command_says(name: str) -> None:
    command = main.cli.get_command(click.Context(main.cli), name)
    assert command and command.name == name
    assert command.help, f"{name} has no help"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ad-node"], "no such command 'ad-node'. Did you mean 'add-node'?"),
        (["--what"], "no such option"),
        (["version", "--what"], "no such option"),
        (["version", "-o", "xml"], "'xml' is not one of"),
        (["version", "--timeout", "soon"], "'soon' is not a duration"),
        (["completion"], "missing argument"),
    ],
)
def test_wrong_usage_is_64_with_the_way_to_help(capsys, arguments, message) -> None:
    assert main.run(arguments) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ") and message in captured.err.replace("\n", " ")
    assert "  try: bootstrap" in captured.err and "--help" in captured.err


def test_an_error_is_text_on_stderr_and_its_exit_code(capsys, command) -> None:
    command(raising(RemoteError("EC2: Throttling", evidence="5 tries", command="try again")))
    assert main.run(["try-it"]) == 69
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: EC2: Throttling\n  evidence: 5 tries\n  try: try again\n"


@pytest.mark.parametrize("arguments", [["try-it", "-o", "json"], ["try-itt", "-o", "json"]])
def test_with_json_an_error_is_one_document_too(capsys, command, arguments) -> None:
    command(raising(RemoteError("EC2: Throttling")))
    code = main.run(arguments)
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["kind"] == "Error" and document["exitCode"] == code
    assert captured.err.startswith("error: ")


def test_an_error_after_the_document_adds_no_second_one(capsys, command) -> None:
    from bootstrap.cli import documents, render
    from bootstrap.cli.options import Output

    def body() -> None:
        render.show(documents.version_document(python="3", components={}), Output.JSON)
        raise RemoteError("lost the connection")

    command(body)
    assert main.run(["try-it", "-o", "json"]) == 69
    assert json.loads(capsys.readouterr().out)["kind"] == "Version"


def test_what_a_command_returns_is_the_exit_code(command) -> None:
    command(lambda: 3)
    assert main.run(["try-it"]) == 3
    command(lambda: None)
    assert main.run(["try-it"]) == 0


def test_a_bug_leaves_one_line_and_a_traceback_in_a_private_file(
    capsys, command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    command(raising(KeyError("oops")))
    assert main.run(["try-it"]) == 70
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and "Traceback" not in captured.err
    path = Path(captured.err.rsplit(" ", 1)[1].strip())
    assert tmp_path in path.parents and path.stat().st_mode & 0o077 == 0
    assert "KeyError: 'oops'" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")],
)
def test_a_signal_unwinds_the_command(capsys, command, number, code, word) -> None:
    unwound = []

    def body() -> None:
        try:
            signal.raise_signal(number)
            pytest.fail("the signal was not seen")
        finally:
            unwound.append(True)

    before = signal.getsignal(number)
    command(body)
    assert main.run(["try-it"]) == code
    assert capsys.readouterr().err == f"error: {word}\n" and unwound
    assert signal.getsignal(number) is before


def test_a_keyboard_interrupt_is_130(command) -> None:
    command(raising(KeyboardInterrupt()))
    assert main.run(["try-it"]) == 130


def test_an_error_that_carries_its_own_code_keeps_it(command) -> None:
    error = BootstrapError("stopped")
    error.exit_code = main.ExitCode.PARTIAL
    command(raising(error))
    assert main.run(["try-it"]) == 4


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = bootstrap("schema", "Plan")
    assert process.stdout and process.stderr
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=30), complaint) == (main.BROKEN_PIPE, "")


def test_the_process_ends_with_the_exit_code_of_the_run() -> None:
    started = time.monotonic()
    process = bootstrap("no-such-command")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (64, "") and err
    assert time.monotonic() - started < 30
