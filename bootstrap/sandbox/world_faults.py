"""Carries faults of the whole world out, on AWS and on the control plane; hosts ask for theirs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bootstrap.sandbox.aws import AwsWorld
from bootstrap.sandbox.aws_gateway import world_fault
from bootstrap.sandbox.cluster_client import ApiClient, ApiError
from bootstrap.sandbox.control_plane import ControlPlane
from bootstrap.sandbox.faults import Fault, FaultScope
from bootstrap.sandbox.store import StoreDirectory

_POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
_BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
_BLOCKER = "sandbox-approver-blocked"
_RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_POLICY_SPEC = {
    "failurePolicy": "Fail",
    "matchConstraints": {
        "resourceRules": [
            {
                "apiGroups": ["certificates.k8s.io"],
                "apiVersions": ["v1"],
                "operations": ["UPDATE"],
                "resources": ["certificatesigningrequests/approval"],
            }
        ]
    },
    "validations": [{"expression": "false", "message": "approvals are closed in this cluster"}],
}


class WorldFaults:
    """Applies and withdraws faults of scope WORLD."""

    def __init__(
        self, *, aws: AwsWorld, control_plane: ControlPlane, store: StoreDirectory
    ) -> None:
        self._aws = aws
        self._control_plane = control_plane
        self._store = store
        # Programs of the control plane die with the thread that started them.
        self._worker = ThreadPoolExecutor(1, "world-faults")

    def changed(self, fault: Fault, node: str, is_set: bool) -> None:
        """Carry out what was set or cleared; a listener of the fault board."""
        if fault.scope is FaultScope.WORLD:
            self._worker.submit(self._carry_out, fault, is_set).result()

    def close(self) -> None:
        """End the thread that carries faults out."""
        self._worker.shutdown()

    def _carry_out(self, fault: Fault, is_set: bool) -> None:
        rule = world_fault(fault.name)
        if rule is not None:
            self._aws.inject(rule) if is_set else self._aws.withdraw(rule.name)
            return
        match fault.name:
            case "api-server-down":
                self._set_program("kube-apiserver", down=is_set)
            case "csr-never-signed":
                self._set_program("kube-controller-manager", down=is_set)
            case "approver-blocked":
                self._block_approvals(self._control_plane.admin_client(), blocked=is_set)
            case "vni-reverted" if is_set:
                revert_flannel(self._control_plane.admin_client(), self._store)
            case _:
                return

    def _set_program(self, name: str, *, down: bool) -> None:
        if down:
            self._control_plane.stop_program(name)
        else:
            self._control_plane.start_program(name)

    def _block_approvals(self, client: ApiClient, *, blocked: bool) -> None:
        if not blocked:
            for path in (_BINDINGS, _POLICIES):
                _delete(client, f"{path}/{_BLOCKER}")
            return
        meta = {"name": _BLOCKER}
        group = "admissionregistration.k8s.io/v1"
        policy = {"apiVersion": group, "kind": "ValidatingAdmissionPolicy", "metadata": meta}
        _create(client, _POLICIES, policy | {"spec": _POLICY_SPEC})
        binding = {"apiVersion": group, "kind": "ValidatingAdmissionPolicyBinding"}
        spec = {"policyName": _BLOCKER, "validationActions": ["Deny"]}
        _create(client, _BINDINGS, binding | {"metadata": meta, "spec": spec})


def _create(client: ApiClient, path: str, body: Mapping[str, Any]) -> None:
    try:
        client.post(path, dict(body))
    except ApiError as error:
        if error.status != 409:
            raise


def _delete(client: ApiClient, path: str) -> None:
    try:
        client.delete(path)
    except ApiError as error:
        if error.status != 404:
            raise


def revert_flannel(client: ApiClient, store: StoreDirectory) -> None:
    """Put kops' own flannel ConfigMap back and roll its DaemonSet, as a cluster update does."""
    documents = [document for addon in store.addons for document in addon.documents]
    for document in documents:
        if document.get("kind") == "ConfigMap" and "net-conf.json" in (document.get("data") or {}):
            meta = document["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/configmaps/{meta['name']}"
            client.patch(path, {"data": copy.deepcopy(document["data"])})
    for document in documents:
        if document.get("kind") == "DaemonSet" and "flannel" in document["metadata"]["name"]:
            meta = document["metadata"]
            path = f"/apis/apps/v1/namespaces/{meta['namespace']}/daemonsets/{meta['name']}"
            # kops' own template has no such annotation, so that the pods roll where one was set.
            stamp = {"metadata": {"annotations": {_RESTARTED_AT: None}}}
            client.patch(path, {"spec": {"template": stamp}})
