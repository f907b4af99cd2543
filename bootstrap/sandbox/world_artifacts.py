"""The internet of the sandbox: what the project's own lists of artifacts name, and nothing else.

A URL that stands in ``config/artifacts/*.yaml`` answers with a file of the checksum that stands
there; all others are not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from bootstrap.resources import data_path
from bootstrap.sandbox.windows_host.state import VirtualFile

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ALGORITHMS = {64: "sha256", 128: "sha512"}
"""Length of the hex digest -> algorithm."""
_SIZE_BYTES = 50_000_000


def published() -> dict[str, VirtualFile]:
    """Read every URL with its checksum."""
    found: dict[str, VirtualFile] = {}
    for path in sorted((data_path("config") / "artifacts").glob("*.yaml")):
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
        for url, digest in _entries(document):
            known = dict(found[url].checksums) if url in found else {}
            checksums = known | {_ALGORITHMS[len(digest)]: digest.lower()}
            found[url] = VirtualFile(size=_SIZE_BYTES, checksums=checksums, url=url)
    return found


def tampered(file: VirtualFile) -> VirtualFile:
    """Return the same file with other bytes, as far as checksums tell."""
    others = {name: _turned(digest) for name, digest in file.checksums.items()}
    return replace(file, checksums=others)


def _turned(digest: str) -> str:
    return digest[1:] + digest[:1] if len(set(digest)) > 1 else "0" * (len(digest) - 1) + "1"


def _entries(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        url = value.get("url")
        if isinstance(url, str):
            for item in value.values():
                if isinstance(item, str) and _is_digest(item):
                    yield url, item
        for item in value.values():
            yield from _entries(item)
    elif isinstance(value, list):
        for item in value:
            yield from _entries(item)


def _is_digest(text: str) -> bool:
    return len(text) in _ALGORITHMS and all(char in "0123456789abcdefABCDEF" for char in text)
