"""Between the arguments of ``logs`` and the engine: evidence becomes a file and a document."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bootstrap import __version__, wiring
from bootstrap.cli import adding, node_documents
from bootstrap.cli.documents import API_VERSION, Document, finding_fields
from bootstrap.cli.evidence_documents import bundle_document
from bootstrap.cli.options import CommonOptions
from bootstrap.engine.evidence import Collected
from bootstrap.errors import ExitCode
from bootstrap.planning.bundle import Bundle, Evidence, bundle
from bootstrap.planning.redaction import Redactor


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The result of ``logs``: the host's own error decides the exit code."""

    document: Document
    exit_code: int


def collect(options: CommonOptions, name: str, path: Path | None, *, tail_lines: int) -> Shown:
    """Read the node and write the bundle."""
    settings, now = options.load(), datetime.now(UTC)
    file = wiring.bundle_file(path or Path(f"{name}-{now:%Y%m%dT%H%M%SZ}.tar.gz"))
    collector = wiring.collector(settings, adding.access_of(options), timeout_s=options.timeout_s)
    found = collector.collect(name, tail_lines=tail_lines)
    made = _bundle(found, settings.cluster, f"{now:%Y-%m-%dT%H:%M:%SZ}")
    file.write(made.files)
    document = bundle_document(
        cluster=settings.cluster,
        node=found.node.name,
        path=str(file.path),
        files=sorted(made.files),
        missing=made.missing,
        redactions=made.redactions,
        findings=found.findings,
    )
    code = ExitCode.OK if found.host_error is None else found.host_error.exit_code
    return Shown(document=document, exit_code=code)


def _bundle(found: Collected, cluster: str, at: str) -> Bundle:
    head = {
        "apiVersion": API_VERSION,
        "cluster": cluster,
        "node": found.node.name,
        "collectedAt": at,
        "versions": {"bootstrap": __version__, "python": platform.python_version()},
    }
    evidence = Evidence(
        state=found.state,
        console=found.console,
        node=node_documents.node_document(found.node, cluster=cluster),
        findings=[finding_fields(finding) for finding in found.findings],
        missing=tuple(found.missing),
    )
    return bundle(evidence, head, Redactor(known=found.secrets))
