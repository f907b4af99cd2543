"""Write a bundle as .tar.gz or .zip, for its owner only, and never over a file that exists."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bootstrap.errors import UsageError

SUFFIXES: Final = (".tar.gz", ".tgz", ".zip")


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A bundle that is to be written."""

    path: Path

    def check(self) -> None:
        """Refuse a path that cannot be written, before the work is done; UsageError."""
        path = self.path
        if not path.name.endswith(SUFFIXES):
            raise UsageError(
                f"a bundle is one of {', '.join(SUFFIXES)}",
                target=str(path),
                fix="choose a name that ends so",
            )
        if path.exists():
            raise UsageError(f"{path} exists", fix="choose another file")
        if not os.access(path.parent, os.W_OK):
            raise UsageError(f"{path.parent} is no folder that can be written to", target=str(path))

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write the files below a folder of the bundle's own name; UsageError when that fails."""
        folder = self.path.name
        for suffix in SUFFIXES:
            folder = folder.removesuffix(suffix)
        named = {f"{folder}/{name}": content for name, content in sorted(files.items())}
        content = _zip(named) if self.path.name.endswith(".zip") else _tar(named)
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        except OSError as exc:
            raise UsageError(f"cannot write {self.path}: {exc.strerror}") from exc


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
