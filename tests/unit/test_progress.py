"""Progress: what a person, a log file and a log collector see of the same events."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from bootstrap.cli import progress
from bootstrap.cli.options import CommonOptions, LogFormat
from bootstrap.model.event import (
    Event,
    NodeFinished,
    NodeIdentified,
    NodeOutcome,
    Phase,
    PhaseFinished,
    PhaseResult,
    PhaseStarted,
    StepOutput,
)
from bootstrap.model.finding import Finding, Level
from bootstrap.model.node import NodeName

WEB = NodeName("web-1")
AT = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
BROKEN = Finding(level=Level.ERROR, name="Timeout", target="web-1", message="WinRM is silent")

EVENTS: tuple[Event, ...] = (
    PhaseStarted(node=WEB, phase=Phase.LAUNCHED, at=AT),
    NodeIdentified(node=WEB, at=AT, instance_id="i-1", private_ip="10.0.0.5"),
    PhaseFinished(node=WEB, phase=Phase.LAUNCHED, result=PhaseResult.DONE, at=AT + 3, seconds=3.21),
    StepOutput(node=WEB, text="waiting for 5986", at=AT + 4),
    NodeFinished(node=WEB, outcome=NodeOutcome.FAILED, ready=False, at=AT + 65, error=BROKEN),
)


def lines_of(capsys: pytest.CaptureFixture[str], options: CommonOptions) -> list[str]:
    with progress.shown(options) as sink:
        for event in EVENTS:
            sink.record(event)
        sink.note("waiting for flannel")
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_without_a_terminal_each_ended_phase_is_a_line(capsys) -> None:
    assert lines_of(capsys, CommonOptions()) == [
        "08:00:03 web-1  2/18 launched  done  3.2s",
        "08:01:05 web-1  failed: Timeout: WinRM is silent",
        "waiting for flannel",
    ]


def test_verbose_also_shows_beginnings_and_output(capsys) -> None:
    assert lines_of(capsys, CommonOptions(verbosity=1))[:4] == [
        "08:00:00 web-1  2/18 launched  started",
        "08:00:00 web-1  is i-1 10.0.0.5",
        "08:00:03 web-1  2/18 launched  done  3.2s",
        "08:00:04 web-1  waiting for 5986",
    ]


def test_quiet_shows_nothing(capsys) -> None:
    assert lines_of(capsys, CommonOptions(quiet=True)) == []


def test_json_lines_carry_every_event(capsys) -> None:
    shown = lines_of(capsys, CommonOptions(log_format=LogFormat.JSON))
    objects = [json.loads(line) for line in shown]
    assert [entry["event"] for entry in objects] == [
        "PhaseStarted",
        "NodeIdentified",
        "PhaseFinished",
        "StepOutput",
        "NodeFinished",
        "Note",
    ]
    assert objects[2] == {
        "event": "PhaseFinished",
        "at": "2027-01-15T08:00:03.000+00:00",
        "node": "web-1",
        "phase": "launched",
        "result": "done",
        "seconds": 3.21,
        "detail": "",
    }


def test_there_are_eighteen_phases() -> None:
    assert len(progress.PHASES) == 18


def test_a_terminal_has_one_line_per_node_that_ends_with_its_outcome() -> None:
    console = Console(file=io.StringIO(), width=80, height=20, force_terminal=False)
    live = progress.LiveLines(console)
    for event in EVENTS[:-1]:
        live.record(event)
    assert "waiting for 5986" in _drawn(live)
    live.record(EVENTS[-1])
    drawn = _drawn(live)
    assert drawn.count("web-1") == 1
    assert "failed" in drawn and "1:05" in drawn and "WinRM is silent" in drawn


def test_a_terminal_shows_brackets_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=80, height=20)
    live = progress.LiveLines(console)
    live.record(StepOutput(node=WEB, text="[red]odd[/red]", at=AT))
    assert "[red]odd[/red]" in _drawn(live)


def _drawn(live: progress.LiveLines) -> str:
    file = io.StringIO()
    Console(file=file, width=80, height=20).print(live)
    return file.getvalue()
