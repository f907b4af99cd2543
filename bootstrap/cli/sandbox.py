"""``bootstrap sandbox``: a world to try the tool on, without AWS, a cluster, or Windows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click
import yaml

from bootstrap import __version__
from bootstrap.errors import BootstrapError
from bootstrap.sandbox import world_daemon
from bootstrap.sandbox.control import ask
from bootstrap.sandbox.faults import FAULTS, FaultScope, find_fault
from bootstrap.sandbox.world_folder import DEFAULT_NAME, Running, SandboxFolder
from bootstrap.sandbox.world_options import WorldOptions

_UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_NAME = click.option(
    "--name", default=DEFAULT_NAME, show_default=True, help="Which sandbox, where several run."
)
_OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="How the result is written to stdout.",
)


@click.group()
def sandbox() -> None:
    """A simulated AWS and Windows around a real Kubernetes control plane.

    All in one process on this machine: a fake AWS that serves a kops state store, a real
    kube-apiserver with its scheduler and controllers, stand-ins for Linux nodes, a simulated
    Windows host for each Windows instance that is launched. No packet leaves the machine.
    """


@sandbox.command()
@click.option(
    "--store", required=True, type=click.Path(path_type=Path), help="Folder with a store."
)
@click.option("--windows", default="2019", type=click.Choice(["2019", "2022", "2025"]))
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME", help="Break something; repeatable."
)
@click.option("--control-plane", default="", metavar="MINOR", help="For instance 1.34.")
@click.option("--boot-seconds", default=1.0, show_default=True, help="How long Windows boots.")
@click.option("--detach", is_flag=True, help="Return when the world can be used.")
@click.option("--report-to", type=int, hidden=True)
@_NAME
@_OUTPUT
def up(
    *,
    store: Path,
    windows: str,
    faults: tuple[str, ...],
    control_plane: str,
    boot_seconds: float,
    detach: bool,
    report_to: int | None,
    name: str,
    output: str,
) -> None:
    """Start a sandbox on a kops state store that lies in a folder."""
    request = world_daemon.UpRequest(
        store=store,
        options=WorldOptions(
            name=name,
            windows=windows,
            control_plane_version=control_plane,
            boot_s=boot_seconds,
        ),
        faults=faults,
    )
    if report_to is not None:
        _serve_for(request, report_to)
    _check(request)
    running = world_daemon.already_running(request)
    if running is not None:
        _say(f"sandbox {name} is up already")
        _show(running, output)
    elif detach:
        _show(world_daemon.launch(request, progress=_say), output)
    else:
        world_daemon.serve(request, progress=_say, ready=lambda now: _show_foreground(now, output))


def _check(request: world_daemon.UpRequest) -> None:
    for fault in request.faults:
        find_fault(fault)
    request.options.check_store(request.store)


def _serve_for(request: world_daemon.UpRequest, descriptor: int) -> NoReturn:
    report = world_daemon.PipeReport(descriptor)
    try:
        world_daemon.serve(request, progress=report.progress, ready=report.ready)
    except BootstrapError as error:
        report.error(error)
        raise SystemExit(int(error.exit_code)) from error
    raise SystemExit(0)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _show_foreground(running: Running, output: str) -> None:
    _show(running, output)
    _say("Ctrl-C takes it down.")


def _show(running: Running, output: str) -> None:
    if output != "table":
        _write(running.document(__version__), output)
        return
    click.echo(f"cluster     {running.cluster}")
    click.echo(f"state       {running.state}")
    for name, url in running.endpoints.items():
        click.echo(f"{name:<11} {url}")
    click.echo(f"kubernetes  {running.control_plane.get('note', '')}")
    click.echo(f"kubeconfig  {running.kubeconfig}")
    option = "" if running.name == DEFAULT_NAME else f" --name {running.name}"
    click.echo(f'To use it: eval "$(bootstrap sandbox env{option})"')


def _write(document: Mapping[str, object], output: str) -> None:
    if output == "yaml":
        click.echo(yaml.safe_dump(dict(document), sort_keys=False), nl=False)
    else:
        click.echo(json.dumps(document, indent=2))


@sandbox.command()
@_NAME
def env(*, name: str) -> None:
    """Print what sets a shell up for the sandbox: eval "$(bootstrap sandbox env)"."""
    running = SandboxFolder(name).running()
    click.echo(f"unset {' '.join(_UNSET)}")
    for variable, value in running.env.items():
        click.echo(f"export {variable}={shlex.quote(value)}")


@sandbox.command()
@_NAME
@_OUTPUT
def status(*, name: str, output: str) -> None:
    """Show what runs in the sandbox."""
    folder = SandboxFolder(name)
    running = folder.running()
    state = ask(folder.path, {"request": "status"})
    if output != "table":
        _write(running.document(__version__) | {"status": state}, output)
        return
    _show(running, output)
    click.echo(f"API server  {state.get('kubernetes')}")
    for kind in ("nodes", "windowsHosts", "faults"):
        rows = state.get(kind)
        click.echo(f"{kind}:")
        for row in rows if isinstance(rows, list) else []:
            click.echo("  " + "  ".join(str(value) for value in row.values()))


@sandbox.command()
@_NAME
def down(*, name: str) -> None:
    """End the sandbox and remove all that it left but the cache of programs."""
    world_daemon.take_down(name)
    _say(f"sandbox {name} is down")


@sandbox.group()
def fault() -> None:
    """Break the sandbox's world, and mend it."""


