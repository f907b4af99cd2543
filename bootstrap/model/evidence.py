"""What is known of a join that went wrong, gathered for ``planning.diagnosis``."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.model.certificates import CertificateRequest
from bootstrap.model.kubernetes import NodeEvent
from bootstrap.model.node import KubeNode, KubeNodeName, NodeName
from bootstrap.model.node_state import NodeState


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """What came of a node's certificate request while its playbook ran."""

    refusal: str = ""
    """Why its request was not approved, '' when nothing was against it."""
    error: str = ""
    """What the API server said when the request was to be approved, '' when nothing."""
    registered: bool = False
    """Whether its Node has been seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinEvidence:
    """Everything that could be read after a failure; what could not be read is empty or None.

    ``launched_at`` is RFC 3339, ``now`` seconds since the epoch, when ``state`` was read.
    """

    node: NodeName
    kube_name: KubeNodeName
    launched_at: str
    pod_cidr: str
    now: float
    approvals: Approvals = Approvals()
    requests: tuple[CertificateRequest, ...] = ()
    kube_node: KubeNode | None = None
    has_looked: bool = False
    """Whether the API server answered, so that an absent Node is known to be absent."""
    events: tuple[NodeEvent, ...] = ()
    state: NodeState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The cause of a failure: a stable name, what it is, what shows it, the way out."""

    name: str
    message: str
    evidence: str
    fix: str
    command: str = ""
