"""Options that describe a pool on the command line, laid over the pool of the config file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from bootstrap.errors import UsageError
from bootstrap.model.node import NodeName, NodeRequest, Runtime, WindowsRelease

if TYPE_CHECKING:
    from bootstrap.config import Settings

P = ParamSpec("P")
R = TypeVar("R")

_OPTIONS: tuple[Callable[..., object], ...] = (
    click.option("--pool", "name", metavar="NAME", required=True, help="Pool of the nodes."),
    click.option("--count", type=click.IntRange(min=1), help="How many nodes the pool has."),
    click.option("--name", "names", multiple=True, metavar="NODE", help="Instead of POOL-1, ..."),
    click.option(
        "--windows", type=click.Choice([r.value for r in WindowsRelease]), help="Windows Server."
    ),
    click.option("--runtime", type=click.Choice([r.value for r in Runtime]), help="Runtime."),
    click.option("--instance-type", metavar="TYPE", help="EC2 instance type."),
    click.option("--image", metavar="AMI", help="AMI id; else the newest of the release."),
    click.option("--subnet", "subnets", multiple=True, metavar="NAME", help="kops subnet name."),
    click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Node label."),
    click.option(
        "--taint", "taints", multiple=True, metavar="KEY=VALUE:EFFECT", help="Node taint."
    ),
    click.option("--spot/--on-demand", default=None, help="Spot instances."),
    click.option("--root-volume-gb", type=click.IntRange(min=30), help="Size of the root volume."),
    click.option("--kubernetes-version", metavar="1.X[.Y]", help="Else that of the cluster."),
)


def pool_options(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command the options of a pool; they arrive as one mapping ``pool_flags``."""

    @functools.wraps(command)
    def collect(*args: P.args, **kwargs: P.kwargs) -> R:
        flags = {key: kwargs.pop(key) for key in _KEYS}
        kwargs["pool_flags"] = flags
        return command(*args, **kwargs)

    decorated: Callable[..., R] = collect
    for option in reversed(_OPTIONS):
        option(decorated)
    return decorated


_KEYS = (
    "name",
    "count",
    "names",
    "windows",
    "runtime",
    "instance_type",
    "image",
    "subnets",
    "labels",
    "taints",
    "spot",
    "root_volume_gb",
    "kubernetes_version",
)


def request_of(flags: dict[str, object], settings: Settings) -> NodeRequest:
    """Lay the flags over the configured pool; a pool that the file lacks gets the defaults."""
    from bootstrap import config

    names = tuple(NodeName(str(name)) for name in _texts(flags["names"]))
    if names and flags["count"] not in (None, len(names)):
        raise UsageError(f"--count {flags['count']} and {len(names)} times --name do not agree")
    if len(set(names)) != len(names):
        raise UsageError("--name is given twice with the same name")
    overrides = {
        "count": len(names) or flags["count"],
        "windows": flags["windows"],
        "runtime": flags["runtime"],
        "instanceType": flags["instance_type"],
        "image": flags["image"],
        "subnets": list(_texts(flags["subnets"])) or None,
        "labels": _labels(_texts(flags["labels"])) or None,
        "taints": list(_texts(flags["taints"])) or None,
        "spot": flags["spot"],
        "rootVolume": {"sizeGb": flags["root_volume_gb"]} if flags["root_volume_gb"] else None,
        "kubernetesVersion": flags["kubernetes_version"],
    }
    given = {key: value for key, value in overrides.items() if value is not None}
    return NodeRequest(pool=config.pool_with(settings, str(flags["name"]), given), names=names)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else ()


def _labels(texts: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--label {text!r} is not KEY=VALUE")
        labels[key] = value
    return labels
