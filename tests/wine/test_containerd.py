"""The real containerd.exe reads the configuration that nodes get, and keeps every value of it.

It neither refuses nor reports a key that it does not know (1.7), but does not dump it either.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bootstrap.planning.node_runtime import CONTAINERD_CONFIG
from bootstrap.planning.node_services import CONTAINERD_EXE
from bootstrap.planning.runtime_files import containerd_config
from tests.wine.windows_programs import WineHost

PAUSE = "registry.example.com/pause:3.10"
VERSIONS = {2: "v1.7.35", 3: "v2.2.9"}


def _leaves(document: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key, str(value))


def _lost(host: WineHost, made: Path, text: str) -> set[tuple[Any, ...]]:
    """Return what of a configuration the program did not take."""
    host.install(made, CONTAINERD_EXE)
    host.write(CONTAINERD_CONFIG, text)
    shown = host.run(CONTAINERD_EXE, "--config", CONTAINERD_CONFIG, "config", "dump")
    assert shown.returncode == 0, shown.stderr
    return set(_leaves(tomllib.loads(text))) - set(_leaves(tomllib.loads(shown.stdout)))


@pytest.mark.parametrize("version", VERSIONS)
def test_containerd_takes_every_value(
    version: int, host: WineHost, built: Callable[[str, str], Path]
):
    made = built("containerd", VERSIONS[version])
    assert _lost(host, made, containerd_config(version, PAUSE)) == set()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("sandbox_image", "sandbox_picture"),
        ("conf_dir", "conf_directory"),
        ("default_runtime_name", "default_runtime_title"),
    ],
)
def test_key_that_containerd_does_not_know_is_noticed(
    right: str, wrong: str, host: WineHost, built: Callable[[str, str], Path]
):
    text = containerd_config(2, PAUSE).replace(right, wrong)
    lost = _lost(host, built("containerd", VERSIONS[2]), text)
    assert [leaf[-2] for leaf in lost] == [wrong]
