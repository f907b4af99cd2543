"""A stand-in for AWS' cloud controller manager: its node and node-lifecycle controllers.

Rules from kubernetes/cloud-provider-aws ``pkg/providers/v1/aws.go`` and kubernetes/cloud-provider
``controllers/{node,nodelifecycle}``: a Node is matched by providerID, else by a name that is an
instance id, else by private DNS name; one that matches no living instance is deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from bootstrap.sandbox.cluster_client import ApiClient, ApiError, ApiUnreachable

Json = dict[str, Any]
_UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
_SHUTDOWN = "node.cloudprovider.kubernetes.io/shutdown"
_POLL_S = 0.5
_GONE = ("terminated", "shutting-down")


class CloudInstance(Protocol):
    """An EC2 instance as the cloud provider sees it."""

    @property
    def instance_id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def private_ip(self) -> str: ...
    @property
    def private_dns(self) -> str: ...
    @property
    def zone(self) -> str: ...
    @property
    def instance_type(self) -> str: ...


class CloudController:
    """Keeps Nodes in step with instances, in a thread of its own."""

    def __init__(self, client: ApiClient, instances: Callable[[], Iterable[CloudInstance]]) -> None:
        self._client = client
        self._instances = instances
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._thread = threading.Thread(target=self._run, name="cloud-controller", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.wait(_POLL_S):
            try:
                self.sync()
            except (ApiError, ApiUnreachable):
                continue  # The next look is soon.

    def sync(self) -> None:
        """Look once at every Node."""
        instances = list(self._instances())
        for node in self._client.list("/api/v1/nodes"):
            try:
                self._sync_node(node, find(node, instances))
            except ApiError as error:
                if error.status not in (404, 409):
                    raise

    def _sync_node(self, node: Json, instance: CloudInstance | None) -> None:
        if instance is None or instance.state in _GONE:
            self._delete(node)
            return
        taints = (node.get("spec") or {}).get("taints") or []
        kept = [taint for taint in taints if taint["key"] not in (_UNINITIALIZED, _SHUTDOWN)]
        if instance.state == "stopped":
            kept.append({"key": _SHUTDOWN, "effect": "NoSchedule"})
        is_new = any(taint["key"] == _UNINITIALIZED for taint in taints)
        if is_new:
            self._initialise(node, instance, kept)
        elif _keys(kept) != _keys(taints):
            self._patch(node, {"spec": {"taints": kept}})

    def _initialise(self, node: Json, instance: CloudInstance, taints: list[Json]) -> None:
        name = node["metadata"]["name"]
        region = instance.zone.rstrip("abcdefghij")
        labels = {
            "topology.kubernetes.io/zone": instance.zone,
            "topology.kubernetes.io/region": region,
            "failure-domain.beta.kubernetes.io/zone": instance.zone,
            "failure-domain.beta.kubernetes.io/region": region,
            "node.kubernetes.io/instance-type": instance.instance_type,
            "beta.kubernetes.io/instance-type": instance.instance_type,
        }
        addresses = [
            {"type": "InternalIP", "address": instance.private_ip},
            {"type": "InternalDNS", "address": instance.private_dns},
            {"type": "Hostname", "address": instance.private_dns},
        ]
        current = (node.get("status") or {}).get("addresses") or []
        if current:
            self._client.patch(f"/api/v1/nodes/{name}/status", {"status": {"addresses": addresses}})
        spec: Json = {"taints": taints}
        if not node["spec"].get("providerID"):
            spec["providerID"] = f"aws:///{instance.zone}/{instance.instance_id}"
        fresh = self._client.get(f"/api/v1/nodes/{name}")
        self._patch(fresh, {"metadata": {"labels": labels}, "spec": spec})

    def _patch(self, node: Json, body: Json) -> None:
        metadata = node["metadata"]
        body.setdefault("metadata", {})["resourceVersion"] = metadata["resourceVersion"]
        self._client.patch(f"/api/v1/nodes/{metadata['name']}", body)

    def _delete(self, node: Json) -> None:
        metadata = node["metadata"]
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": "default"},
            "involvedObject": {"kind": "Node", "name": metadata["name"], "uid": metadata["uid"]},
            "reason": "DeletingNode",
            "message": f"Deleting node {metadata['name']} because it does not exist in the cloud"
            " provider",
            "type": "Normal",
            "source": {"component": "cloud-node-lifecycle-controller"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._client.post("/api/v1/namespaces/default/events", event)
        self._client.delete(f"/api/v1/nodes/{metadata['name']}")


def find(node: Json, instances: Iterable[CloudInstance]) -> CloudInstance | None:
    """Find a Node's instance as the cloud provider does."""
    name = str(node["metadata"]["name"])
    provider_id = str((node.get("spec") or {}).get("providerID") or "")
    known = list(instances)
    if provider_id:
        wanted = provider_id.rsplit("/", 1)[-1]
        return next((item for item in known if item.instance_id == wanted), None)
    if name.startswith("i-"):
        wanted = name.split(".")[0]
        return next((item for item in known if item.instance_id == wanted), None)
    return next((item for item in known if item.private_dns == name), None)


def _keys(taints: list[Json]) -> set[str]:
    return {taint["key"] for taint in taints}
