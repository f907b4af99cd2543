"""``bootstrap preflight``: named checks, and on request the changes that they ask for."""

from __future__ import annotations

import click

from bootstrap.cli.options import CommonOptions, common_options


@click.command(
    "preflight", short_help="Check what the cluster needs before a Windows node can join."
)
@click.option("--pool", metavar="NAME", help="Check for a pool of the config file, too.")
@click.option("--only", multiple=True, metavar="CHECK", help="Run only this check.")
@click.option("--skip", multiple=True, metavar="CHECK", help="Leave this check out.")
@click.option("--fix", is_flag=True, help="Show what would mend it; with --yes do it.")
@common_options
def preflight(
    options: CommonOptions,
    pool: str | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    fix: bool,
) -> int:
    """Check a cluster without changing anything; --fix --yes mends what can be mended.

    \b
    Examples:
      bootstrap preflight
      bootstrap preflight --fix
      bootstrap preflight --fix --yes
    """
    from bootstrap.cli import checking, documents, render

    run = checking.Preflight(options=options, pool=pool, only=only, skip=skip)
    checks = run.check()
    if fix:
        checks = run.fix(checks)
    shown = documents.findings_document(checks, cluster=run.settings.cluster)
    render.show_result(shown, options)
    return documents.exit_code_of(checks)
