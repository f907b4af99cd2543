"""Remembers which pods ran where, since probes are gone by the time somebody asks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from bootstrap.sandbox.cluster_client import ApiClient, ApiError, ApiUnreachable

_KEPT = 200
_RETRY_S = 0.5


class PodHistory:
    """Watches all pods of a cluster and keeps the newest of those that reached a node."""

    def __init__(self, client: ApiClient, stop: threading.Event) -> None:
        self._client = client
        self._stop = stop
        self._lock = threading.Lock()
        self._pods: OrderedDict[str, dict[str, str]] = OrderedDict()
        threading.Thread(target=self._follow, name="pod-history", daemon=True).start()

    def rows(self, systems: dict[str, str]) -> list[dict[str, str]]:
        """List pods that ran, in the order they appeared; ``systems`` maps node name to OS."""
        with self._lock:
            return [row | {"os": systems.get(row["node"], "")} for row in self._pods.values()]

    def _follow(self) -> None:
        path = "/api/v1/pods"
        while not self._stop.is_set():
            try:
                listed = self._client.get(path)
                for pod in listed.get("items") or []:
                    self._see(pod)
                version = str(listed["metadata"]["resourceVersion"])
                for event in self._client.watch(path, resource_version=version, stop=self._stop):
                    if event["type"] != "DELETED":
                        self._see(event["object"])
            except (ApiError, ApiUnreachable):
                self._stop.wait(_RETRY_S)

    def _see(self, pod: dict[str, Any]) -> None:
        metadata = pod.get("metadata") or {}
        node = str((pod.get("spec") or {}).get("nodeName") or "")
        phase = str((pod.get("status") or {}).get("phase") or "")
        if not node or phase not in ("Running", "Succeeded", "Failed"):
            return
        if metadata.get("deletionTimestamp"):
            return
        key = f"{metadata.get('namespace')}/{metadata.get('name')}"
        row = {
            "namespace": str(metadata.get("namespace")),
            "pod": str(metadata.get("name")),
            "node": node,
            "phase": phase,
        }
        with self._lock:
            self._pods[key] = row
            while len(self._pods) > _KEPT:
                self._pods.popitem(last=False)
