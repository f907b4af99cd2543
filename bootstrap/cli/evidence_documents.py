"""The bundle that evidence of a node went into, as a document for scripts."""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.cli.documents import Document, document, finding_fields
from bootstrap.model.finding import Finding
from bootstrap.planning.bundle import Missing


def bundle_document(
    *,
    cluster: str,
    node: str,
    path: str,
    files: Sequence[str],
    missing: Sequence[Missing],
    redactions: int,
    findings: Sequence[Finding],
) -> Document:
    """Show what is in a bundle, and what could not be had with the reason."""
    fields = {
        "node": node,
        "path": path,
        "files": list(files),
        "missing": [{"source": item.source, "reason": item.reason} for item in missing],
        "redactions": redactions,
        "findings": [finding_fields(finding) for finding in findings],
    }
    return document("Bundle", fields, cluster=cluster)
