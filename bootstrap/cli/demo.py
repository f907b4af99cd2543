"""``bootstrap demo``: the whole way once, on a sandbox, with the commands a user would type."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping

import click
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
    console.print(_table("Nodes", status.get("nodes")))
    console.print(_table("Pods that ran", status.get("pods")))


def _table(title: str, rows: object) -> Table:
    table = Table(title=title, title_justify="left")
    entries = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    for column in entries[0] if entries else ():
        table.add_column(str(column))
    for row in entries:
        table.add_row(*(str(value) for value in row.values()))
    return table
