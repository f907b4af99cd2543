"""``bootstrap logs``: a redacted bundle of evidence from one node."""

from __future__ import annotations

from pathlib import Path

import click

from bootstrap.cli.options import CommonOptions, common_options

TAIL_LINES = 500


@click.command("logs", short_help="Collect a redacted bundle of evidence from one node.")
@click.argument("name", metavar="NODE")
@click.option(
    "--to",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to: .tar.gz, .tgz or .zip; else NODE-TIME.tar.gz here.",
)
@click.option(
    "--tail",
    type=click.IntRange(min=0, max=20_000),
    default=TAIL_LINES,
    show_default=True,
    metavar="N",
    help="Lines of each log, and errors of each event log.",
)
@common_options
def logs(options: CommonOptions, name: str, path: Path | None, tail: int) -> int:
    """Read a node by its name here, its name in Kubernetes, or its instance id; changes nothing.

    One WinRM command reads services, HNS, network, firewall, files, certificates, event logs and
    the ends of the logs of kubelet, kube-proxy, flanneld, the runtime and EC2Launch. With it go the
    EC2 console and the Node object. What looks like a secret is masked. What cannot be read is
    named, and the rest is written all the same: the node may be NotReady, or unknown to Kubernetes.

    \b
    Example:
      bootstrap logs game-servers-1 --private-key ~/.ssh/id_rsa
    """
    from bootstrap.cli import collecting, render

    collected = collecting.collect(options, name, path, tail_lines=tail)
    render.show_result(collected.document, options)
    return collected.exit_code
