"""Progress of a run on stderr: live on a terminal, else a line per phase, or JSON lines.

``with progress.shown(options) as sink:`` gives an ``EventSink``; hand it every event of the run, in
the thread that consumes them. What is shown is never read by scripts, except the JSON lines.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, assert_never

import click

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

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

PHASES = tuple(Phase)
REFRESHES_PER_SECOND = 8
"""Enough for the elapsed time to look alive; each refresh costs about a millisecond of CPU."""


class Sink(Protocol):
    """Where a command hands its events, and says other things worth knowing meanwhile."""

    def record(self, event: Event) -> None:
        """Show one event."""

    def note(self, text: str) -> None:
        """Show one line that belongs to no node."""


@contextmanager
def shown(options: CommonOptions) -> Iterator[Sink]:
    """Choose the form of progress that the options and the terminal ask for."""
    if options.log_format is LogFormat.JSON:
        yield JsonLines(quiet=options.quiet)
    elif options.quiet:
        yield Silence()
    elif sys.stderr.isatty():
        with _live(options) as live:
            yield live
    else:
        yield PlainLines(verbosity=options.verbosity)


class Silence:
    """Show nothing (``-q``)."""

    def record(self, event: Event) -> None:
        """Drop the event."""

    def note(self, text: str) -> None:
        """Drop the line."""


class JsonLines:
    """One JSON object per event, for log collectors; ``quiet`` keeps only ends of nodes."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    def record(self, event: Event) -> None:
        """Write the event."""
        if not self._quiet or isinstance(event, NodeFinished):
            click.echo(json.dumps(event_fields(event), default=str), err=True)

    def note(self, text: str) -> None:
        """Write a line of text as an object."""
        if not self._quiet:
            now = datetime.now(UTC).timestamp()
            click.echo(json.dumps({"event": "Note", "at": _time(now), "text": text}), err=True)


class PlainLines:
    """One line per phase that ended; with ``-v`` also when it began."""

    def __init__(self, *, verbosity: int = 0) -> None:
        self._verbosity = verbosity

    def record(self, event: Event) -> None:
        """Write the event's line, if it has one."""
        line = plain_line(event, verbosity=self._verbosity)
        if line:
            click.echo(line, err=True)

    def note(self, text: str) -> None:
        """Write one line."""
        click.echo(text, err=True)


def event_fields(event: Event) -> dict[str, object]:
    """Return an event as a JSON object; times are RFC 3339."""
    fields: dict[str, object] = {
        "event": type(event).__name__,
        "at": _time(event.at),
        "node": event.node,
    }
    match event:
        case PhaseStarted(phase=phase):
            return fields | {"phase": phase.value}
        case PhaseFinished(phase=phase, result=result, seconds=seconds, detail=detail):
            ended = {"phase": phase.value, "result": result.value, "seconds": round(seconds, 3)}
            return fields | ended | {"detail": detail}
        case StepOutput(text=text):
            return fields | {"text": text}
        case NodeIdentified(instance_id=instance_id, private_ip=private_ip, kube_name=name):
            return fields | {"instanceId": instance_id, "privateIp": private_ip, "nodeName": name}
        case NodeFinished(outcome=outcome, ready=ready, error=error):
            reason = {"name": error.name, "message": error.message} if error else None
            return fields | {"result": outcome.value, "ready": ready, "error": reason}
        case _:
            assert_never(event)


def plain_line(event: Event, *, verbosity: int = 0) -> str:
    """Say an event in one line; '' for what this verbosity leaves out."""
    match event:
        case PhaseStarted(phase=phase):
            text = f"{_step(phase)}  started" if verbosity else ""
        case PhaseFinished(phase=phase, result=result, seconds=seconds, detail=detail):
            text = f"{_step(phase)}  {result.value}  {seconds:.1f}s  {detail}".rstrip()
        case StepOutput(text=output):
            text = output if verbosity else ""
        case NodeIdentified():
            known = (event.instance_id, event.private_ip, event.kube_name)
            text = "is " + " ".join(name for name in known if name) if verbosity else ""
        case NodeFinished(outcome=outcome, error=error):
            text = outcome.value + (f": {error.name}: {error.message}" if error else "")
        case _:
            assert_never(event)
    clock = datetime.fromtimestamp(event.at, UTC).strftime("%H:%M:%S")
    return f"{clock} {event.node}  {text}" if text else ""


def _step(phase: Phase) -> str:
    return f"{PHASES.index(phase) + 1}/{len(PHASES)} {phase.value}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLine:
    """What the live display knows of one node; the times are seconds since the epoch."""

    name: str
    started_at: float
    ended_at: float | None = None
    phase: Phase = Phase.PLANNED
    phase_started_at: float = 0.0
    text: str = ""
    outcome: NodeOutcome | None = None


def advance(line: NodeLine, event: Event) -> NodeLine:
    """Return the line as it is after an event."""
    match event:
        case PhaseStarted(phase=phase, at=at):
            return replace(line, phase=phase, phase_started_at=at, text="")
        case PhaseFinished(phase=phase, result=PhaseResult.FAILED, detail=detail):
            return replace(line, phase=phase, text=detail)
        case PhaseFinished(phase=phase):
            return replace(line, phase=phase)
        case StepOutput(text=text):
            return replace(line, text=text)
        case NodeIdentified():
            return line
        case NodeFinished(outcome=outcome, at=at, error=error):
            message = error.message if error else ""
            return replace(line, outcome=outcome, ended_at=at, text=message)
        case _:
            assert_never(event)


class LiveLines:
    """One line per node that changes in place; rich draws it from a thread of its own."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: dict[str, NodeLine] = {}
        self._lock = threading.Lock()

    def record(self, event: Event) -> None:
        """Take the event into the picture."""
        with self._lock:
            fresh = NodeLine(name=event.node, started_at=event.at, phase_started_at=event.at)
            self._lines[event.node] = advance(self._lines.get(event.node, fresh), event)

    def note(self, text: str) -> None:
        """Write one line above the picture."""
        self._console.print(text, highlight=False, markup=False)

    def __rich__(self) -> RenderableType:
        """Draw the picture as of now."""
        with self._lock:
            lines = list(self._lines.values())
        now = datetime.now(UTC).timestamp()
        table = _grid()
        for line in lines[-self._console.height + 2 :]:
            table.add_row(*_cells(line, now))
        return table


def _grid() -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for ratio in (None, None, None, None):
        table.add_column(no_wrap=True, ratio=ratio)
    table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    return table


def _cells(line: NodeLine, now: float) -> tuple[str, str, str, str, str]:
    """Return the columns of a node: mark, name, phase, elapsed time, what it is doing."""
    from rich.markup import escape

    style = {None: "cyan", NodeOutcome.FAILED: "red"}.get(line.outcome, "green")
    mark = {None: "•", NodeOutcome.FAILED: "✗"}.get(line.outcome, "✓")
    phase = line.outcome.value if line.outcome else _step(line.phase)
    elapsed = (line.ended_at or now) - line.started_at
    minutes, seconds = divmod(int(max(elapsed, 0)), 60)
    return (
        f"[{style}]{mark}[/]",
        escape(line.name),
        f"[{style}]{phase}[/]",
        f"{minutes}:{seconds:02d}",
        escape(line.text),
    )


@contextmanager
def _live(options: CommonOptions) -> Iterator[LiveLines]:
    """Draw while the block runs; the last picture stays on the screen."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, no_color=not options.color, highlight=False)
    lines = LiveLines(console)
    with Live(lines, console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=False):
        yield lines
