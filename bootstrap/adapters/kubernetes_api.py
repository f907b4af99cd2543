"""The Kubernetes API through the official client's transport (kubeconfig, exec plug-ins, TLS).

Requests and answers are JSON; ``planning.kube_objects`` reads them. The client's generated models
are left out: they refuse what a newer server says, and cost more memory than everything else we do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import urllib3.exceptions
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from bootstrap.errors import AccessError, BootstrapError, ConflictError, NotFoundError, RemoteError
from bootstrap.model.certificates import CertificateRequest
from bootstrap.model.kubernetes import (
    ClusterIdentity,
    DaemonSetFacts,
    FlannelConfig,
    LeaseFacts,
    NodeEvent,
    PodFacts,
)
from bootstrap.model.node import MANAGED_BY, NAMESPACE, KubeNode, KubeNodeName, Taint
from bootstrap.model.secret import Secret
from bootstrap.planning import join_identity, kube_objects

PAGE = 500
# Connecting is refused at once where nothing listens; a black hole is noticed after this.
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 30
FIELD_MANAGER = "bootstrap"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
FLANNEL_NAMESPACES = ("kube-flannel", "kube-system")
FLANNEL_CONFIG_MAP = "kube-flannel-cfg"
FLANNEL_DAEMON_SET = "kube-flannel-ds"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
UPDATE_TRIES = 5
# What the client lets through of a file that is no kubeconfig.
UNUSABLE = (config.ConfigException, yaml.YAMLError, OSError, ValueError, KeyError, TypeError)

Json = dict[str, Any]


def client_from_kubeconfig(path: str, context: str) -> client.ApiClient:
    """Load a kubeconfig ('' for the default places); AccessError when it cannot be used."""
    settings = client.Configuration()
    try:
        config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=path or None,
            context=context or None,
            client_configuration=settings,
            persist_config=False,
        )
    except UNUSABLE as exc:
        raise AccessError(
            f"the kubeconfig cannot be used: {exc}",
            target=path or "default kubeconfig",
            fix="give one whose context is this cluster's, with an administrator's rights",
            command="kops export kubeconfig --admin && bootstrap ... --kubeconfig FILE",
        ) from exc
    settings.retries = urllib3.Retry(total=3, backoff_factor=0.2, redirect=0, status=0, read=0)
    return client.ApiClient(settings)


class KubernetesApi:
    """Implement ``ports.ClusterApi``."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
        self._server = str(api.configuration.host)

    # -- transport --
    def _call(self, method: str, path: str, body: object = None, content: str = "") -> Json:
        headers = {"Accept": "application/json", "User-Agent": "bootstrap"}
        if body is not None:
            headers["Content-Type"] = content or "application/json"
        try:
            self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            response = self._api.call_api(
                method,
                self._server + path,
                headers,
                json.dumps(body) if content == APPLY else body,
                _request_timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            )
            status, data = response.status, response.read()  # type: ignore[no-untyped-call]
        except ApiException as exc:
            raise self._refused(method, path, int(exc.status or 0), exc.body or b"") from exc
        except urllib3.exceptions.HTTPError as exc:
            raise self._unreachable(exc) from exc
        if status >= 400:
            raise self._refused(method, path, status, data)
        parsed = json.loads(data or b"{}")
        return parsed if isinstance(parsed, dict) else {}

    def _unreachable(self, exc: Exception) -> BootstrapError:
        text = str(exc)
        if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
            return AccessError(
                "the API server's certificate does not fit the kubeconfig's CA",
                target=self._server,
                evidence=text[:300],
                fix="use the kubeconfig of this cluster; after a CA rotation export it again",
                command="kops export kubeconfig --admin",
            )
        return RemoteError(
            "the Kubernetes API server cannot be reached",
            target=self._server,
            evidence=text[:300],
            fix="check that the control plane runs and that this machine has a way to it",
            command="kubectl get --raw /readyz",
        )

    def _refused(self, method: str, path: str, status: int, data: bytes | str) -> BootstrapError:
        try:
            answer = json.loads(data)
            message = str(answer.get("message", ""))[:300]
        except (ValueError, AttributeError):
            message = ""
        where = {"target": f"{method} {path.split('?')[0]}", "evidence": message}
        text = f"the API server answered {status}"
        if status in (401, 403):
            return AccessError(
                f"{text}: these credentials may not do that",
                fix="use an administrator's kubeconfig of this cluster",
                command="kubectl auth can-i '*' '*' --all-namespaces",
                **where,
            )
        kinds = {404: NotFoundError, 409: ConflictError}
        return kinds.get(status, RemoteError)(text, **where)

    def _list(self, path: str, **query: str) -> Iterator[Json]:
        follow = ""
        while True:
            page = {"limit": str(PAGE), **query, **({"continue": follow} if follow else {})}
            answer = self._call("GET", f"{path}?{urlencode(page)}")
            yield from answer.get("items") or ()
            follow = str((answer.get("metadata") or {}).get("continue") or "")
            if not follow:
                return

    def _get(self, path: str) -> Json | None:
        try:
            return self._call("GET", path)
        except NotFoundError:
            return None

    # -- the cluster --
    def identity(self) -> ClusterIdentity:
        """Ask who answers."""
        version = self._call("GET", "/version")
        namespace = self._call("GET", "/api/v1/namespaces/kube-system")
        root = self._get("/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt")
        return ClusterIdentity(
            uid=namespace["metadata"]["uid"],
            version=version["gitVersion"],
            ca_pem=str(((root or {}).get("data") or {}).get("ca.crt", "")),
            server=self._server,
        )

    # -- nodes --
    def nodes(self) -> tuple[KubeNode, ...]:
        """List every Node, paged."""
        return tuple(kube_objects.node_from(item) for item in self._list("/api/v1/nodes"))

    def node(self, name: KubeNodeName) -> KubeNode | None:
        """Read one Node, None when there is none."""
        item = self._get(f"/api/v1/nodes/{quote(name)}")
        return kube_objects.node_from(item) if item else None

    def update_node(
        self,
        name: KubeNodeName,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        add_taints: Sequence[Taint] = (),
        remove_taint_keys: Sequence[str] = (),
    ) -> None:
        """Change metadata and taints of a Node.

        Taints are a list that others change too, so the patch carries the resourceVersion that they
        were read at, and a conflict means: read again.
        """
        for attempt in range(UPDATE_TRIES):
            current = self._call("GET", f"/api/v1/nodes/{quote(name)}")
            patch: Json = {"metadata": {"resourceVersion": current["metadata"]["resourceVersion"]}}
            patch["metadata"] |= {"labels": labels} if labels else {}
            patch["metadata"] |= {"annotations": annotations} if annotations else {}
            if add_taints or remove_taint_keys:
                patch["spec"] = {"taints": _taints(current, add_taints, remove_taint_keys)}
            try:
                self._call("PATCH", f"/api/v1/nodes/{quote(name)}", patch, MERGE)
                return
            except ConflictError:
                if attempt == UPDATE_TRIES - 1:
                    raise

    def set_unschedulable(self, name: KubeNodeName, unschedulable: bool) -> None:
        """Cordon or uncordon a Node; a controller sets and takes the taint that goes with it."""
        patch = {"spec": {"unschedulable": unschedulable}}
        self._call("PATCH", f"/api/v1/nodes/{quote(name)}", patch, MERGE)

    # -- flannel and other DaemonSets --
    def flannel(self) -> FlannelConfig | None:
        """Find kops' flannel ConfigMap and DaemonSet in kube-flannel or kube-system."""
        for namespace in FLANNEL_NAMESPACES:
            path = f"/api/v1/namespaces/{namespace}/configmaps/{FLANNEL_CONFIG_MAP}"
            found = self._get(path)
            if found:
                try:
                    return kube_objects.flannel_from(namespace, found, FLANNEL_DAEMON_SET)
                except ValueError as exc:
                    raise RemoteError(
                        f"ConfigMap {namespace}/{FLANNEL_CONFIG_MAP} cannot be read: {exc}",
                        target=f"{namespace}/{FLANNEL_CONFIG_MAP}",
                        command=f"kubectl -n {namespace} get cm {FLANNEL_CONFIG_MAP} -o yaml",
                    ) from exc
        return None

    def set_flannel_net_conf(self, flannel: FlannelConfig, net_conf: Mapping[str, object]) -> None:
        """Replace ``net-conf.json``; ConflictError when it is no longer what ``flannel`` says."""
        path = f"/api/v1/namespaces/{flannel.namespace}/configmaps/{flannel.config_map}"
        current = self._call("GET", path)
        seen = kube_objects.flannel_from(flannel.namespace, current, flannel.daemon_set)
        if seen.net_conf != flannel.net_conf:
            raise ConflictError(
                "flannel's net-conf.json changed meanwhile",
                target=f"{flannel.namespace}/{flannel.config_map}",
                command="bootstrap preflight --fix",
            )
        patch = {
            "metadata": {"resourceVersion": current["metadata"]["resourceVersion"]},
            "data": {"net-conf.json": json.dumps(net_conf, indent=2) + "\n"},
        }
        self._call("PATCH", path, patch, MERGE)

    def restart_daemon_set(self, namespace: str, name: str, *, at: str) -> None:
        """Roll a DaemonSet as ``kubectl rollout restart`` does."""
        template = {"metadata": {"annotations": {RESTARTED_AT: at}}}
        self._patch_daemon_set(namespace, name, {"spec": {"template": template}})

    def set_daemon_set_node_selector(
        self, namespace: str, name: str, selector: Mapping[str, str]
    ) -> None:
        """Merge labels into the node selector of a DaemonSet's pods."""
        template = {"spec": {"nodeSelector": dict(selector)}}
        self._patch_daemon_set(namespace, name, {"spec": {"template": template}})

    def _patch_daemon_set(self, namespace: str, name: str, patch: Json) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{quote(name)}"
        self._call("PATCH", path, patch, MERGE)

    def daemon_sets(self) -> tuple[DaemonSetFacts, ...]:
        """List every DaemonSet, paged."""
        return tuple(map(kube_objects.daemon_set_from, self._list("/apis/apps/v1/daemonsets")))

    def node_events(self, name: KubeNodeName) -> tuple[NodeEvent, ...]:
        """List the Events about a Node, the oldest first."""
        selector = f"involvedObject.kind=Node,involvedObject.name={name}"
        found = map(
            kube_objects.node_event_from, self._list("/api/v1/events", fieldSelector=selector)
        )
        return tuple(sorted(found, key=lambda event: event.at))

    # -- certificates and credentials --
    def certificate_requests(self) -> tuple[CertificateRequest, ...]:
        """List every CertificateSigningRequest, paged and parsed."""
        return tuple(map(kube_objects.request_from, self._list(CSRS)))

    def approve(self, request: CertificateRequest, *, reason: str, message: str) -> None:
        """Approve a request; ConflictError when the object is no longer the one that was read."""
        path = f"{CSRS}/{quote(request.name)}"
        current = self._call("GET", path)
        if (
            current["metadata"]["uid"] != request.uid
            or kube_objects.request_from(current) != request
        ):
            raise ConflictError("the certificate request changed meanwhile", target=request.name)
        condition = {"type": "Approved", "status": "True", "reason": reason, "message": message}
        status = current.setdefault("status", {})
        status["conditions"] = [*(status.get("conditions") or ()), condition]
        self._call("PUT", f"{path}/approval", current)

    def ensure_join_identity(self) -> None:
        """Create namespace, ServiceAccounts and RBAC that a joining node needs; idempotent."""
        for manifest in join_identity.manifests():
            self._apply(manifest)

    def _apply(self, manifest: Json) -> None:
        query = urlencode({"fieldManager": FIELD_MANAGER, "force": "true"})
        self._call("PATCH", f"{_object_path(manifest)}?{query}", manifest, APPLY)

    def token(self, service_account: str, *, seconds: int) -> Secret:
        """Make a token of a ServiceAccount in our namespace."""
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{service_account}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        return Secret(self._call("POST", path, body)["status"]["token"])

    # -- leases --
    def lease(self, name: str) -> LeaseFacts | None:
        """Read a Lease in our namespace."""
        item = self._get(f"{LEASES}/{quote(name)}")
        return kube_objects.lease_from(item) if item else None

    def write_lease(self, lease: LeaseFacts) -> LeaseFacts:
        """Create (empty ``resource_version``) or replace a Lease; ConflictError when it changed."""
        metadata: Json = {"name": lease.name, "labels": dict(MANAGED_BY)}
        metadata["annotations"] = dict(lease.annotations)
        body: Json = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": lease.holder,
                "acquireTime": lease.acquired_at,
                "renewTime": lease.renewed_at,
                "leaseDurationSeconds": lease.duration_s,
            },
        }
        if not lease.resource_version:
            return kube_objects.lease_from(self._call("POST", LEASES, body))
        metadata["resourceVersion"] = lease.resource_version
        # Not PUT: of a Lease that is gone, the API server would make a new one without a word.
        try:
            path = f"{LEASES}/{quote(lease.name)}"
            return kube_objects.lease_from(self._call("PATCH", path, body, MERGE))
        except NotFoundError as exc:
            raise ConflictError("the Lease is gone", target=lease.name) from exc

    def delete_lease(self, name: str, *, resource_version: str) -> None:
        """Delete a Lease that is still the one that was read."""
        self._delete(f"{LEASES}/{quote(name)}", {"resourceVersion": resource_version})

    # -- namespaces and pods --
    def ensure_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a namespace if it is missing."""
        metadata = {"name": name, "labels": dict(labels)}
        self._apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        # Pods are refused until a controller has made it; making it ourselves saves the wait.
        account = {"name": "default", "namespace": name}
        self._apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace and what is in it; one that is gone already is fine."""
        self._delete(f"/api/v1/namespaces/{quote(name)}")

    def namespaces(self, label_selector: str) -> tuple[str, ...]:
        """List namespaces by label."""
        found = self._list("/api/v1/namespaces", labelSelector=label_selector)
        return tuple(item["metadata"]["name"] for item in found)

    def create_pod(self, namespace: str, manifest: Mapping[str, object]) -> None:
        """Create a Pod from a manifest; one of that name is fine."""
        try:
            self._call("POST", f"/api/v1/namespaces/{quote(namespace)}/pods", dict(manifest))
        except ConflictError:
            return

    def pods(self, namespace: str = "", *, field_selector: str = "") -> tuple[PodFacts, ...]:
        """List pods of one namespace or of all."""
        path = f"/api/v1/namespaces/{quote(namespace)}/pods" if namespace else "/api/v1/pods"
        query = {"fieldSelector": field_selector} if field_selector else {}
        return tuple(kube_objects.pod_from(item) for item in self._list(path, **query))

    def delete_pod(self, namespace: str, name: str) -> None:
        """Delete a Pod at once; one that is gone already is fine."""
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(name)}"
        self._delete(f"{path}?gracePeriodSeconds=0")

    def _delete(self, path: str, preconditions: Mapping[str, str] | None = None) -> None:
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1"}
        options |= {"preconditions": dict(preconditions)} if preconditions else {}
        try:
            self._call("DELETE", path, options)
        except NotFoundError:
            return


def _taints(node: Json, add: Sequence[Taint], remove: Sequence[str]) -> list[Json]:
    gone = {*remove, *(taint.key for taint in add)}
    kept = [taint for taint in node["spec"].get("taints") or () if taint["key"] not in gone]
    return [*kept, *(kube_objects.taint_json(taint) for taint in add)]


_PLURALS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
}


def _object_path(manifest: Json) -> str:
    version, metadata = manifest["apiVersion"], manifest["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
    plural = _PLURALS[manifest["kind"]]
    return f"{root}{namespace}/{plural}/{quote(metadata['name'], safe=':')}"