@fault.command("list")
@_NAME
@_OUTPUT
def list_faults(*, name: str, output: str) -> None:
    """List the faults there are, and which are set."""
    active = _active_faults(name)
    if output != "table":
        items = [
            {
                "name": entry.name,
                "scope": str(entry.scope),
                "description": entry.description,
                "setFor": [node or "*" for fault_name, node in active if fault_name == entry.name],
            }
            for entry in FAULTS.values()
        ]
        head = {"apiVersion": "bootstrap/v1", "kind": "SandboxFaultList"}
        _write(head | {"tool": {"version": __version__}, "items": items}, output)
        return
    for entry in FAULTS.values():
        nodes = [node or "everywhere" for fault_name, node in active if fault_name == entry.name]
        mark = f"  [set: {', '.join(nodes)}]" if nodes else ""
        click.echo(f"{entry.name:<28} {entry.scope:<6} {entry.description}{mark}")


def _active_faults(name: str) -> list[tuple[str, str]]:
    folder = SandboxFolder(name)
    if not folder.is_alive():
        return []
    faults = ask(folder.path, {"request": "status"}).get("faults")
    rows = faults if isinstance(faults, list) else []
    return [(str(row["name"]), str(row["node"])) for row in rows]


@fault.command("set")
@click.argument("fault_name", metavar="NAME")
@click.option(
    "--node", default="", help="Only this node (bootstrap/node tag); it need not exist yet."
)
@_NAME
def set_fault(*, fault_name: str, node: str, name: str) -> None:
    """Switch a fault on."""
    _change_fault("fault-set", fault_name, node, name)


@fault.command("clear")
@click.argument("fault_name", metavar="NAME")
@click.option("--node", default="", help="Only for this node; without it, for all.")
@_NAME
def clear_fault(*, fault_name: str, node: str, name: str) -> None:
    """Switch a fault off."""
    _change_fault("fault-clear", fault_name, node, name)


def _change_fault(request: str, fault_name: str, node: str, name: str) -> None:
    found = find_fault(fault_name, node)
    folder = SandboxFolder(name)
    folder.running()
    ask(folder.path, {"request": request, "name": fault_name, "node": node})
    where = node or ("the world" if found.scope is FaultScope.WORLD else "every node")
    _say(f"{fault_name} is {'set' if request == 'fault-set' else 'cleared'} for {where}")
