"""Write ``docs/cli.md`` from ``--help``: ``python -m bootstrap.cli.docs FILE`` (``make docs``).

A test compares the file with what this module says, so that it cannot go stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from bootstrap.cli.main import HELP_NAMES, cli

WIDTH = 100
_HEAD = """# Commands

Written by `make docs` from `--help`; change the commands, not this file.
"""


def reference() -> str:
    """Return the text of ``docs/cli.md``."""
    parts = [_HEAD]
    for context in _contexts(cli, None, "bootstrap"):
        parts.append(f"## {context.command_path}\n\n```text\n{_help(context)}\n```\n")
    return "\n".join(parts)


def _help(context: click.Context) -> str:
    """Return a command's help without blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in context.get_help().splitlines())


def _contexts(
    command: click.Command, parent: click.Context | None, name: str
) -> Iterator[click.Context]:
    """Yield a context for a command and everything below it, in the order of ``--help``."""
    context = click.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=HELP_NAMES,
    )
    yield context
    if isinstance(command, click.Group):
        for child_name in command.list_commands(context):
            child = command.get_command(context, child_name)
            if child and not child.hidden:
                yield from _contexts(child, context, child_name)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
