"""Which certificate requests of joining nodes may be approved.

Pure: a request, what we know of the nodes that are joining, and the cluster's Nodes go in; a
verdict comes out. What is not ours is left alone and reported, never denied: another approver may
own it.

Signer rules: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bootstrap.model.certificates import CertificateRequest, RequestState
from bootstrap.model.node import NAMESPACE, KubeNode, KubeNodeName, NodeName

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
NODE_ORGANIZATION = "system:nodes"
NODE_PREFIX = "system:node:"
BOOTSTRAP_ACCOUNT = "node-bootstrapper"
BOOTSTRAP_REQUESTER = f"system:serviceaccount:{NAMESPACE}:{BOOTSTRAP_ACCOUNT}"

# Kubelets ask without key encipherment for ECDSA keys (all of today's), with it for RSA keys.
REQUIRED_USAGES = frozenset({"digital signature", "client auth"})
ALLOWED_USAGES = REQUIRED_USAGES | {"key encipherment"}
MINIMUM_RSA_BITS = 2048
ALLOWED_EC_BITS = frozenset({256, 384, 521})


class Verdict(StrEnum):
    """What to do with a request."""

    APPROVE = "approve"
    REFUSE = "refuse"
    """It speaks for one of our nodes and must not be approved; it is reported."""
    IGNORE = "ignore"
    """It is none of our business, or somebody decided already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoiningNode:
    """A node whose request we wait for. ``since`` is RFC 3339: no older request can be its."""

    node: NodeName
    kube_name: KubeNodeName
    since: str
    instance_running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict on one request, and why."""

    request: CertificateRequest
    verdict: Verdict
    reason: str
    node: NodeName = NodeName("")


def decide(
    requests: Collection[CertificateRequest],
    *,
    joining: Collection[JoiningNode],
    nodes: Collection[KubeNode],
) -> tuple[Decision, ...]:
    """Decide on every request, the oldest first, at most one approval per node."""
    by_name = {item.kube_name: item for item in joining}
    ready = {node.name for node in nodes if node.ready}
    decisions: list[Decision] = []
    approved: set[NodeName] = set()
    for request in sorted(requests, key=lambda item: (item.created_at, item.name)):
        decision = _decide_one(request, by_name, ready)
        if decision.verdict is Verdict.APPROVE:
            if decision.node in approved:
                decision = _refuse(request, decision.node, "a second request of the same node")
            approved.add(decision.node)
        decisions.append(decision)
    return tuple(decisions)


def _decide_one(
    request: CertificateRequest,
    joining: Mapping[KubeNodeName, JoiningNode],
    ready: Collection[KubeNodeName],
) -> Decision:
    if request.state is not RequestState.PENDING:
        return Decision(request=request, verdict=Verdict.IGNORE, reason=f"is {request.state}")
    if request.signer != CLIENT_SIGNER:
        return Decision(request=request, verdict=Verdict.IGNORE, reason=f"signer {request.signer}")
    target = joining.get(KubeNodeName(request.common_name.removeprefix(NODE_PREFIX)))
    if target is None or not request.common_name.startswith(NODE_PREFIX):
        return Decision(request=request, verdict=Verdict.IGNORE, reason="names no node of this run")
    objection = _objection(request, target, ready)
    if objection:
        return _refuse(request, target.node, objection)
    return Decision(
        request=request,
        verdict=Verdict.APPROVE,
        reason=f"{target.node} was launched by this tool and asked with its own token",
        node=target.node,
    )


def _refuse(request: CertificateRequest, node: NodeName, reason: str) -> Decision:
    return Decision(request=request, verdict=Verdict.REFUSE, reason=reason, node=node)


def _objection(
    request: CertificateRequest, target: JoiningNode, ready: Collection[KubeNodeName]
) -> str:
    """Return the first reason not to approve, '' when there is none."""
    for objection in (
        _identity_objection(request),
        _content_objection(request),
        _key_objection(request),
        _moment_objection(request, target, ready),
    ):
        if objection:
            return objection
    return ""


def _identity_objection(request: CertificateRequest) -> str:
    if request.requester != BOOTSTRAP_REQUESTER:
        return f"requested by {request.requester}, not by {BOOTSTRAP_REQUESTER}"
    if request.organizations != (NODE_ORGANIZATION,):
        return f"organisation {', '.join(request.organizations) or 'missing'}"
    if request.other_subject:
        return f"further subject attributes: {', '.join(request.other_subject)}"
    return ""


def _content_objection(request: CertificateRequest) -> str:
    if request.parse_error:
        return f"cannot be read: {request.parse_error}"
    names = (*request.dns_names, *request.ip_addresses, *request.other_names)
    if names:
        return f"a client certificate has no alternative names: {', '.join(names)}"
    if not REQUIRED_USAGES <= request.usages <= ALLOWED_USAGES:
        return f"usages {', '.join(sorted(request.usages)) or 'missing'}"
    return ""


def _key_objection(request: CertificateRequest) -> str:
    if request.key_type == "rsa" and request.key_bits >= MINIMUM_RSA_BITS:
        return ""
    if request.key_type == "ecdsa" and request.key_bits in ALLOWED_EC_BITS:
        return ""
    return f"key {request.key_type or 'unknown'} {request.key_bits}"


def _moment_objection(
    request: CertificateRequest, target: JoiningNode, ready: Collection[KubeNodeName]
) -> str:
    if not target.instance_running:
        return "its instance is not running"
    if target.kube_name in ready:
        return "a Ready node has that name"
    if _instant(request.created_at) < _instant(target.since):
        return f"made at {request.created_at}, before the instance was launched"
    return ""


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
