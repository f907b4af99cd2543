"""The command ``bootstrap``: finds the command, and turns whatever happens into an exit code.

``main`` is the entry point; ``run`` is the same without leaving the process, for tests. A command
returns its exit code (None is 0) or raises a ``BootstrapError``; the only ``except Exception`` of
the project is here.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

from bootstrap import __version__
from bootstrap.cli import failure
from bootstrap.cli.lazy import COMPLETE_VARIABLE, CommandEntry, LazyGroup
from bootstrap.errors import BootstrapError, ExitCode, Interrupted

BROKEN_PIPE = 141
"""128 + SIGPIPE, as of any Unix filter: the reader went away before the result was written."""

COMMANDS = {
    "add-node": CommandEntry(
        target="bootstrap.cli.add_node:add_node",
        summary="Launch Windows nodes, join them to the cluster and prove that they work.",
    ),
    "validate": CommandEntry(
        target="bootstrap.cli.validate:validate",
        summary="Prove that Linux and Windows nodes work together.",
    ),
    "preflight": CommandEntry(
        target="bootstrap.cli.preflight:preflight",
        summary="Check what the cluster needs before a Windows node can join.",
    ),
    "get": CommandEntry(target="bootstrap.cli.get:get", summary="List nodes or pools."),
    "describe": CommandEntry(
        target="bootstrap.cli.describe:describe", summary="Show everything known of one node."
    ),
    "logs": CommandEntry(
        target="bootstrap.cli.logs:logs",
        summary="Collect a redacted bundle of evidence from one node.",
    ),
    "unlock": CommandEntry(
        target="bootstrap.cli.unlock:unlock",
        summary="Show who holds the cluster's lock, and give a dead run's lock free.",
    ),
    "config": CommandEntry(
        target="bootstrap.cli.config:config",
        summary="Write, check and show the configuration.",
    ),
    "support-matrix": CommandEntry(
        target="bootstrap.cli.support_matrix:support_matrix",
        summary="Show which Kubernetes, Windows and container runtime go together.",
    ),
    "schema": CommandEntry(
        target="bootstrap.cli.schema:schema",
        summary="Print the JSON schema of a document.",
    ),
    "sandbox": CommandEntry(
        target="bootstrap.cli.sandbox:sandbox",
        summary="Run an AWS, a kops cluster and Windows hosts on this machine.",
    ),
    "demo": CommandEntry(
        target="bootstrap.cli.demo:demo",
        summary="Show a whole join in a sandbox, then take it down.",
    ),
    "completion": CommandEntry(
        target="bootstrap.cli.completion:completion", summary="Print a shell completion script."
    ),
    "version": CommandEntry(
        target="bootstrap.cli.version:version", summary="Print the version of bootstrap."
    ),
}

HELP_NAMES = ["-h", "--help"]

cli = LazyGroup(
    name="bootstrap",
    entries=COMMANDS,
    context_settings={"help_option_names": HELP_NAMES, "max_content_width": 100},
    help="""Add Windows nodes to Kubernetes clusters that kops made on AWS.

    Without --yes every command only shows what it would do. Results go to stdout, everything else
    to stderr.
    """,
    epilog="Start with: bootstrap preflight --cluster NAME --state s3://BUCKET",
)
click.version_option(__version__, message="%(prog)s %(version)s")(cli)


def main() -> NoReturn:
    """Run the command line of this process and leave with its exit code."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _reader_gone()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; never raises."""
    shown = failure.Presentation.of(arguments)
    try:
        with _signals_as_errors():
            return _invoke(list(arguments))
    except click.ClickException as exc:
        failure.show(failure.from_click(exc), shown)
        return ExitCode.USAGE
    except BootstrapError as exc:
        failure.show(exc, shown)
        return exc.exit_code
    except (KeyboardInterrupt, click.Abort):
        failure.show(Interrupted("interrupted"), shown)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except Exception as exc:
        failure.show(failure.bug(exc, arguments), shown)
        return ExitCode.BUG


def _invoke(arguments: list[str]) -> int:
    """Parse and call; what a command returns is its exit code."""
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "bootstrap", COMPLETE_VARIABLE, instruction)
    try:
        with cli.make_context("bootstrap", arguments) as context:
            outcome = cli.invoke(context)
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.ctx.get_help() if exc.ctx else "", err=True)
        return ExitCode.USAGE
    except click.exceptions.Exit as exc:
        return exc.exit_code
    return outcome if isinstance(outcome, int) else ExitCode.OK


@contextmanager
def _signals_as_errors() -> Iterator[None]:
    """Raise ``Interrupted`` in the main thread on SIGINT and SIGTERM.

    A signal that the parent ignores (``nohup``, background jobs) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    wanted = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, _interrupt)) for number in wanted]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Turn a signal into an error that unwinds the command."""
    terminated = number == signal.SIGTERM
    error = Interrupted("terminated" if terminated else "interrupted")
    error.exit_code = ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED
    raise error


def _reader_gone() -> int:
    """Keep the interpreter from complaining when it flushes a pipe that nobody reads."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return BROKEN_PIPE


if __name__ == "__main__":
    main()
