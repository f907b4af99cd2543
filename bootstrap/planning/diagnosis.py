"""Name the cause of a join that failed, from what could be read of cluster and node. Pure.

The cluster's side comes first, because it is certain: who asked for a certificate, what became of
the request, whether the Node was there and who deleted it. Then the node's own state, then what its
programs wrote. None means that the failure itself says all that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from bootstrap.model.certificates import CertificateRequest, RequestState
from bootstrap.model.evidence import Diagnosis, JoinEvidence
from bootstrap.planning import csr, host_rules, log_signs

DELETING_NODE = "DeletingNode"
AGAIN = "bootstrap add-node --yes"


def diagnose(evidence: JoinEvidence) -> Diagnosis | None:
    """Return the most certain cause."""
    for rule in RULES:
        if found := rule(evidence):
            return found
    return None


def _refused(evidence: JoinEvidence) -> Diagnosis | None:
    if not evidence.approvals.refusal:
        return None
    return Diagnosis(
        name="CertificateRequestRefused",
        message=evidence.approvals.refusal,
        evidence="the rules are in docs/architecture.md",
        fix="find out who made the request; nothing was approved",
        command="kubectl get csr",
    )


def _approval_failed(evidence: JoinEvidence) -> Diagnosis | None:
    if not evidence.approvals.error or evidence.approvals.registered:
        return None
    return Diagnosis(
        name="ApprovalRejected",
        message="the API server does not let the node's certificate request be approved",
        evidence=evidence.approvals.error,
        fix="look for an admission policy or webhook, and for the right to approve",
        command="kubectl auth can-i update certificatesigningrequests/approval",
    )


def _not_signed(evidence: JoinEvidence) -> Diagnosis | None:
    for request in _own(evidence):
        if request.state is RequestState.APPROVED and _is_of(request, evidence):
            return Diagnosis(
                name="CertificateNeverSigned",
                message="the node's certificate request was approved and never signed",
                evidence=f"{request.name} of {request.created_at} has no certificate",
                fix="look at kube-controller-manager: it signs; is it up, and has it the CA's key?",
                command="kubectl -n kube-system get lease kube-controller-manager",
            )
    return None


def _other_name(evidence: JoinEvidence) -> Diagnosis | None:
    if evidence.kube_node is not None or evidence.approvals.registered:
        return None
    own = _own(evidence)
    if any(_is_of(request, evidence) for request in own):
        return None
    computer = ""
    if evidence.state is not None and evidence.state.windows is not None:
        computer = evidence.state.windows.computer_name.lower()
    for request in own:
        asked = request.common_name.removeprefix(csr.NODE_PREFIX)
        if computer and asked != computer:
            continue
        return Diagnosis(
            name="NodeNameMismatch",
            message="the kubelet asks for a certificate in another name than the node's",
            evidence=f"{request.name} asks for {asked}, the node is {evidence.kube_name}",
            fix="its --hostname-override is missing or wrong; the next run writes it anew",
            command="kubectl get csr",
        )
    return None


def _deleted(evidence: JoinEvidence) -> Diagnosis | None:
    if evidence.kube_node is not None or not evidence.has_looked:
        return None
    deleted = [event for event in evidence.events if event.reason == DELETING_NODE]
    if not deleted and not evidence.approvals.registered:
        return None
    shown = deleted[-1].message if deleted else "it was registered, and is gone"
    return Diagnosis(
        name="NodeDeleted",
        message="the Node was deleted again after it had registered",
        evidence=shown,
        fix="the cloud controller does not find its instance: providerID or name are wrong",
        command=f"kubectl get events --field-selector involvedObject.name={evidence.kube_name}",
    )


def _no_pod_cidr(evidence: JoinEvidence) -> Diagnosis | None:
    node = evidence.kube_node
    if node is None or node.pod_cidr:
        return None
    return Diagnosis(
        name="PodCidrMissing",
        message="the controller manager gave the Node no pod CIDR",
        evidence=f"Node {node.name} has none; the cluster's range is {evidence.pod_cidr}",
        fix="the range may be exhausted, or --allocate-node-cidrs is off",
        command="kubectl get nodes -o custom-columns=N:.metadata.name,CIDR:.spec.podCIDR",
    )


def _causes(evidence: JoinEvidence) -> Diagnosis | None:
    return host_rules.look(evidence, host_rules.CAUSES)


def _symptoms(evidence: JoinEvidence) -> Diagnosis | None:
    return host_rules.look(evidence, host_rules.SYMPTOMS)


def _logs(evidence: JoinEvidence) -> Diagnosis | None:
    return log_signs.read((evidence.state.logs or ()) if evidence.state else ())


def _own(evidence: JoinEvidence) -> tuple[CertificateRequest, ...]:
    """Return what nodes of ours asked since this one was launched, the newest first."""
    launched = _instant(evidence.launched_at)
    found = [
        request
        for request in evidence.requests
        if request.requester == csr.BOOTSTRAP_REQUESTER and _instant(request.created_at) >= launched
    ]
    return tuple(sorted(found, key=lambda request: request.created_at, reverse=True))


def _is_of(request: CertificateRequest, evidence: JoinEvidence) -> bool:
    return request.common_name == f"{csr.NODE_PREFIX}{evidence.kube_name}"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


RULES: Sequence[Callable[[JoinEvidence], Diagnosis | None]] = (
    _refused,
    _approval_failed,
    _not_signed,
    _other_name,
    _deleted,
    _no_pod_cidr,
    _causes,
    _logs,
    _symptoms,
)
