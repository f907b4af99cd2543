"""The artifact catalog as files: ``config/artifacts/*.yaml``."""

from __future__ import annotations

from pathlib import Path

from bootstrap.planning.artifacts import Catalog, parse_catalog


def load(folder: Path) -> Catalog:
    """Read every file of a folder."""
    return parse_catalog(
        [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))]
    )
