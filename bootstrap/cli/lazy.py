"""A Click group whose commands are imported when they are called, so that ``--help`` stays fast."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass

import click

COMPLETE_VARIABLE = "_BOOTSTRAP_COMPLETE"
"""Set by the scripts of ``bootstrap completion``; the shell asks what could come next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEntry:
    """Where a command lives (``module:attribute``) and its line in the list of commands."""

    target: str
    summary: str


class LazyGroup(click.Group):
    """List commands from a table; import the module of the one that is called."""

    def __init__(self, *, entries: Mapping[str, CommandEntry], **attributes: object) -> None:
        super().__init__(**attributes)  # type: ignore[arg-type]  # passed on as they are
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the table's order, which is that of a user's work."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when the table does not have it."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, attribute = entry.target.split(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.target} is no Click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of ``args``; a wrong name is answered with the nearest one."""
        name = args[0]
        if name not in self.entries and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.entries, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])
