"""``bootstrap version``."""

from __future__ import annotations

import platform
from importlib import metadata

import click

from bootstrap.cli import documents, render
from bootstrap.cli.options import CommonOptions, common_options

COMPONENTS = (
    "ansible",
    "ansible-core",
    "ansible-runner",
    "boto3",
    "kubernetes",
    "paramiko",
    "pywinrm",
    "moto",
)


@click.command()
@common_options
def version(options: CommonOptions) -> None:
    """Print the version of bootstrap.

    With -o wide, json or yaml also the versions of what it works with.
    """
    shown = documents.version_document(
        python=platform.python_version(), components=_component_versions()
    )
    render.show_result(shown, options)


def _component_versions() -> dict[str, str]:
    """Return the installed version of each component; what is not installed is left out."""
    found = {}
    for name in COMPONENTS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
