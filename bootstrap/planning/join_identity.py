"""The objects in the cluster through which nodes join: namespace, ServiceAccounts, RBAC.

Each Windows component speaks as itself: the kubelet with the certificate it asked for, flanneld and
kube-proxy as ServiceAccounts of their own. ``node-bootstrapper`` may only create certificate
requests. Rights of flanneld: https://github.com/flannel-io/flannel Documentation/kube-flannel.yml;
kube-proxy's are the built-in ClusterRole ``system:node-proxier``.
"""

from __future__ import annotations

from bootstrap.model.node import MANAGED_BY, NAMESPACE
from bootstrap.planning.csr import BOOTSTRAP_ACCOUNT

FLANNEL_ACCOUNT = "flannel"
KUBE_PROXY_ACCOUNT = "kube-proxy"
ACCOUNTS = (BOOTSTRAP_ACCOUNT, FLANNEL_ACCOUNT, KUBE_PROXY_ACCOUNT)
_RBAC = "rbac.authorization.k8s.io"


def manifests() -> tuple[dict[str, object], ...]:
    """Return every object, in the order in which they have to be applied."""
    return (
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": _metadata(NAMESPACE, namespaced=False),
        },
        *map(_account, ACCOUNTS),
        _role(
            "windows-bootstrap:node-bootstrapper",
            [
                {
                    "apiGroups": ["certificates.k8s.io"],
                    "resources": ["certificatesigningrequests"],
                    "verbs": ["create", "get", "list", "watch"],
                }
            ],
        ),
        _role(
            "windows-bootstrap:flannel",
            [
                {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
                {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
            ],
        ),
        _binding("windows-bootstrap:node-bootstrapper", BOOTSTRAP_ACCOUNT),
        _binding("windows-bootstrap:flannel", FLANNEL_ACCOUNT),
        _binding("windows-bootstrap:kube-proxy", KUBE_PROXY_ACCOUNT, role="system:node-proxier"),
        _group_binding(
            "windows-bootstrap:node-certificate-renewal",
            role="system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        ),
    )


def _account(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(name)}


def _metadata(name: str, *, namespaced: bool = True) -> dict[str, object]:
    metadata: dict[str, object] = {"name": name, "labels": dict(MANAGED_BY)}
    return metadata | ({"namespace": NAMESPACE} if namespaced else {})


def _role(name: str, rules: list[dict[str, object]]) -> dict[str, object]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": _metadata(name, namespaced=False),
        "rules": rules,
    }


def _binding(name: str, account: str, *, role: str = "") -> dict[str, object]:
    subject = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
    return _cluster_role_binding(name, role or name, subject)


def _group_binding(name: str, *, role: str) -> dict[str, object]:
    return _cluster_role_binding(
        name, role, {"kind": "Group", "name": "system:nodes", "apiGroup": _RBAC}
    )


def _cluster_role_binding(name: str, role: str, subject: dict[str, str]) -> dict[str, object]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": _metadata(name, namespaced=False),
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }
