"""``bootstrap validate``: prove that Linux and Windows nodes work together."""

from __future__ import annotations

import click

from bootstrap.cli.options import CommonOptions, common_options

LEVELS = ("quick",)


@click.command("validate", short_help="Prove that Linux and Windows nodes work together.")
@click.option(
    "--level", type=click.Choice(LEVELS), default="quick", show_default=True, help="How thorough."
)
@click.option("--image", metavar="IMAGE", help="Image of the probe pods, for mirrors.")
@common_options
def validate(options: CommonOptions, level: str, image: str | None) -> int:
    """Judge the Windows nodes, then let the real scheduler place pods of both systems.

    Probe pods live in a namespace of their own that is removed in the end.

    \b
    Example:
      bootstrap validate --level quick
    """
    from bootstrap import wiring
    from bootstrap.cli import adding, documents, render

    settings = options.load()
    validator = wiring.validator(
        settings,
        adding.access_of(options),
        run_id=adding.new_run_id(),
        image=image or "",
        timeout_s=options.timeout_s,
    )
    found = validator.quick()
    render.show_result(documents.findings_document(found.checks, cluster=settings.cluster), options)
    return documents.exit_code_of(found.checks)
