"""What joining nodes may do in the cluster, and nothing more."""

from __future__ import annotations

from typing import Any, cast

from bootstrap.model.node import MANAGED_BY, NAMESPACE
from bootstrap.planning.csr import BOOTSTRAP_REQUESTER
from bootstrap.planning.join_identity import ACCOUNTS, manifests

OBJECTS = cast("tuple[dict[str, Any], ...]", manifests())


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in OBJECTS if item["kind"] == kind}


def test_the_namespace_comes_before_what_is_in_it() -> None:
    assert OBJECTS[0]["kind"] == "Namespace"
    assert OBJECTS[0]["metadata"]["name"] == NAMESPACE


def test_every_object_is_marked_as_ours() -> None:
    assert all(item["metadata"]["labels"] == MANAGED_BY for item in OBJECTS)


def test_each_component_has_an_account_of_its_own() -> None:
    assert set(of_kind("ServiceAccount")) == set(ACCOUNTS)
    assert f"system:serviceaccount:{NAMESPACE}:{ACCOUNTS[0]}" == BOOTSTRAP_REQUESTER


def test_the_bootstrapper_may_ask_for_certificates_and_never_approve() -> None:
    (rule,) = of_kind("ClusterRole")["windows-bootstrap:node-bootstrapper"]["rules"]
    assert rule["resources"] == ["certificatesigningrequests"]
    assert set(rule["verbs"]) == {"create", "get", "list", "watch"}


def test_flannel_may_change_the_status_of_nodes_only() -> None:
    rules = of_kind("ClusterRole")["windows-bootstrap:flannel"]["rules"]
    writing = [rule for rule in rules if {"patch", "update", "create"} & set(rule["verbs"])]
    assert [rule["resources"] for rule in writing] == [["nodes/status"]]


def test_every_binding_leads_to_a_role_that_exists() -> None:
    roles = {item["roleRef"]["name"] for item in of_kind("ClusterRoleBinding").values()}
    assert {name for name in roles if not name.startswith("system:")} == set(of_kind("ClusterRole"))


def test_no_rule_says_everything() -> None:
    rules = [rule for role in of_kind("ClusterRole").values() for rule in role["rules"]]
    assert not any("*" in value for rule in rules for value in rule.values())
    groups = [
        subject["name"]
        for item in of_kind("ClusterRoleBinding").values()
        for subject in item["subjects"]
        if subject["kind"] == "Group"
    ]
    assert groups == ["system:nodes"]
