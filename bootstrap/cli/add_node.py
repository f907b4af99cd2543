"""``bootstrap add-node``: the whole job, from a pool's description to nodes that take pods."""

from __future__ import annotations

import click

from bootstrap.cli.options import CommonOptions, common_options
from bootstrap.cli.pool_request import pool_options, request_of


@click.command(
    "add-node",
    short_help="Launch Windows nodes, join them to the cluster and prove that they work.",
)
@pool_options
@common_options
def add_node(options: CommonOptions, pool_flags: dict[str, object]) -> int:
    """Bring a pool of Windows nodes to its count.

    Nodes are called POOL-1 to POOL-COUNT. Those that are proven already stay as they are; an
    interrupted run is continued by the same command. Without --yes the plan is shown and nothing
    is changed.

    \b
    Examples:
      bootstrap add-node --pool game-servers --count 3
      bootstrap add-node --pool game-servers --count 3 --yes
    """
    from bootstrap.cli import adding, documents, render

    settings = options.load()
    request = request_of(pool_flags, settings)
    run = adding.AddNode(options=options, settings=settings, request=request)
    prepared = run.prepare()
    if not options.yes or adding.is_refused(prepared):
        render.show_result(adding.plan_shown(prepared, settings.cluster), options)
        return adding.preview_code(prepared)
    result = run.act()
    render.show_result(documents.run_document(result, cluster=settings.cluster), options)
    return result.exit_code
