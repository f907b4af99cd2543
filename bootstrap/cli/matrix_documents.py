"""The table of what exists as the document ``SupportMatrix``; pure functions."""

from __future__ import annotations

from bootstrap.cli.documents import Document, document
from bootstrap.model.runtimes import Combination, combinations, runtimes_for
from bootstrap.model.windows import CHANGES, RELEASES, pause_image
from bootstrap.planning.artifacts import CRI_DOCKERD, Catalog, choose_kubernetes
from bootstrap.planning.causes import CAUSES
from bootstrap.planning.checks import RULES


def matrix_document(catalog: Catalog, minor: int | None = None) -> Document:
    """Show what goes together, for one minor or all."""
    chosen = [item for item in combinations() if minor in (None, item.minor)]
    fields = {
        "items": [_combination(item, catalog) for item in chosen],
        "releases": [
            {
                "windows": release.value,
                "build": row.build,
                "kubernetesFrom": f"1.{row.first}",
                "documentedUntil": f"1.{row.last_documented}",
                "source": row.source,
            }
            for release, row in RELEASES.items()
        ],
        "changes": [
            {"kubernetes": f"1.{change.first}", "what": change.what, "source": change.source}
            for change in CHANGES
        ],
        "checks": [],
    }
    return document("SupportMatrix", fields)


def checks_document() -> Document:
    """List the checks of preflight, then the causes of failed joins, with their meaning.

    A name that is both a check and a cause is listed once, as the check.
    """
    meanings = {**CAUSES, **{rule.name: rule.meaning for rule in RULES}}
    order = [rule.name for rule in RULES]
    order += [name for name in CAUSES if name not in order]
    checks = [{"name": name, "meaning": meanings[name]} for name in order]
    empty: dict[str, object] = {"items": [], "releases": [], "changes": []}
    return document("SupportMatrix", {**empty, "checks": checks})


def _combination(item: Combination, catalog: Catalog) -> dict[str, object]:
    row = item.row
    version, _ = choose_kubernetes(catalog, f"1.{item.minor}")
    is_known = catalog.has(row.runtime, row.line)
    return {
        "kubernetes": f"1.{item.minor}",
        "kubernetesVersion": version or None,
        "windows": item.windows.value,
        "documented": item.is_documented,
        "runtime": row.runtime.value,
        "auto": row.runtime is runtimes_for(item.minor)[0],
        "link": row.link.value,
        "runtimeVersion": catalog.newest(row.runtime, row.line).version if is_known else None,
        "ownArtifacts": [
            name
            for name, is_needed in (
                (row.runtime.value, not is_known),
                (CRI_DOCKERD, row.link == CRI_DOCKERD and not catalog.has(CRI_DOCKERD)),
            )
            if is_needed
        ],
        "cniApiVersion": row.cni_api,
        "pauseImage": pause_image(item.minor, item.windows),
        "source": row.source,
    }
