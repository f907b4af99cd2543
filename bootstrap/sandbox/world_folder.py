"""Where a sandbox keeps what it needs while it lives, and how others find it.

Each sandbox has one folder, ``<user state>/bootstrap/sandbox/<name>``; the daemon holds a lock on
it for as long as it lives, so a folder without a locked lock is a dead sandbox's, whatever its
files say (process ids are used again, locks are not).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from platformdirs import user_state_path

from bootstrap.errors import UsageError
from bootstrap.sandbox.errors import NoSandboxError

DEFAULT_NAME = "default"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_DOCUMENT = "sandbox.json"
_LOCK = "lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a running sandbox tells others: the document of ``sandbox up -o json``."""

    name: str
    store: str
    cluster: str
    state: str
    """The state store as kops names it, ``s3://...``."""
    kubeconfig: str
    pid: int
    env: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)
    control_plane: dict[str, str] = field(default_factory=dict)
    """Version of the programs, which version the store asks for, and where they came from."""
    windows: str = "2019"

    def document(self, tool_version: str) -> dict[str, object]:
        """Return the JSON document of the contract."""
        head: dict[str, object] = {
            "apiVersion": "bootstrap/v1",
            "kind": "Sandbox",
            "tool": {"version": tool_version},
        }
        fields = asdict(self)
        fields["controlPlane"] = fields.pop("control_plane")
        return head | fields


def root() -> Path:
    """Return the folder that holds all sandboxes of this user."""
    return Path(user_state_path("bootstrap")) / "sandbox"


class SandboxFolder:
    """The folder of one sandbox by name."""

    def __init__(self, name: str = DEFAULT_NAME) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name for a sandbox",
                fix="use up to 32 lower-case letters, digits and dashes",
            )
        self.name = name
        self.path = root() / name

    def lock(self) -> IO[str] | None:
        """Take the sandbox's lock, None when a daemon holds it; the caller keeps the file open."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Not inherited by children (PEP 446), so it ends with the daemon whatever else lives on.
        handle = (self.path / _LOCK).open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return None
        return handle

    def is_alive(self) -> bool:
        """Tell whether a daemon holds this sandbox (it may still be starting)."""
        if not (self.path / _LOCK).exists():
            return False
        handle = self.lock()
        if handle is None:
            return True
        handle.close()
        return False

    def publish(self, running: Running) -> None:
        """Write down that the sandbox can be used, in one step."""
        scratch = self.path / f"{_DOCUMENT}.new"
        scratch.touch(mode=0o600)
        scratch.write_text(json.dumps(asdict(running), indent=2), encoding="utf-8")
        scratch.replace(self.path / _DOCUMENT)

    def running(self) -> Running:
        """Read what the running sandbox tells; NoSandboxError when none is up."""
        try:
            text = (self.path / _DOCUMENT).read_text(encoding="utf-8")
        except FileNotFoundError:
            text = ""
        if not text or not self.is_alive():
            raise NoSandboxError(
                f"no sandbox {self.name!r} is up",
                command=f"bootstrap sandbox up --store DIR --name {self.name} --detach",
            )
        return Running(**json.loads(text))

    def clear(self) -> None:
        """Remove what a dead sandbox of this name left, but not the lock the caller may hold."""
        if not self.path.is_dir():
            return
        for entry in self.path.iterdir():
            if entry.name == _LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder, and the folders above it that are empty then."""
        shutil.rmtree(self.path, ignore_errors=True)
        for folder in (root(), root().parent):
            try:
                os.rmdir(folder)  # noqa: PTH106  (only when empty, and never a tree)
            except OSError:
                return


def names() -> list[str]:
    """List the sandboxes that are alive."""
    if not root().is_dir():
        return []
    found = sorted(entry.name for entry in root().iterdir() if _NAME.fullmatch(entry.name))
    return [name for name in found if SandboxFolder(name).is_alive()]
