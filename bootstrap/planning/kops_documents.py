"""The YAML of a kops state store, with every access checked; only ``planning.kops_*`` reads it.

Scalars stay the text that kops wrote: keyset ids have 28 digits, and ``1.20`` is no number here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import yaml

Document = Mapping[str, object]

API_VERSIONS: Final = ("kops.k8s.io/v1alpha2", "kops/v1alpha2")
"""kops 1.15 and later, and before; a store is never written in another version."""
_NULLS = frozenset({"", "null", "Null", "NULL", "~"})
_LOADER: type[yaml.BaseLoader] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class SpecError(ValueError):
    """An object is not what kops writes; ``path`` is its place below the cluster's folder."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Add the object's path to a SpecError that does not know it yet."""
    try:
        yield
    except SpecError as exc:
        raise SpecError(str(exc), path=exc.path or path) from exc


def parse_object(text: str, kind: str) -> Document:
    """Read one kops object; SpecError when it is no ``kind`` of a version that we know.

    kops 1.18 writes completed specs without ``kind`` and ``apiVersion``.
    """
    document = parse_mapping(text)
    found, version = text_at(document, "kind"), text_at(document, "apiVersion")
    if found not in ("", kind):
        raise SpecError(f"it is a {found}, not a {kind}")
    if version and version not in API_VERSIONS:
        raise SpecError(f"apiVersion {version} is not one of {', '.join(API_VERSIONS)}")
    if not section(document, "spec"):
        raise SpecError("spec is missing")
    return document


def parse_mapping(text: str) -> Document:
    """Read a YAML mapping."""
    try:
        document = yaml.load(text, Loader=_LOADER)
    except (yaml.YAMLError, RecursionError) as exc:
        raise SpecError(f"it is no YAML: {' '.join(str(exc).split())}") from exc
    return _mapping(document, "the document")


def section(document: Document, *path: str) -> Document:
    """Return the mapping at a path, empty where there is none."""
    for name in path:
        value = document.get(name)
        document = {} if _is_null(value) else _mapping(value, name)
    return document


def has(document: Document, name: str) -> bool:
    """Tell whether a field is there and not null."""
    return not _is_null(document.get(name))


def text_at(document: Document, *path: str) -> str:
    """Return the text at a path, '' where there is none."""
    value = section(document, *path[:-1]).get(path[-1])
    if _is_null(value):
        return ""
    if not isinstance(value, str):
        raise SpecError(f"{'.'.join(path)} is no text")
    return value


def required(document: Document, *path: str) -> str:
    """Return the text at a path; SpecError where there is none."""
    value = text_at(document, *path)
    if not value:
        raise SpecError(f"{'.'.join(path)} is missing")
    return value


def flag_at(document: Document, *path: str) -> bool | None:
    """Return the truth value at a path, None where there is none."""
    value = text_at(document, *path).lower()
    if value not in ("", "true", "false"):
        raise SpecError(f"{'.'.join(path)} is neither true nor false: {value}")
    return None if value == "" else value == "true"


def number_at(document: Document, *path: str) -> int:
    """Return the whole number at a path, 0 where there is none."""
    value = text_at(document, *path)
    try:
        return int(value or "0")
    except ValueError as exc:
        raise SpecError(f"{'.'.join(path)} is no number: {value}") from exc


def texts_at(document: Document, name: str) -> tuple[str, ...]:
    """Return the texts of a list, nulls left out."""
    items = tuple(item for item in _list(document, name) if not _is_null(item))
    if not all(isinstance(item, str) for item in items):
        raise SpecError(f"{name} is no list of texts")
    return tuple(str(item) for item in items)


def sections_at(document: Document, name: str) -> tuple[Document, ...]:
    """Return the mappings of a list, nulls left out."""
    return tuple(_mapping(item, name) for item in _list(document, name) if not _is_null(item))


def pairs_at(document: Document, *path: str) -> tuple[tuple[str, str], ...]:
    """Return a mapping of texts as pairs, sorted."""
    values = section(document, *path)
    return tuple((name, text_at(values, name)) for name in sorted(values))


def _list(document: Document, name: str) -> list[object]:
    value = document.get(name)
    if _is_null(value):
        return []
    if not isinstance(value, list):
        raise SpecError(f"{name} is no list")
    return value


def _mapping(value: object, name: str) -> Document:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise SpecError(f"{name} is no mapping")
    return value


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, str) and value in _NULLS)
