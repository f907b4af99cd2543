"""The options that every command shares, as one decorator and one frozen value.

Values are kept as typed: what a flag, the environment, the file and the defaults add up to is
decided in ``bootstrap.config``, so ``--cluster`` and ``--state`` do not read ``KOPS_*`` here (the
file is stronger). Imports nothing heavy: this module is part of ``bootstrap --help``.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from bootstrap.durations import duration_seconds

if TYPE_CHECKING:
    from bootstrap.config import Settings

P = ParamSpec("P")
R = TypeVar("R")


class Output(StrEnum):
    """Form of the result on stdout."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class LogFormat(StrEnum):
    """Form of progress on stderr."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonOptions:
    """What the shared options were given as; None and '' mean "not given"."""

    cluster: str | None = None
    state: str | None = None
    config: Path | None = None
    region: str | None = None
    profile: str | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    output: Output = Output.TABLE
    log_format: LogFormat = LogFormat.TEXT
    verbosity: int = 0
    quiet: bool = False
    color: bool = True
    timeout_s: float | None = None
    """Deadline of the whole command in seconds; None means the command's own timeouts."""
    yes: bool = False
    private_key: Path | None = None
    """Private key of the EC2 key pair, for the Administrator password."""

    def load(self) -> Settings:
        """Merge flags, environment, file and defaults; UsageError lists every fault at once.

        The cluster and the state store are required.
        """
        from bootstrap import config  # pydantic: only commands that need settings pay for it

        loaded = config.load(self.config, flags=self.flags(), environ=os.environ)
        return config.require(loaded, "cluster", "state").settings

    def flags(self) -> dict[str, str]:
        """Return the settings that were given as flags, by their path in the config file."""
        flags = {"cluster": self.cluster, "state": self.state, "region": self.region}
        return {name: value for name, value in flags.items() if value is not None}


class Duration(click.ParamType[float]):
    """A duration such as ``90s``, ``25m``, ``1h30m``; a bare number is seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, float):
            return value
        seconds = duration_seconds(str(value))
        if seconds is None or seconds <= 0:
            self.fail(f"{value!r} is not a duration; write 90s, 25m or 1h30m.", param, ctx)
        return seconds


_FILE = click.Path(dir_okay=False, path_type=Path)

_OPTIONS: tuple[Callable[..., object], ...] = (
    click.option("--cluster", metavar="NAME", help="Cluster name.  [env: KOPS_CLUSTER_NAME]"),
    click.option("--state", metavar="URL", help="kops state store.  [env: KOPS_STATE_STORE]"),
    click.option(
        "--config", "-f", type=_FILE, envvar="BOOTSTRAP_CONFIG", help="Config file (YAML)."
    ),
    click.option("--region", metavar="NAME", help="AWS region; else that of the cluster."),
    click.option("--profile", metavar="NAME", envvar="BOOTSTRAP_PROFILE", help="AWS profile."),
    click.option(
        "--kubeconfig", type=_FILE, envvar="BOOTSTRAP_KUBECONFIG", help="Else KUBECONFIG."
    ),
    click.option(
        "--context", metavar="NAME", envvar="BOOTSTRAP_CONTEXT", help="kubeconfig context."
    ),
    click.option(
        "--private-key",
        type=_FILE,
        envvar="BOOTSTRAP_PRIVATE_KEY",
        help="Private key of the EC2 key pair, for the Administrator password.",
    ),
    click.option(
        "--output",
        "-o",
        type=click.Choice([kind.value for kind in Output]),
        envvar="BOOTSTRAP_OUTPUT",
        default=Output.TABLE.value,
        help="Form of the result on stdout.",
    ),
    click.option(
        "--log-format",
        type=click.Choice([kind.value for kind in LogFormat]),
        envvar="BOOTSTRAP_LOG_FORMAT",
        default=LogFormat.TEXT.value,
        help="Form of progress on stderr.",
    ),
    click.option("--verbose", "-v", count=True, help="More progress; twice: all of it."),
    click.option("--quiet", "-q", is_flag=True, help="No progress, only the result."),
    click.option("--no-color", is_flag=True, help="Plain text.  [env: NO_COLOR]"),
    click.option(
        "--timeout",
        type=Duration(),
        envvar="BOOTSTRAP_TIMEOUT",
        metavar="TIME",
        help="Deadline of the command: 90s, 25m, 1h30m.",
    ),
    click.option("--yes", "-y", is_flag=True, help="Act; without it changes are only shown."),
)


def common_options(command: Callable[Concatenate[CommonOptions, P], R]) -> Callable[..., R]:
    """Give a command the shared options, collected in its first argument.

    Put it directly above the function, so that the command's own options come first in ``--help``.
    """

    @functools.wraps(command)
    def collect(*args: P.args, **kwargs: P.kwargs) -> R:
        values: dict[str, object] = dict(kwargs)
        shared = _collect(values)
        own: dict[str, object] = values
        return command(shared, *args, **own)  # type: ignore[arg-type]  # what is left is P

    decorated: Callable[..., R] = collect
    for option in reversed(_OPTIONS):
        option(decorated)
    return decorated


def _collect(values: dict[str, object]) -> CommonOptions:
    """Take the shared options out of a command's arguments."""
    take = values.pop
    return CommonOptions(
        cluster=_text(take("cluster")),
        state=_text(take("state")),
        config=_path(take("config")),
        region=_text(take("region")),
        profile=_text(take("profile")),
        kubeconfig=_path(take("kubeconfig")),
        context=_text(take("context")),
        private_key=_path(take("private_key")),
        output=Output(str(take("output"))),
        log_format=LogFormat(str(take("log_format"))),
        verbosity=_number(take("verbose")),
        quiet=bool(take("quiet")),
        color=not (take("no_color") or os.environ.get("NO_COLOR")),
        timeout_s=_seconds(take("timeout")),
        yes=bool(take("yes")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _path(value: object) -> Path | None:
    return value if isinstance(value, Path) else None


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _seconds(value: object) -> float | None:
    return value if isinstance(value, float) else None
