"""Every test here runs real Windows programs, and is skipped where Wine or a tool is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.wine.windows_programs import WineHost, load, tools


@pytest.fixture(scope="session")
def tool_folder() -> Path:
    folder = tools()
    if folder is None:
        pytest.skip("no Wine with the tools of WINDOWS_BINARIES (see CONTRIBUTING.md)")
    return folder


@pytest.fixture
def hns(tool_folder: Path) -> Iterator[Any]:
    """A stand-in for the Host Networking Service."""
    with load(tool_folder, "hns_server").HnsServer() as server:
        yield server


@pytest.fixture
def host(tmp_path: Path, tool_folder: Path, hns: Any) -> WineHost:
    drive = tmp_path / "c"
    drive.mkdir()
    return WineHost(folder=tool_folder, drive=drive, hns_port=hns.port)


@pytest.fixture
def built(host: WineHost) -> Callable[[str, str], Path]:
    """Find a built program, or skip the test."""

    def find(name: str, version: str) -> Path:
        made = host.program(name, version)
        if made is None:
            pytest.skip(f"{name} {version} was not built")
        return made

    return find
