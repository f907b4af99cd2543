"""Evidence as the files of a bundle: one per section of the node's state and per log. Pure.

Everything passes the redactor here, and nothing gets into a bundle on another way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bootstrap.planning.node_state import SECTIONS
from bootstrap.planning.redaction import Redactor

INDEX = "bundle.json"
_LOGS = "logs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A source that gave nothing, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was had of a node; a source that failed is in ``missing``."""

    state: Mapping[str, object] | None = None
    """The answer of Get-NodeState.ps1."""
    console: str = ""
    node: Mapping[str, object] | None = None
    """What EC2 and Kubernetes say of it."""
    findings: Sequence[Mapping[str, object]] = ()
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The files of a bundle by their names in it."""

    files: Mapping[str, bytes]
    missing: tuple[Missing, ...]
    redactions: int


@dataclass(slots=True)
class _Files:
    redactor: Redactor
    files: dict[str, bytes] = field(default_factory=dict)

    def add_json(self, name: str, value: object) -> None:
        clean = self.redactor.value(value)
        self.files[name] = (json.dumps(clean, indent=2) + "\n").encode("utf-8")

    def add_text(self, name: str, text: str) -> None:
        self.files[name] = self.redactor.text(text).encode("utf-8", errors="replace")


def bundle(evidence: Evidence, head: Mapping[str, object], redactor: Redactor) -> Bundle:
    """Lay evidence out as files; ``head`` (node, time, versions) begins ``bundle.json``."""
    made = _Files(redactor)
    state = evidence.state or {}
    for section in SECTIONS:
        if section != _LOGS and state.get(section) is not None:
            made.add_json(f"node/{section}.json", state[section])
    for path, lines in _logs(state.get(_LOGS)):
        made.add_text(f"logs/{path.rpartition(chr(92))[2]}", "".join(f"{x}\n" for x in lines))
    if evidence.console:
        made.add_text("ec2/console.txt", evidence.console)
    if evidence.node is not None:
        made.add_json("cluster/node.json", evidence.node)
    missing = (*evidence.missing, *_unread(state))
    files = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in made.files.items()
    }
    made.add_json(INDEX, {**head, **_index(evidence, missing, redactor), "files": files})
    return Bundle(files=made.files, missing=missing, redactions=redactor.count)


def _index(evidence: Evidence, missing: Sequence[Missing], redactor: Redactor) -> dict[str, object]:
    return {
        "findings": list(evidence.findings),
        "missing": [{"source": item.source, "reason": item.reason} for item in missing],
        "redactions": redactor.count,
    }


def _unread(state: Mapping[str, object]) -> list[Missing]:
    """Return sections that the script could not read."""
    errors = state.get("errors")
    return [
        Missing(source=f"node/{item.get('section')}", reason=str(item.get("message")))
        for item in (errors if isinstance(errors, list) else [])
        if isinstance(item, Mapping)
    ]


def _logs(found: object) -> list[tuple[str, list[str]]]:
    """Return each log with its lines; what is not as the contract says is left out."""
    return [
        (str(item["path"]), [str(line) for line in item["lines"]])
        for item in (found if isinstance(found, list) else [])
        if isinstance(item, Mapping) and isinstance(item.get("lines"), list) and item.get("path")
    ]
