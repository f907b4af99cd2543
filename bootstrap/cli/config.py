"""``bootstrap config init|validate|show|schema``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import click

from bootstrap import config as settings
from bootstrap.cli import render
from bootstrap.cli.documents import document, findings_document
from bootstrap.cli.options import CommonOptions, common_options
from bootstrap.config_source import Fault, Location, spell
from bootstrap.errors import ExitCode, UsageError
from bootstrap.model.finding import Check, CheckResult, Finding, Level
from bootstrap.resources import data_path

DEFAULT_FILE = Path("bootstrap.yaml")
_URL_PASSWORD = re.compile(r"(?<=://)[^/@\s]+(?=@)")


@click.group()
def config() -> None:
    """Write, check and show the configuration."""


@config.command()
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
@common_options
def init(options: CommonOptions, force: bool) -> None:
    """Write a commented example to FILE of --config (bootstrap.yaml).

    --cluster, --state and --region are filled in where they are given.
    """
    path = options.config or DEFAULT_FILE
    text = _example(options.flags())
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as exc:
        raise UsageError(f"{path} exists", fix="choose another file, or add --force") from exc
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}") from exc
    click.echo(f"wrote {path}; next: bootstrap config validate -f {path}", err=True)


def _example(flags: dict[str, str]) -> str:
    """Return the example with the values of flags in place."""
    text = (data_path("config") / "example.yaml").read_text(encoding="utf-8")
    for name, value in flags.items():
        text = re.sub(rf"^#? ?{name}: \S+", f"{name}: {value}", text, count=1, flags=re.MULTILINE)
    return text


@config.command()
@common_options
def validate(options: CommonOptions) -> ExitCode:
    """Find every fault of the config file, the environment and the flags at once."""
    faults: tuple[Fault, ...] = ()
    cluster = options.cluster
    try:
        cluster = _load(options).settings.cluster
    except settings.ConfigError as exc:
        faults = exc.faults
    check = Check(
        name="ConfigFile",
        result=CheckResult.FAIL if faults else CheckResult.PASS,
        target=str(options.config or "environment and flags"),
        findings=tuple(_finding(fault) for fault in faults),
    )
    render.show_result(findings_document([check], cluster=cluster), options)
    return ExitCode.USAGE if faults else ExitCode.OK


def _finding(fault: Fault) -> Finding:
    place = {"where": fault.where, "line": fault.line, "column": fault.column}
    return Finding(
        level=Level.ERROR,
        name="ConfigFault",
        target=fault.path or fault.where,
        message=fault.message,
        evidence={name: value for name, value in place.items() if value is not None},
    )


@config.command()
@common_options
def show(options: CommonOptions) -> None:
    """Show what flags, environment, file and defaults add up to.

    With -o wide, json or yaml also where each value comes from.
    """
    loaded = _load(options)
    merged = loaded.document.model_dump(mode="json", by_alias=True)
    leaves = [
        {"setting": spell(location), "value": _masked(value), "origin": loaded.origin(location)}
        for location, value in _leaves(merged, ())
    ]
    fields = {"config": _masked(merged), "settings": leaves}
    render.show_result(document("Config", fields, cluster=loaded.settings.cluster), options)


@config.command()
@common_options
def schema(options: CommonOptions) -> None:
    """Print the JSON schema of the config file."""
    render.show_schema(settings.json_schema(), options.output)


def _load(options: CommonOptions) -> settings.Loaded:
    return settings.load(options.config, flags=options.flags(), environ=os.environ)


def _leaves(value: object, location: Location) -> Iterator[tuple[Location, object]]:
    """Yield every single value of a document; a list of plain values is one."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*location, key))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*location, index))
    else:
        yield location, value


def _masked(value: object) -> object:
    """Hide the user and password that a URL may have."""
    match value:
        case str():
            return _URL_PASSWORD.sub("********", value)
        case dict():
            return {key: _masked(inner) for key, inner in value.items()}
        case list():
            return [_masked(inner) for inner in value]
        case _:
            return value
