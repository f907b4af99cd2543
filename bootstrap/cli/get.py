"""``bootstrap get``: lists of what is there."""

from __future__ import annotations

import click

from bootstrap.cli.options import CommonOptions, common_options


@click.group("get", short_help="List nodes or pools.")
def get() -> None:
    """List nodes or pools."""


@get.command("nodes")
@click.option("--pool", metavar="NAME", help="Only nodes of this pool.")
@common_options
def nodes(options: CommonOptions, pool: str | None) -> int:
    """List the Windows nodes of this tool and the other nodes of the cluster."""
    from bootstrap import wiring
    from bootstrap.cli import adding, node_documents, render

    settings = options.load()
    found = wiring.observed_nodes(settings, adding.access_of(options))
    if pool:
        found = tuple(item for item in found if item.instance and item.instance.pool == pool)
    document = node_documents.node_list_document(found, cluster=settings.cluster)
    render.show_result(document, options)
    return 0


@get.command("pools")
@common_options
def pools(options: CommonOptions) -> int:
    """List the pools of the config file and those that only have nodes."""
    from bootstrap import wiring
    from bootstrap.cli import adding, node_documents, render

    settings = options.load()
    found = wiring.observed_nodes(settings, adding.access_of(options))
    document = node_documents.pool_list_document(settings.pools, found, cluster=settings.cluster)
    render.show_result(document, options)
    return 0
