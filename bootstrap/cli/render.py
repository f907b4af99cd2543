"""Results on stdout: one JSON or YAML document, a table for people, or bare names.

Commands make a document (``documents``) and hand it to ``show``; nothing else writes to stdout.
Tables are made from the documents, so a table never knows more than a script can read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

import click

from bootstrap.cli import failure, tables
from bootstrap.cli.documents import Document
from bootstrap.cli.options import CommonOptions, Output

_CELL_STYLES = {
    "pass": "green",
    "created": "green",
    "fail": "red",
    "failed": "red",
    "warn": "yellow",
}


def show_result(shown: Document, options: CommonOptions) -> None:
    """Write a command's document in the form that its options ask for."""
    show(shown, options.output, color=options.color)


def show(shown: Document, output: Output, *, color: bool = True) -> None:
    """Write a document to stdout."""
    failure.document_shown(str(shown["kind"]))
    match output:
        case Output.JSON:
            click.echo(json.dumps(shown, indent=2, default=str))
        case Output.YAML:
            click.echo(_yaml(shown), nl=False)
        case Output.NAME:
            for name in tables.names(shown):
                click.echo(name)
        case Output.TABLE | Output.WIDE:
            _show_sections(tables.sections(shown, wide=output is Output.WIDE), color=color)


def show_schema(schema: Mapping[str, object], output: Output) -> None:
    """Write a JSON schema, as JSON unless YAML is asked for."""
    failure.document_shown("schema")
    click.echo(_yaml(schema) if output is Output.YAML else json.dumps(schema, indent=2))


def _yaml(shown: Mapping[str, object]) -> str:
    """Write YAML through JSON, so that only JSON's types are in it."""
    import yaml

    plain = json.loads(json.dumps(shown, default=str))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100))


def _show_sections(parts: Sequence[tables.Section], *, color: bool) -> None:
    """Write tables and sentences, a blank line between them."""
    for position, part in enumerate(parts):
        if position:
            click.echo()
        if part.columns and sys.stdout.isatty():
            _show_rich(part, color=color)
        elif part.columns:
            _show_plain(part)
        for line_number, line in enumerate(part.lines):
            styled = part.style and color and line_number == 0
            click.echo(click.style(line, fg=part.style) if styled else line)


def _show_plain(part: tables.Section) -> None:
    """Write columns padded with blanks and never cut, for pipes and logs."""
    rows = [part.columns, *part.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(part.columns))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _show_rich(part: tables.Section, *, color: bool) -> None:
    """Write a table that wraps to the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in part.columns:
        table.add_column(title, overflow="fold")
    for row in part.rows:
        table.add_row(*(Text(cell, style=_CELL_STYLES.get(cell, "")) for cell in row))
    Console(no_color=not color, highlight=False).print(table)
