"""Every test here runs a script under pwsh, and is skipped where there is none for 5.1."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.powershell.windows_node import WindowsNode, find_pwsh


@pytest.fixture(scope="session")
def pwsh() -> str:
    program = find_pwsh()
    if not program:
        pytest.skip("no pwsh with the commands of Windows PowerShell 5.1 on the PATH")
    return program


@pytest.fixture
def node(tmp_path: Path, pwsh: str) -> WindowsNode:
    return WindowsNode(tmp_path, pwsh)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: a test reads the answer, not the log."""


@pytest.fixture
def downloads(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a folder over HTTP; returns it and its address."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
