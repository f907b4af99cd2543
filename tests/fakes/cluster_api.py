"""A Kubernetes API in memory, under the contract of tests/adapters/test_kubernetes_api.py."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.errors import BootstrapError, ConflictError, NotFoundError
from bootstrap.model.certificates import CertificateRequest, RequestState
from bootstrap.model.kubernetes import (
    ClusterIdentity,
    DaemonSetFacts,
    FlannelConfig,
    LeaseFacts,
    NodeEvent,
    PodFacts,
)
from bootstrap.model.node import NAMESPACE, KubeNode, KubeNodeName, Taint
from bootstrap.model.secret import Secret
from bootstrap.planning.join_identity import ACCOUNTS
from bootstrap.planning.validation import UNSCHEDULABLE

Schedule = Callable[[PodFacts], PodFacts]


def nowhere(pod: PodFacts) -> PodFacts:
    """Schedule as a cluster without a fitting node does."""
    return replace(pod, reason=UNSCHEDULABLE, message="no node fits")


@dataclass(kw_only=True)
class FakeClusterApi:
    """Implements ``ports.ClusterApi``; tests read and set its fields.

    ``schedule`` says what becomes of a new pod. ``failures`` maps a method name to an error that
    its next call raises. ``calls`` has the names of the changing calls, in order.
    """

    who: ClusterIdentity = field(
        default_factory=lambda: ClusterIdentity(
            uid="uid-1", version="v1.34.5", ca_pem="ca", server="https://127.0.0.1:6443"
        )
    )
    by_name: dict[KubeNodeName, KubeNode] = field(default_factory=dict)
    events: dict[KubeNodeName, list[NodeEvent]] = field(default_factory=dict)
    config: FlannelConfig | None = None
    sets: dict[tuple[str, str], DaemonSetFacts] = field(default_factory=dict)
    requests: dict[str, CertificateRequest] = field(default_factory=dict)
    leases: dict[str, LeaseFacts] = field(default_factory=dict)
    spaces: dict[str, dict[str, str]] = field(default_factory=dict)
    pods_by_name: dict[tuple[str, str], PodFacts] = field(default_factory=dict)
    manifests: list[Mapping[str, object]] = field(default_factory=list)
    schedule: Schedule = nowhere
    accounts: set[str] = field(default_factory=set)
    failures: dict[str, BootstrapError] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    _restarts: dict[tuple[str, str], str] = field(default_factory=dict)
    _versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def _call(self, method: str, *, changes: bool = False) -> Iterator[None]:
        with self._lock:
            error = self.failures.pop(method, None)
            if error is not None:
                raise error
            if changes:
                self.calls.append(method)
            yield

    # -- nodes --
    def identity(self) -> ClusterIdentity:
        with self._call("identity"):
            return self.who

    def nodes(self) -> tuple[KubeNode, ...]:
        with self._call("nodes"):
            return tuple(self.by_name.values())

    def node(self, name: KubeNodeName) -> KubeNode | None:
        with self._call("node"):
            return self.by_name.get(name)

    def update_node(
        self,
        name: KubeNodeName,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        add_taints: Sequence[Taint] = (),
        remove_taint_keys: Sequence[str] = (),
    ) -> None:
        with self._call("update_node", changes=True):
            node = self._known(self.by_name, name)
            gone = {*remove_taint_keys, *(taint.key for taint in add_taints)}
            kept = [taint for taint in node.taints if taint.key not in gone]
            self.by_name[name] = replace(
                node,
                labels={**node.labels, **(labels or {})},
                annotations={**node.annotations, **(annotations or {})},
                taints=(*kept, *add_taints),
            )

    def set_unschedulable(self, name: KubeNodeName, unschedulable: bool) -> None:
        with self._call("set_unschedulable", changes=True):
            node = self._known(self.by_name, name)
            self.by_name[name] = replace(node, unschedulable=unschedulable)

    # -- flannel and other DaemonSets --
    def flannel(self) -> FlannelConfig | None:
        with self._call("flannel"):
            return self.config

    def set_flannel_net_conf(self, flannel: FlannelConfig, net_conf: Mapping[str, object]) -> None:
        with self._call("set_flannel_net_conf", changes=True):
            if self.config is None:
                raise NotFoundError("there is no such ConfigMap", target=flannel.config_map)
            if self.config.net_conf != flannel.net_conf:
                raise ConflictError("flannel's net-conf.json changed meanwhile")
            self.config = replace(self.config, net_conf=dict(net_conf))

    def restart_daemon_set(self, namespace: str, name: str, *, at: str) -> None:
        with self._call("restart_daemon_set", changes=True):
            self._known(self.sets, (namespace, name))
            if self._restarts.get((namespace, name)) != at:
                self._restarts[(namespace, name)] = at
                self._next_generation(namespace, name)

    def daemon_sets(self) -> tuple[DaemonSetFacts, ...]:
        with self._call("daemon_sets"):
            return tuple(self.sets.values())

    def set_daemon_set_node_selector(
        self, namespace: str, name: str, selector: Mapping[str, str]
    ) -> None:
        with self._call("set_daemon_set_node_selector", changes=True):
            found = self._known(self.sets, (namespace, name))
            merged = {**found.node_selector, **selector}
            if merged != found.node_selector:
                self._next_generation(namespace, name, node_selector=merged)

    def _next_generation(self, namespace: str, name: str, **change: Any) -> None:
        """Roll at once: the controller has seen the change and every pod is new."""
        found = self.sets[namespace, name]
        number = found.generation + 1
        change |= {"generation": number, "observed_generation": number}
        self.sets[namespace, name] = replace(found, **change)

    def node_events(self, name: KubeNodeName) -> tuple[NodeEvent, ...]:
        with self._call("node_events"):
            return tuple(sorted(self.events.get(name, ()), key=lambda event: event.at))

    # -- certificates and credentials --
    def certificate_requests(self) -> tuple[CertificateRequest, ...]:
        with self._call("certificate_requests"):
            return tuple(self.requests.values())

    def approve(self, request: CertificateRequest, *, reason: str, message: str) -> None:
        with self._call("approve", changes=True):
            if self._known(self.requests, request.name) != request:
                raise ConflictError("the certificate request changed meanwhile")
            self.requests[request.name] = replace(request, state=RequestState.APPROVED)

    def ensure_join_identity(self) -> None:
        with self._call("ensure_join_identity", changes=True):
            self.spaces.setdefault(NAMESPACE, {})
            self.accounts.update(ACCOUNTS)

    def token(self, service_account: str, *, seconds: int) -> Secret:
        with self._call("token"):
            if service_account not in self.accounts:
                raise NotFoundError(f"there is no ServiceAccount {service_account}")
            return Secret(f"token of {service_account}, {next(self._versions)}, for {seconds} s")

    # -- leases --
    def lease(self, name: str) -> LeaseFacts | None:
        with self._call("lease"):
            return self.leases.get(name)

    def write_lease(self, lease: LeaseFacts) -> LeaseFacts:
        with self._call("write_lease", changes=True):
            found = self.leases.get(lease.name)
            if found is None and lease.resource_version:
                raise ConflictError("the Lease is gone", target=lease.name)
            if found is not None and found.resource_version != lease.resource_version:
                raise ConflictError("the Lease changed meanwhile", target=lease.name)
            written = replace(lease, resource_version=str(next(self._versions)))
            self.leases[lease.name] = written
            return written

    def delete_lease(self, name: str, *, resource_version: str) -> None:
        with self._call("delete_lease", changes=True):
            found = self.leases.get(name)
            if found is None:
                return
            if found.resource_version != resource_version:
                raise ConflictError("the Lease changed meanwhile", target=name)
            del self.leases[name]

    # -- namespaces and pods --
    def ensure_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        with self._call("ensure_namespace", changes=True):
            self.spaces[name] = {**self.spaces.get(name, {}), **labels}

    def delete_namespace(self, name: str) -> None:
        with self._call("delete_namespace", changes=True):
            self.spaces.pop(name, None)
            for key in [key for key in self.pods_by_name if key[0] == name]:
                del self.pods_by_name[key]

    def namespaces(self, label_selector: str) -> tuple[str, ...]:
        with self._call("namespaces"):
            key, _, value = label_selector.partition("=")
            return tuple(name for name, labels in self.spaces.items() if labels.get(key) == value)

    def create_pod(self, namespace: str, manifest: Mapping[str, object]) -> None:
        with self._call("create_pod", changes=True):
            self._known(self.spaces, namespace)
            pod = _pending(namespace, manifest)
            if (namespace, pod.name) not in self.pods_by_name:
                self.manifests.append(manifest)
                self.pods_by_name[namespace, pod.name] = self.schedule(pod)

    def pods(self, namespace: str = "", *, field_selector: str = "") -> tuple[PodFacts, ...]:
        with self._call("pods"):
            node = field_selector.removeprefix("spec.nodeName=")
            return tuple(
                pod
                for pod in self.pods_by_name.values()
                if namespace in ("", pod.namespace) and node in ("", pod.node)
            )

    def delete_pod(self, namespace: str, name: str) -> None:
        with self._call("delete_pod", changes=True):
            self.pods_by_name.pop((namespace, name), None)

    @staticmethod
    def _known(table: Mapping[Any, Any], key: Any) -> Any:
        if key not in table:
            raise NotFoundError(f"there is no {key}", target=str(key))
        return table[key]


def _pending(namespace: str, manifest: Mapping[str, Any]) -> PodFacts:
    metadata, spec = manifest["metadata"], manifest["spec"]
    return PodFacts(
        namespace=namespace,
        name=metadata["name"],
        node="",
        phase="Pending",
        ready=False,
        reason="",
        message="",
        labels=metadata.get("labels", {}),
        node_selector=spec.get("nodeSelector", {}),
    )
