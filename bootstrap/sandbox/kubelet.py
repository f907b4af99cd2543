"""What every simulated kubelet does, on Linux and on Windows: Node, Lease, heartbeats, pods.

It speaks with a real kubelet's certificate to a real API server, so the Node authorizer and
NodeRestriction hold for it as in life. What runs in a pod is up to the ``PodRuntime``.
Sources: Kubernetes ``pkg/kubelet/kubelet_node_status.go``, ``pkg/kubelet/nodestatus/setters.go``,
``pkg/kubelet/kubelet_pods.go`` (``getPhase``).
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from bootstrap.sandbox.cluster_client import ApiClient, ApiError, ApiUnreachable

Json = dict[str, Any]

LEASE_SECONDS = 40
HEARTBEAT_S = 10.0
_LOOK_S = 0.5
_RETRY_S = 0.5
_UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """What a kubelet knows of its node when it registers."""

    name: str
    labels: Mapping[str, str]
    node_info: Mapping[str, str]
    """``status.nodeInfo``: osImage, kubeletVersion, containerRuntimeVersion, ..."""
    address: str
    """InternalIP, '' when the kubelet found none."""
    taints: Sequence[Mapping[str, str]] = ()
    provider_id: str = ""
    external_cloud: bool = True
    capacity: Mapping[str, str] = field(
        default_factory=lambda: {"cpu": "4", "memory": "16Gi", "pods": "110"}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """How a container of a pod goes on: it waits for a reason, runs, or has ended."""

    name: str
    image: str
    waiting: str = ""
    message: str = ""
    exit_code: int | None = None


class PodRuntime(Protocol):
    """What a node runs its pods with."""

    def start(self, pod: Json) -> Sequence[ContainerStatus]:
        """Start a pod and tell how each container goes on; called once per pod."""

    def stop(self, pod: Json) -> None:
        """Stop a pod that is being deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The kubelet's own verdict on its node."""

    ready: bool
    reason: str = "KubeletReady"
    message: str = "kubelet is posting ready status"


