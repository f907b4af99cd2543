"""What was read of a node, and the bundle that it went into, as documents for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bootstrap.cli.documents import Document, document
from bootstrap.planning.node_state import SECTIONS


def node_state_document(answer: Mapping[str, object], *, cluster: str, node: str) -> Document:
    """Show a node's state as Get-NodeState.ps1 answered it; a section that was not read is null."""
    read = {section: answer.get(section) for section in SECTIONS}
    fields = {"node": node, **read, "errors": answer.get("errors", [])}
    return document("NodeState", fields, cluster=cluster)


def bundle_document(
    *,
    cluster: str,
    node: str,
    path: str,
    files: Sequence[str],
    missing: Sequence[tuple[str, str]],
    redactions: int,
) -> Document:
    """Show what is in a bundle, and what could not be had with the reason."""
    fields = {
        "node": node,
        "path": path,
        "files": list(files),
        "missing": [{"source": source, "reason": reason} for source, reason in missing],
        "redactions": redactions,
    }
    return document("Bundle", fields, cluster=cluster)
