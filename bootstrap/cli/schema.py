"""``bootstrap schema KIND``."""

from __future__ import annotations

import click

from bootstrap import schemas
from bootstrap.cli import render
from bootstrap.cli.options import CommonOptions, common_options

CONFIG_KIND = "WindowsNodes"
"""Spelled out here, since the module that defines it takes long to import; a test compares."""


@click.command()
@click.argument("kind", type=click.Choice([*schemas.KINDS, CONFIG_KIND], case_sensitive=False))
@common_options
def schema(options: CommonOptions, kind: str) -> None:
    """Print the JSON schema of a document, or of the config file (WindowsNodes)."""
    if kind == CONFIG_KIND:
        from bootstrap import config  # pydantic

        render.show_schema(config.json_schema(), options.output)
        return
    render.show_schema(schemas.schema_of(kind), options.output)