class KubeletStandIn:
    """One node. ``run`` blocks until ``stop`` is set; the Node stays behind, as in life."""

    def __init__(
        self,
        client: ApiClient,
        spec: NodeSpec,
        runtime: PodRuntime,
        stop: threading.Event,
        readiness: Callable[[], Readiness] = lambda: Readiness(ready=True),
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._spec = spec
        self._runtime = runtime
        self._stop = stop
        self._readiness = readiness
        self._log = log
        self._started: dict[str, str] = {}
        """Pod uid -> its address."""
        self._pod_cidr = ""
        self._changed_at = _now()
        self._last_ready: bool | None = None

    @property
    def _path(self) -> str:
        return f"/api/v1/nodes/{self._spec.name}"

    @property
    def pod_cidr(self) -> str:
        """``spec.podCIDR`` of the Node, '' until the controller manager gave one."""
        if not self._pod_cidr:
            spec = self._client.get(self._path).get("spec") or {}
            self._pod_cidr = str(spec.get("podCIDR") or "")
        return self._pod_cidr

    def run(self) -> None:
        """Register, then keep the Node and its pods until told to stop."""
        if not self._until_done(self._register):
            return
        pods = threading.Thread(
            target=self._follow_pods, name=f"pods-{self._spec.name}", daemon=True
        )
        pods.start()
        self._keep_alive()
        pods.join()

    def _until_done(self, act: Callable[[], None]) -> bool:
        """Repeat an act until the API server takes it; False when stopped before."""
        while not self._stop.is_set():
            try:
                act()
                return True
            except (ApiError, ApiUnreachable) as error:
                self._log(f"E1101 kubelet_node_status.go:106] Unable to register node: {error}")
                self._stop.wait(_RETRY_S)
        return False

    # -- the Node --
    def _register(self) -> None:
        try:
            self._client.post("/api/v1/nodes", self._node())
        except ApiError as error:
            if error.status != 409:
                raise
            # A Node of that name is taken over; the labels that a kubelet owns are set again.
            labels = {"metadata": {"labels": dict(self._spec.labels)}}
            self._client.patch(self._path, labels, kind="strategic")
        self._post_status(self._readiness())

    def _node(self) -> Json:
        taints = [dict(taint) for taint in self._spec.taints]
        if self._spec.external_cloud:
            taints.append({"key": _UNINITIALIZED, "value": "true", "effect": "NoSchedule"})
        spec: Json = {"taints": taints} if taints else {}
        if self._spec.provider_id:
            spec["providerID"] = self._spec.provider_id
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self._spec.name, "labels": dict(self._spec.labels)},
            "spec": spec,
        }

    def _keep_alive(self) -> None:
        renewed = float("-inf")
        while not self._stop.wait(_LOOK_S):
            verdict = self._readiness()
            now = time.monotonic()
            if verdict.ready == self._last_ready and now - renewed < HEARTBEAT_S:
                continue
            try:
                self._post_status(verdict)
                self._renew_lease()
                renewed = now
            except (ApiError, ApiUnreachable) as error:
                # A Node that was deleted comes back only when the kubelet starts again.
                self._log(f"E1101 kubelet.go:2461] Error updating node status: {error}")

    def _post_status(self, verdict: Readiness) -> None:
        if verdict.ready != self._last_ready:
            self._changed_at = _now()
        status: Json = {
            "nodeInfo": _NODE_INFO | dict(self._spec.node_info),
            "capacity": dict(self._spec.capacity),
            "allocatable": dict(self._spec.capacity),
            "conditions": self._conditions(verdict),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        }
        if not self._spec.external_cloud or self._spec.address:
            status["addresses"] = [
                {"type": "InternalIP", "address": self._spec.address},
                {"type": "Hostname", "address": self._spec.name},
            ]
        self._client.patch(f"{self._path}/status", {"status": status}, kind="strategic")
        self._last_ready = verdict.ready

    def _conditions(self, verdict: Readiness) -> list[Json]:
        healthy = {
            "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory"),
            "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        }
        conditions = [self._condition(k, "False", *v) for k, v in healthy.items()]
        status = "True" if verdict.ready else "False"
        return [*conditions, self._condition("Ready", status, verdict.reason, verdict.message)]

    def _condition(self, kind: str, status: str, reason: str, message: str) -> Json:
        return {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": _now(),
            "lastTransitionTime": self._changed_at,
        }

    def _renew_lease(self) -> None:
        name = self._spec.name
        folder = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": datetime.now(UTC)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
        }
        try:
            self._client.patch(f"{folder}/{name}", {"spec": spec})
        except ApiError as error:
            if error.status != 404:
                raise
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
            self._client.post(folder, lease | {"metadata": {"name": name}, "spec": spec})

    # -- pods --
    def _follow_pods(self) -> None:
        path = "/api/v1/pods"
        selector = f"spec.nodeName={self._spec.name}"
        while not self._stop.is_set():
            try:
                listed = self._client.get(path, fieldSelector=selector)
                for pod in listed.get("items") or []:
                    self._take(pod)
                version = str(listed["metadata"]["resourceVersion"])
                watch = self._client.watch(
                    path, resource_version=version, stop=self._stop, fieldSelector=selector
                )
                for event in watch:
                    if event["type"] == "DELETED":
                        self._started.pop(str(event["object"]["metadata"]["uid"]), None)
                    elif event["type"] in ("ADDED", "MODIFIED"):
                        self._take(event["object"])
            except (ApiError, ApiUnreachable) as error:
                self._log(f"W1101 reflector.go:561] failed to list *v1.Pod: {error}")
                self._stop.wait(_RETRY_S)

    def _take(self, pod: Json) -> None:
        metadata = pod["metadata"]
        uid = str(metadata["uid"])
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        try:
            if metadata.get("deletionTimestamp"):
                self._runtime.stop(pod)
                self._started.pop(uid, None)
                gone = {"preconditions": {"uid": uid}, "gracePeriodSeconds": 0}
                self._client.delete(path, gone)
            elif uid not in self._started and not _has_ended(pod):
                self._start(pod, uid, path)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def _start(self, pod: Json, uid: str, path: str) -> None:
        address = self._pod_address(pod, uid)
        if not address:
            return  # No podCIDR yet; the next event or list brings the pod again.
        self._started[uid] = address
        containers = tuple(self._runtime.start(pod))
        status = pod_status(containers, str(pod["spec"].get("restartPolicy") or "Always"))
        status |= {
            "hostIP": self._spec.address,
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": _now(),
        }
        self._client.patch(f"{path}/status", {"status": status}, kind="strategic")

    def _pod_address(self, pod: Json, uid: str) -> str:
        if pod["spec"].get("hostNetwork"):
            return self._spec.address
        if uid in self._started:
            return self._started[uid]
        if not self.pod_cidr:
            return ""
        used = set(self._started.values())
        hosts = ipaddress.ip_network(self.pod_cidr).hosts()
        next(hosts)  # .1 is the gateway, .2 kube-proxy's source VIP on Windows.
        next(hosts)
        return next(str(host) for host in hosts if str(host) not in used)


_NODE_INFO = {
    "machineID": "",
    "systemUUID": "",
    "bootID": "",
    "kernelVersion": "",
    "osImage": "",
    "containerRuntimeVersion": "containerd://2.1.5",
    "kubeletVersion": "",
    "kubeProxyVersion": "",
    "operatingSystem": "linux",
    "architecture": "amd64",
}


def pod_status(containers: Sequence[ContainerStatus], restart_policy: str) -> Json:
    """Return phase, conditions and container statuses that follow from the containers."""
    ready = all(c.exit_code is None and not c.waiting for c in containers)
    truth = "True" if ready else "False"
    kinds = ("Initialized", "ContainersReady", "Ready")
    return {
        "phase": _phase(containers, restart_policy),
        "conditions": [
            {"type": kind, "status": "True" if kind == "Initialized" else truth} for kind in kinds
        ],
        "containerStatuses": [_container(container) for container in containers],
    }


def _phase(containers: Sequence[ContainerStatus], restart_policy: str) -> str:
    if any(container.waiting for container in containers):
        return "Pending"
    if any(container.exit_code is None for container in containers):
        return "Running"
    failed = any(container.exit_code for container in containers)
    if restart_policy == "Always" or (failed and restart_policy == "OnFailure"):
        return "Running"
    return "Failed" if failed else "Succeeded"


def _container(container: ContainerStatus) -> Json:
    if container.waiting:
        state: Json = {"waiting": {"reason": container.waiting, "message": container.message}}
    elif container.exit_code is None:
        state = {"running": {"startedAt": _now()}}
    else:
        reason = "Error" if container.exit_code else "Completed"
        state = {"terminated": {"exitCode": container.exit_code, "reason": reason}}
    running = not container.waiting and container.exit_code is None
    return {
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "ready": running,
        "started": running,
        "restartCount": 0,
        "state": state,
    }


def _has_ended(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
