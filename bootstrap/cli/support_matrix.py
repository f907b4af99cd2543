"""``bootstrap support-matrix``: which Kubernetes, Windows and runtime go together."""

from __future__ import annotations

import re

import click

from bootstrap.cli.options import CommonOptions, common_options
from bootstrap.errors import UsageError
from bootstrap.model.windows import NEWEST_MINOR


@click.command("support-matrix")
@click.option("--kubernetes", metavar="1.X", help="Only this minor of Kubernetes.")
@click.option("--checks", is_flag=True, help="List checks and causes of failures instead.")
@common_options
def support_matrix(options: CommonOptions, kubernetes: str | None, checks: bool) -> None:
    """Show which Kubernetes, Windows release and container runtime go together.

    A runtime's cell is the newest version whose checksum is known; "yours" is one that has to be
    named in artifacts.overrides. With -o wide, json or yaml also how each is run, and the source.
    """
    from bootstrap import wiring
    from bootstrap.cli import matrix_documents, render

    minor = _minor(kubernetes) if kubernetes else None
    if checks:
        shown = matrix_documents.checks_document()
    else:
        shown = matrix_documents.matrix_document(wiring.shipped_catalog(), minor)
    render.show_result(shown, options)


def _minor(text: str) -> int:
    found = re.fullmatch(r"v?1\.(\d+)(\.\d+)?", text)
    minor = int(found[1]) if found else -1
    if not 14 <= minor <= NEWEST_MINOR:
        raise UsageError(
            f"no Windows nodes for Kubernetes {text}",
            target=text,
            evidence=f"known are 1.14 to 1.{NEWEST_MINOR}",
            command="bootstrap support-matrix",
        )
    return minor
