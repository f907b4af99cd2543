"""The files of a simulated host: paths without case, content in memory or only its checksums."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


def cleaned(path: str) -> str:
    """Return a path with back slashes and its drive, without ``.`` and a slash at its end."""
    text = path.replace("/", "\\").replace("\\.\\", "\\").removesuffix("\\.").rstrip("\\")
    return f"C:{text}" if text.startswith("\\") and not text.startswith("\\\\") else text


def path_key(path: str) -> str:
    """Return a path in the one form that the file tree compares."""
    return cleaned(path).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualFile:
    """A file that is too big to hold: its size and the checksums that were published for it."""

    size: int
    checksums: Mapping[str, str]
    """Algorithm (``sha256``, ``sha512``) -> hex digest."""
    url: str = ""


@dataclass(slots=True, kw_only=True)
class File:
    """A file on the host."""

    path: str
    content: bytes | VirtualFile
    acl: tuple[str, ...] = ("BUILTIN\\Administrators", "NT AUTHORITY\\SYSTEM", "BUILTIN\\Users")
    written: float = field(default_factory=time.time)
    """Seconds since the epoch."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.content.size if isinstance(self.content, VirtualFile) else len(self.content)

    def checksum(self, algorithm: str) -> str:
        """Return the hex digest, '' for a virtual file of which none is known."""
        if isinstance(self.content, VirtualFile):
            return self.content.checksums.get(algorithm, "")
        return hashlib.new(algorithm, self.content).hexdigest()

    def digest(self, algorithm: str) -> str:
        """Return the hex digest; of a virtual file's unknown one, a value that only it has."""
        known = self.checksum(algorithm)
        if known or isinstance(self.content, bytes):
            return known
        seed = json.dumps([self.content.url, sorted(self.content.checksums.items())])
        return hashlib.new(algorithm, seed.encode()).hexdigest()


class FileTree:
    """The files of drive C; folders exist by themselves or through the files in them."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._files: dict[str, File] = {}
        self._folders: dict[str, str] = {}

    def get(self, path: str) -> File | None:
        """Return a file, None when there is none."""
        with self._lock:
            return self._files.get(path_key(path))

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, None when there is none; virtual files read as empty."""
        file = self.get(path)
        if file is None:
            return None
        return file.content if isinstance(file.content, bytes) else b""

    def write(self, path: str, content: bytes | VirtualFile, acl: tuple[str, ...] = ()) -> None:
        """Write a file; its folders are made."""
        with self._lock:
            file = File(path=cleaned(path), content=content)
            if acl:
                file.acl = acl
            self._files[path_key(path)] = file
            self.make_folder(file.path.rpartition("\\")[0])

    def make_folder(self, path: str) -> bool:
        """Make a folder with its parents; tells whether it is new."""
        with self._lock:
            if self.is_folder(path):
                return False
            parts = cleaned(path).split("\\")
            for count in range(1, len(parts) + 1):
                folder = "\\".join(parts[:count])
                self._folders.setdefault(path_key(folder), folder)
            return True

    def is_folder(self, path: str) -> bool:
        """Tell whether a folder is there."""
        with self._lock:
            return path_key(path) in self._folders

    def exists(self, path: str) -> bool:
        """Tell whether a file or folder is there."""
        return self.get(path) is not None or self.is_folder(path)

    def below(self, folder: str) -> list[File]:
        """List the files below a folder, at any depth."""
        with self._lock:
            start = path_key(folder) + "\\"
            return [file for key, file in sorted(self._files.items()) if key.startswith(start)]

    def names_in(self, folder: str) -> list[str]:
        """List names of files and folders directly in a folder."""
        start = path_key(folder) + "\\"
        with self._lock:
            paths = [(k, f.path) for k, f in self._files.items()] + list(self._folders.items())
        inside = {
            path[len(start) :] for key, path in paths if key.startswith(start) and key != start
        }
        return sorted(name for name in inside if name and "\\" not in name)

    def remove(self, path: str) -> bool:
        """Remove a file, or a folder with everything in it; tells whether something was there."""
        with self._lock:
            key = path_key(path)
            doomed = [k for k in self._files if k == key or k.startswith(key + "\\")]
            folders = [k for k in self._folders if k == key or k.startswith(key + "\\")]
            for item in doomed:
                del self._files[item]
            for item in folders:
                del self._folders[item]
            return bool(doomed or folders)
