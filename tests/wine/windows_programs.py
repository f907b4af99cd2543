"""Real Windows programs under Wine, on a folder that is their ``C:\\``.

The tools (``winhost``, ``build``, ``hns_server.py``) lie where ``WINDOWS_BINARIES`` says, else
where ``.ci/run`` links them.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from types import ModuleType
from typing import Any

_LINK = Path(__file__).parents[2] / "build" / "tools" / "windows-binaries"
_TIMEOUT_S = 60
_loaded: dict[str, ModuleType] = {}


def tools() -> Path | None:
    """Return the folder of the tools, None where they or Wine are missing."""
    folder = Path(os.environ.get("WINDOWS_BINARIES") or _LINK)
    if not (folder / "winhost").is_file():
        return None
    stamp = load(folder, "build").cache_directory() / "wine" / "stamp"
    return folder if stamp.is_file() else None


def load(folder: Path, name: str) -> Any:
    """Import one of the tools; some have no ``.py`` ending."""
    if name not in _loaded:
        file = folder / name
        path = str(file if file.is_file() else file.with_suffix(".py"))
        loader = importlib.machinery.SourceFileLoader(f"windows_binaries_{name}", path)
        spec = importlib.util.spec_from_loader(loader.name, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[loader.name] = module
        writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            loader.exec_module(module)
        finally:
            sys.dont_write_bytecode = writes
        _loaded[name] = module
    return _loaded[name]


@dataclass(frozen=True, kw_only=True)
class WineHost:
    """A Windows host that lives as long as its programs run."""

    folder: Path
    drive: Path
    hns_port: int = 0
    windows: str = "2019"

    def program(self, name: str, version: str) -> Path | None:
        """Return a program that was built, None if it was not."""
        made = Path(load(self.folder, "build").path_of(name, version))
        return made if made.is_file() else None

    def path(self, windows_path: str) -> Path:
        """Return where a path of the host lies here."""
        return self.drive.joinpath(*PureWindowsPath(windows_path).parts[1:])

    def install(self, made: Path, windows_path: str) -> None:
        """Put a program on the host."""
        path = self.path(windows_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(made)

    def write(self, windows_path: str, content: str) -> None:
        """Write a file of the host."""
        path = self.path(windows_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())

    def run(
        self, *command: str, stdin: object = None, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; JSON goes in."""
        options = ["--drive-c", str(self.drive), "--windows", self.windows]
        if self.hns_port:
            options += ["--hns-port", str(self.hns_port)]
        for name, value in (environment or {}).items():
            options += ["--env", f"{name}={value}"]
        return subprocess.run(
            [sys.executable, str(self.folder / "winhost"), *options, "--", *command],
            input=json.dumps(stdin) if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
