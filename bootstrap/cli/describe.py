"""``bootstrap describe``: everything that is known of one thing."""

from __future__ import annotations

import difflib

import click

from bootstrap.cli.options import CommonOptions, common_options
from bootstrap.errors import UsageError


@click.group("describe", short_help="Show everything known of one node.")
def describe() -> None:
    """Show everything known of one node."""


@describe.command("node")
@click.argument("name")
@common_options
def node(options: CommonOptions, name: str) -> int:
    """Show a node by its name here, its name in Kubernetes, or its instance id."""
    from bootstrap import wiring
    from bootstrap.cli import adding, node_documents, render

    settings = options.load()
    seen = wiring.node_details(settings, adding.access_of(options), name)
    if seen.node is None:
        near = difflib.get_close_matches(name, seen.known, n=1)
        raise UsageError(
            f"cluster {settings.cluster} has no node {name!r}",
            evidence=f"nodes: {', '.join(seen.known)}",
            fix=f"did you mean {near[0]!r}?" if near else "",
            command="bootstrap get nodes",
        )
    document = node_documents.node_document(
        seen.node, cluster=settings.cluster, pods=seen.pods, findings=seen.findings
    )
    render.show_result(document, options)
    return 0
