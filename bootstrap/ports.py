"""What the engine needs of the world, as Protocols; adapters and fakes implement them.

Every method raises only children of ``BootstrapError``: ``RemoteError`` (with ``NotFoundError`` and
``ConflictError``) when the other side said no or was away, ``AccessError`` for credentials and
rights. Reading methods never change anything; every changing method may be called twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from bootstrap.model.certificates import CertificateRequest
from bootstrap.model.cluster import AwsFacts, ClusterName, StoreFacts
from bootstrap.model.host import HostTarget, PlaybookEvent, PlaybookRun
from bootstrap.model.kubernetes import (
    ClusterIdentity,
    DaemonSetFacts,
    FlannelConfig,
    LeaseFacts,
    NodeEvent,
    PodFacts,
)
from bootstrap.model.node import (
    DesiredNode,
    ImageFacts,
    InstanceId,
    KubeNode,
    KubeNodeName,
    ObservedInstance,
    Taint,
    WindowsRelease,
)
from bootstrap.model.secret import Secret


class Clock(Protocol):
    """Time, so that tests own it."""

    def now(self) -> float:
        """Return seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait; returns early never, but may raise Interrupted."""


class StateStore(Protocol):
    """A kops state store (``s3://bucket[/prefix]``)."""

    def cluster_names(self) -> tuple[ClusterName, ...]:
        """List the clusters: every path with a ``config`` object, as kops does."""

    def read(self, name: ClusterName) -> StoreFacts:
        """Read one cluster. Never keeps a private key and never touches ``secrets/``."""


class InstanceStore(Protocol):
    """EC2 and its neighbours (SSM parameters, ELB, IAM)."""

    def caller(self) -> tuple[str, str]:
        """Return account id and ARN of the credentials; AccessError when there are none."""

    def aws_facts(self, store: StoreFacts) -> AwsFacts:
        """Find what kops made: VPC, subnets, security groups, profile, key, API addresses."""

    def image(self, *, release: WindowsRelease, image_id: str = "") -> ImageFacts:
        """Resolve an AMI: the given one, or the newest of the release by its SSM parameter."""

    def zones_offering(self, instance_type: str) -> frozenset[str]:
        """Zones of the region that offer the type; empty when EC2 does not know the type."""

    def instances(self, cluster: ClusterName) -> tuple[ObservedInstance, ...]:
        """List every instance of the cluster in any state, paged, one call per page."""

    def launch(self, desired: DesiredNode, client_token: str) -> ObservedInstance:
        """Launch; the same token gives the same instance."""

    def start(self, instance_id: InstanceId) -> None:
        """Start a stopped instance."""

    def tag(self, instance_id: InstanceId, tags: Mapping[str, str]) -> None:
        """Set tags on an instance, its volumes and its network interfaces."""

    def terminate(self, instance_id: InstanceId) -> None:
        """Terminate an instance; one that is gone already is fine."""

    def console_output(self, instance_id: InstanceId) -> str:
        """Return the newest console text, '' while there is none."""

    def password(self, instance_id: InstanceId, private_key: Secret) -> Secret | None:
        """Return the Administrator password, None until EC2 has it; AccessError for a wrong key."""


class ClusterApi(Protocol):
    """The Kubernetes API with an administrator's rights."""

    def identity(self) -> ClusterIdentity:
        """Ask who answers."""

    def nodes(self) -> tuple[KubeNode, ...]:
        """List every Node, paged."""

    def node(self, name: KubeNodeName) -> KubeNode | None:
        """Read one Node, None when there is none."""

    def update_node(
        self,
        name: KubeNodeName,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        add_taints: Sequence[Taint] = (),
        remove_taint_keys: Sequence[str] = (),
    ) -> None:
        """Change metadata and taints of a Node; retried on conflict, other fields untouched."""

    def set_unschedulable(self, name: KubeNodeName, unschedulable: bool) -> None:
        """Cordon or uncordon a Node; NotFoundError when there is none."""

    def flannel(self) -> FlannelConfig | None:
        """Find kops' flannel ConfigMap and DaemonSet in kube-flannel or kube-system."""

    def set_flannel_net_conf(self, flannel: FlannelConfig, net_conf: Mapping[str, object]) -> None:
        """Replace ``net-conf.json``; ConflictError when it is no longer what ``flannel`` says."""

    def restart_daemon_set(self, namespace: str, name: str, *, at: str) -> None:
        """Roll a DaemonSet as ``kubectl rollout restart`` does (annotation on the pod template)."""

    def daemon_sets(self) -> tuple[DaemonSetFacts, ...]:
        """List every DaemonSet, paged."""

    def set_daemon_set_node_selector(
        self, namespace: str, name: str, selector: Mapping[str, str]
    ) -> None:
        """Merge labels into the node selector of a DaemonSet's pods."""

    def node_events(self, name: KubeNodeName) -> tuple[NodeEvent, ...]:
        """List the Events about a Node, also one that is gone; the oldest first."""

    def certificate_requests(self) -> tuple[CertificateRequest, ...]:
        """List every CertificateSigningRequest, paged and parsed."""

    def approve(self, request: CertificateRequest, *, reason: str, message: str) -> None:
        """Approve a request; ConflictError when the object is no longer the one that was read."""

    def ensure_join_identity(self) -> None:
        """Create namespace, ServiceAccounts and RBAC that a joining node needs; idempotent."""

    def token(self, service_account: str, *, seconds: int) -> Secret:
        """Make a bound token of a ServiceAccount in our namespace."""

    def lease(self, name: str) -> LeaseFacts | None:
        """Read a Lease in our namespace."""

    def write_lease(self, lease: LeaseFacts) -> LeaseFacts:
        """Create (empty ``resource_version``) or replace a Lease; ConflictError when it changed."""

    def delete_lease(self, name: str, *, resource_version: str) -> None:
        """Delete a Lease that is still the one that was read."""

    def ensure_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a namespace if it is missing; pods may be made in it at once."""

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace and what is in it; one that is gone already is fine."""

    def namespaces(self, label_selector: str) -> tuple[str, ...]:
        """List namespaces by label."""

    def create_pod(self, namespace: str, manifest: Mapping[str, object]) -> None:
        """Create a Pod from a manifest; one of that name is fine."""

    def pods(self, namespace: str = "", *, field_selector: str = "") -> tuple[PodFacts, ...]:
        """List pods of one namespace or of all."""

    def delete_pod(self, namespace: str, name: str) -> None:
        """Delete a Pod at once; one that is gone already is fine."""


class RemoteShell(Protocol):
    """WinRM over TLS, as far as it is needed outside a playbook."""

    def is_reachable(self, host: str, port: int) -> bool:
        """Tell whether TCP connects."""

    def certificate(self, host: str, port: int) -> str:
        """Fetch the certificate (PEM) that the host shows in a TLS handshake; trusts nothing."""

    def check_login(self, target: HostTarget) -> str:
        """Log in over the pinned certificate and return the computer name."""

    def run_script(
        self, target: HostTarget, script: str, request: Mapping[str, object]
    ) -> dict[str, object]:
        """Run a script of ours and return its answer; RemoteError with what it threw."""


class PlaybookRunner(Protocol):
    """ansible-runner."""

    def run(self, run: PlaybookRun, *, should_stop: Callable[[], bool]) -> Iterator[PlaybookEvent]:
        """Run a playbook and yield what happens; ends with PlaybookEnded unless stopped."""


class ProcessTable(Protocol):
    """Processes of this machine, for locks of runs that died here."""

    def host(self) -> str:
        """Return a name of this machine that no other has."""

    def me(self) -> str:
        """Return an identity of this process that no later one with the same id has."""

    def is_alive(self, identity: str) -> bool:
        """Tell whether the process with an identity from :meth:`me` still runs."""
