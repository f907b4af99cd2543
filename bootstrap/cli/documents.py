"""Our values as the documents that scripts and dashboards parse; pure functions, no Secret passes.

The shapes are a promise to users: a field may be added, none changes its meaning without a new
``apiVersion``. ``bootstrap.schemas`` has the JSON schema of each; a test holds one against the
other. Documents about nodes and pools are in ``node_documents``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bootstrap import __version__
from bootstrap.errors import BootstrapError, ExitCode
from bootstrap.model.event import NodeResult, PhaseRecord, RunResult
from bootstrap.model.finding import Check, Finding, has_errors
from bootstrap.model.node import DesiredNode
from bootstrap.model.plan import JoinNode, LaunchInstance, Plan, StartInstance, Step, describe

API_VERSION = "bootstrap/v1"

Document = dict[str, object]


def document(kind: str, fields: Mapping[str, object], *, cluster: str | None = None) -> Document:
    """Put the head that every document has before its own fields."""
    head: Document = {"apiVersion": API_VERSION, "kind": kind, "cluster": cluster or None}
    return head | {"tool": {"version": __version__}} | dict(fields)


def plan_document(plan: Plan, *, cluster: str) -> Document:
    """Show what would be done."""
    fields = {
        "empty": plan.is_empty,
        "steps": [_step(step) for step in plan.steps],
        "unchanged": list(plan.unchanged),
        "findings": [finding_fields(finding) for finding in plan.findings],
    }
    return document("Plan", fields, cluster=cluster)


def run_document(result: RunResult, *, cluster: str) -> Document:
    """Show what was done."""
    fields = {
        "runId": result.run_id,
        "command": result.command,
        "startedAt": result.started_at,
        "finishedAt": result.finished_at,
        "exitCode": int(result.exit_code),
        "nodes": [_node_result(node) for node in result.nodes],
        "findings": [finding_fields(finding) for finding in result.findings],
    }
    return document("RunResult", fields, cluster=cluster)


def findings_document(
    checks: Sequence[Check], *, cluster: str | None, findings: Iterable[Finding] = ()
) -> Document:
    """Show what checks saw; ``findings`` are those that belong to no check."""
    seen = [finding for check in checks for finding in check.findings] + list(findings)
    fields = {
        "ok": not has_errors(seen),
        "findings": [finding_fields(finding) for finding in seen],
        "checks": [_check(check) for check in checks],
    }
    return document("FindingList", fields, cluster=cluster)


def version_document(*, python: str, components: Mapping[str, str]) -> Document:
    """Show the version of the tool and of what it works with."""
    fields = {"version": __version__, "python": python, "components": dict(components)}
    return document("Version", fields)


def sandbox_document(
    *,
    cluster: str,
    state: str,
    env: Mapping[str, str],
    kubeconfig: Path | str,
    endpoints: Mapping[str, str],
    pid: int,
    extra: Mapping[str, object] | None = None,
) -> Document:
    """Show how to reach a running sandbox. Its credentials open nothing but itself."""
    fields = {
        "state": state,
        "env": dict(env),
        "kubeconfig": str(kubeconfig),
        "endpoints": dict(endpoints),
        "pid": pid,
    }
    return document("Sandbox", fields | dict(extra or {}), cluster=cluster)


def error_document(error: BootstrapError) -> Document:
    """Show an error that kept a command from having a document of its own."""
    fields = {
        "error": {
            "type": type(error).__name__,
            "message": error.message,
            "target": error.target or None,
            "evidence": error.evidence or None,
            "fix": error.fix or None,
            "command": error.command or None,
        },
        "exitCode": int(error.exit_code),
    }
    return document("Error", fields)


def finding_fields(finding: Finding) -> Document:
    """Return a Finding as it stands in every document."""
    return {
        "level": finding.level.value,
        "name": finding.name,
        "target": finding.target,
        "message": finding.message,
        "evidence": dict(finding.evidence),
        "fix": finding.fix,
        "command": finding.command,
    }


def _check(check: Check) -> Document:
    return {
        "name": check.name,
        "result": check.result.value,
        "seconds": round(check.seconds, 3),
        "target": check.target,
        "reason": check.reason,
    }


def _step(step: Step) -> Document:
    """Return a step with the decisions that a reviewer of the plan wants to see."""
    desired = step.desired
    head: Document = {
        "step": type(step).__name__,
        "node": step.node,
        "pool": desired.pool.name,
        "why": step.why,
        "summary": describe(step),
    }
    match step:
        case LaunchInstance():
            return head | _launch(desired)
        case StartInstance(instance_id=instance_id):
            return head | {"instanceId": instance_id}
        case JoinNode():
            return head | _join(desired)


def _launch(desired: DesiredNode) -> Document:
    volume = desired.pool.root_volume
    return {
        "instanceType": desired.instance_type,
        "imageId": desired.image.image_id,
        "imageName": desired.image.name,
        "subnet": desired.subnet.name,
        "zone": desired.subnet.zone,
        "rootVolume": {
            "sizeGb": volume.size_gb,
            "type": volume.type,
            "encrypted": volume.encrypted,
        },
        "spot": desired.pool.spot,
        "publicIp": desired.pool.public_ip,
        "securityGroups": list(desired.security_groups),
        "instanceProfile": desired.instance_profile,
        "tags": dict(desired.tags),
    }


def _join(desired: DesiredNode) -> Document:
    return {
        "windows": desired.windows.value,
        "runtime": desired.runtime.value,
        "kubernetesVersion": desired.kubernetes_version,
        "labels": dict(desired.labels),
        "taints": [str(taint) for taint in desired.taints],
        "specHash": desired.spec_hash,
    }


def _node_result(node: NodeResult) -> Document:
    return {
        "name": node.name,
        "nodeName": node.node_name or None,
        "instanceId": node.instance_id or None,
        "privateIp": node.private_ip or None,
        "pool": node.pool,
        "phase": node.phase.value,
        "ready": node.ready,
        "result": node.outcome.value,
        "seconds": round(node.seconds, 3),
        "phases": [_phase(record) for record in node.phases],
        "error": finding_fields(node.error) if node.error else None,
        "exitCode": int(node.exit_code),
    }


def _phase(record: PhaseRecord) -> Document:
    return {
        "phase": record.phase.value,
        "seconds": round(record.seconds, 3),
        "result": record.result.value,
    }


def exit_code_of(checks_or_findings: Iterable[Check | Finding]) -> ExitCode:
    """Return 3 when anything is an error, else 0."""
    findings: list[Finding] = []
    for item in checks_or_findings:
        findings += item.findings if isinstance(item, Check) else [item]
    return ExitCode.REFUSED if has_errors(findings) else ExitCode.OK
