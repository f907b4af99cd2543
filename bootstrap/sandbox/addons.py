"""kops' add-ons put into the cluster: flannel, DNS, RBAC; converted where an old form is gone.

What has no bearing on Windows nodes and needs AWS to run (CSI driver, termination handler, the
controllers whose work the sandbox does itself) is left out.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from typing import Any

from bootstrap.sandbox.cluster_client import ApiClient, ApiError
from bootstrap.sandbox.store import Addon, StoreDirectory

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_WANTED = ("flannel", "dns.addons", "coredns", "rbac.addons", "limit-range")
_UNWANTED = ("dns-controller",)

# kind -> (group version today, plural, namespaced)
_KINDS: dict[str, tuple[str, str, bool]] = {
    "Namespace": ("v1", "namespaces", False),
    "ServiceAccount": ("v1", "serviceaccounts", True),
    "ConfigMap": ("v1", "configmaps", True),
    "Service": ("v1", "services", True),
    "LimitRange": ("v1", "limitranges", True),
    "Deployment": ("apps/v1", "deployments", True),
    "DaemonSet": ("apps/v1", "daemonsets", True),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "Role": ("rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings", True),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets", True),
}


def apply(client: ApiClient, store: StoreDirectory) -> tuple[str, ...]:
    """Apply the add-ons that matter; returns ``Kind/name: reason`` for what was left out."""
    left_out: list[str] = []
    for document in documents(store):
        name = f"{document['kind']}/{document['metadata'].get('name')}"
        path = object_path(document)
        if not path:
            left_out.append(f"{name}: kind of no bearing here")
            continue
        try:
            client.patch(path, modern(document), kind="apply")
        except ApiError as error:
            _log.warning("add-on %s: %s", name, error)
            left_out.append(f"{name}: {error}")
    return tuple(left_out)


def documents(store: StoreDirectory) -> Iterator[Json]:
    """Yield the documents of the wanted add-ons, namespaces first."""
    wanted = [
        document
        for addon in store.addons
        if _is_wanted(addon)
        for document in addon.documents
        if document.get("kind") and document.get("metadata")
    ]
    yield from sorted(wanted, key=lambda item: item["kind"] != "Namespace")


def _is_wanted(addon: Addon) -> bool:
    name = addon.name
    return any(part in name for part in _WANTED) and not any(part in name for part in _UNWANTED)


def modern(document: Json) -> Json:
    """Return a document in the version that today's API server knows."""
    changed = copy.deepcopy(document)
    changed["apiVersion"] = _KINDS[document["kind"]][0]
    changed["metadata"].pop("creationTimestamp", None)
    changed.pop("status", None)
    if document["kind"] in ("Deployment", "DaemonSet"):
        _give_selector(changed)
    return changed


def _give_selector(document: Json) -> None:
    """Old workloads had no selector; today it is required and must match the template's labels."""
    spec = document["spec"]
    spec.pop("templateGeneration", None)
    labels = spec["template"].setdefault("metadata", {}).get("labels") or {}
    spec.setdefault("selector", {"matchLabels": labels})
    # Fields of seccomp and criticality as annotations are ignored today, harmlessly.
    pod = spec["template"]["spec"]
    for affinity in _node_affinities(pod):
        for expression in affinity.get("matchExpressions") or ():
            expression["key"] = expression["key"].replace("beta.kubernetes.io/", "kubernetes.io/")
    selector = pod.get("nodeSelector") or {}
    if selector:
        pod["nodeSelector"] = {
            key.replace("beta.kubernetes.io/", "kubernetes.io/"): value
            for key, value in selector.items()
        }


def _node_affinities(pod: Json) -> Iterator[Json]:
    node = (pod.get("affinity") or {}).get("nodeAffinity") or {}
    required = node.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    yield from required.get("nodeSelectorTerms") or ()


def object_path(document: Json) -> str:
    """Return an object's URL path, '' for kinds that the sandbox leaves out."""
    known = _KINDS.get(document["kind"])
    if known is None:
        return ""
    version, plural, namespaced = known
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    metadata = document["metadata"]
    namespace = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
    return f"{root}{namespace}/{plural}/{metadata['name']}"
