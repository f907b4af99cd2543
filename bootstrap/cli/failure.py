"""How an error looks: text on stderr, a document where one was asked for, a file for a bug."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from bootstrap import __version__
from bootstrap.cli.options import Output
from bootstrap.errors import BootstrapError, UsageError

_shown_documents: list[str] = []
"""Kinds of the documents this run has written to stdout; a second one would not be parseable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """How the user wants to see an error; read from argv, since parsing it may be what failed."""

    output: Output
    color: bool

    @staticmethod
    def of(arguments: Sequence[str]) -> Presentation:
        """Read ``-o`` and ``--no-color`` from a command line that may be wrong."""
        _shown_documents.clear()
        plain = "--no-color" in arguments or bool(os.environ.get("NO_COLOR"))
        return Presentation(output=_output(arguments), color=not plain)


def _output(arguments: Sequence[str]) -> Output:
    """Find the value of ``-o``/``--output``; anything odd means a table."""
    wanted = os.environ.get("BOOTSTRAP_OUTPUT", "")
    for position, argument in enumerate(arguments):
        if argument in ("-o", "--output"):
            wanted = arguments[position + 1] if position + 1 < len(arguments) else ""
        elif argument.startswith("--output="):
            wanted = argument.removeprefix("--output=")
        elif argument.startswith("-o"):
            wanted = argument.removeprefix("-o").removeprefix("=")
    return Output(wanted) if wanted in set(Output) else Output.TABLE


def document_shown(kind: str) -> None:
    """Remember that a document is on stdout, so that an error adds none."""
    _shown_documents.append(kind)


def from_click(error: click.ClickException) -> UsageError:
    """Turn Click's complaint about the command line into ours."""
    message = error.format_message()
    message = message[:1].lower() + message[1:]
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "bootstrap"
    return UsageError(message, command=f"{path} --help")


def bug(error: Exception, arguments: Sequence[str]) -> BootstrapError:
    """Write the traceback to a file of the user's log folder and say where it is."""
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    try:
        path = _write_traceback(error, arguments)
    except OSError as exc:
        return BootstrapError(f"bug in bootstrap: {what}; no traceback could be kept: {exc}")
    return BootstrapError(f"bug in bootstrap: {what}; the traceback is in {path}")


def _write_traceback(error: Exception, arguments: Sequence[str]) -> Path:
    """Keep everything needed to report the bug; no local variables, they may be secret."""
    from platformdirs import user_log_path

    folder = user_log_path("bootstrap", ensure_exists=True)
    now = datetime.now(UTC)
    path = folder / f"bug-{now:%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    head = f"bootstrap {__version__}\n{now.isoformat()}\nbootstrap {shlex.join(arguments)}\n\n"
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(head + "".join(traceback.format_exception(error)))
    return path


def show(error: BootstrapError, shown: Presentation) -> None:
    """Say on stderr what failed; with ``-o json`` or ``yaml`` as the one document on stdout too."""
    sys.stdout.flush()
    for line in lines(error):
        label, _, rest = line.partition(":")
        styled = click.style(f"{label}:", fg="red", bold=True) + rest
        click.echo(styled if line.startswith("error:") and shown.color else line, err=True)
    if shown.output in (Output.JSON, Output.YAML) and not _shown_documents:
        from bootstrap.cli import documents, render

        render.show(documents.error_document(error), shown.output, color=False)


def lines(error: BootstrapError) -> list[str]:
    """Spell an error out: what failed, where, the evidence, the way out, what to type."""
    where = f" ({error.target})" if error.target and error.target not in error.message else ""
    text = [f"error: {error.message}{where}"]
    parts = (("evidence", error.evidence), ("fix", error.fix), ("try", error.command))
    for label, value in parts:
        if value:
            first, *more = value.splitlines()
            text += [f"  {label}: {first}", *(f"    {line}" for line in more)]
    return text
