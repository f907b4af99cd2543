"""Where the data files are that ship with the package: playbooks, scripts, config."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_path(name: str) -> Path:
    """Return the folder ``name`` (``playbooks``, ``scripts``, ``config``).

    In an installed wheel it lies below ``bootstrap/_data``; in a checkout beside the package.
    """
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
