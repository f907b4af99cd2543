"""``bootstrap demo``: the whole way once, on a sandbox, with the commands a user would type."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import click
from rich import box
from rich.console import Console
from rich.table import Table

from bootstrap.errors import BootstrapError, ExitCode, NotFoundError
from bootstrap.resources import data_path
from bootstrap.sandbox.control import ask
from bootstrap.sandbox.world_folder import SandboxFolder

_NAME = "demo"
_UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_STEPS = (
    ("preflight", "--fix", "--yes"),
    ("add-node", "--pool", "game-servers", "--count", "2", "--yes"),
    ("validate", "--level", "quick"),
)


@click.command()
@click.option("--keep", is_flag=True, help="Leave the sandbox up and say how to use it.")
def demo(*, keep: bool) -> None:
    """Add two Windows nodes to a kops cluster in a sandbox, and prove that they work.

    Nothing leaves this machine. The control plane is real; AWS and Windows are simulated.
    """
    started = time.monotonic()
    _take_down_old()
    store = data_path("config") / "demo-store"
    if not store.is_dir():
        raise NotFoundError("the store of the demo is missing", target=str(store))
    try:
        _run("sandbox", "up", "--store", str(store), "--name", _NAME, "--detach", env=os.environ)
        folder = SandboxFolder(_NAME)
        env = {name: value for name, value in os.environ.items() if name not in _UNSET}
        env |= folder.running().env
        for step in _STEPS:
            _run(*step, env=env)
        _show_world(ask(folder.path, {"request": "status"}))
    finally:
        if not keep:
            _take_down_old()
    click.echo(f"Done in {time.monotonic() - started:.0f} s.", err=True)
    if keep:
        click.echo(f'To use it:     eval "$(bootstrap sandbox env --name {_NAME})"')
        click.echo(f"To take it down: bootstrap sandbox down --name {_NAME}")


def _run(*arguments: str, env: Mapping[str, str]) -> None:
    shown = shlex.join(["bootstrap", *arguments])
    click.secho(f"\n$ {shown}", bold=True, err=True)
    ended = subprocess.run([sys.executable, "-m", "bootstrap", *arguments], env=env, check=False)
    if ended.returncode:
        error = BootstrapError(
            f"the demo stops here: {arguments[0]} ended with exit code {ended.returncode}",
            command=shown,
        )
        error.exit_code = _exit_code(ended.returncode)
        raise error


def _exit_code(returncode: int) -> ExitCode:
    try:
        return ExitCode(returncode)
    except ValueError:
        return ExitCode.BUG


def _take_down_old() -> None:
    if SandboxFolder(_NAME).is_alive():
        _run("sandbox", "down", "--name", _NAME, env=os.environ)


def _show_world(status: Mapping[str, object]) -> None:
    console = Console()
    nodes = _rows(status.get("nodes"), ("node", "os", "status", "kubelet", "podCIDR"))
    pods = _rows(status.get("pods"), ("pod", "node", "os", "phase"))
    # Pods of the cluster's own make no difference; what ran to prove something does.
    proofs = [row for row in pods if not row["pod"].startswith(("kube-", "coredns"))]
    console.print(_table("Nodes", nodes))
    console.print(_table("Pods that ran to prove it", proofs))


def _rows(listed: object, columns: Sequence[str]) -> list[dict[str, str]]:
    entries = listed if isinstance(listed, list) else []
    return [{column: str(entry.get(column, "")) for column in columns} for entry in entries]


def _table(title: str, rows: Sequence[Mapping[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    for column in rows[0] if rows else ():
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    return table
