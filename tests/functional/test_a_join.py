"""The first path through everything, as a user walks it, on a sandbox of its own.

Flannel is as kops renders it when this module begins, so the tests run in their order.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509

from bootstrap.model.event import Phase
from tests.functional.conftest import Done, Sandbox, add_node, started_sandbox

POOL = "game-servers"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox as `sandbox up` leaves it."""
    with started_sandbox(f"join-{os.getpid()}") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def mended(sandbox: Sandbox) -> Sandbox:
    """The sandbox with flannel mended."""
    done = sandbox.run("preflight", "--fix", "--yes")
    assert done.code == 0, done.err
    return sandbox


@pytest.fixture(scope="module")
def join(mended: Sandbox) -> Done:
    """A join, with its progress as JSON lines."""
    done = mended.run(*add_node(POOL, "-o", "json", "--log-format", "json"))
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="module")
def joined(join: Done) -> dict[str, Any]:
    """The RunResult of a join."""
    return join.document


def flannel_of(sandbox: Sandbox) -> dict[str, Any]:
    """Read the configuration that flannel will take."""
    path = "/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg"
    found: dict[str, Any] = json.loads(sandbox.api().get(path)["data"]["net-conf.json"])
    return found


def test_flannel_as_kops_renders_it_is_refused(sandbox: Sandbox) -> None:
    done = sandbox.run("preflight", "-o", "json")
    assert done.code == 3
    errors = [f["name"] for f in done.document["findings"] if f["level"] == "error"]
    assert errors == ["FlannelVniPort"]


def test_add_node_refuses_for_the_same_reason_and_changes_nothing(sandbox: Sandbox) -> None:
    before = {item["metadata"]["name"] for item in sandbox.api().list("/api/v1/namespaces")}
    done = sandbox.run(*add_node(POOL, "-o", "json"))
    assert done.code == 3
    assert "FlannelVniPort" in {finding["name"] for finding in done.document["findings"]}
    assert sandbox.living(POOL) == []
    assert before == {item["metadata"]["name"] for item in sandbox.api().list("/api/v1/namespaces")}


def test_fix_shows_the_change_first(sandbox: Sandbox) -> None:
    done = sandbox.run("preflight", "--fix")
    assert done.code == 3
    assert '{"Type": "vxlan"} -> {"Port": 4789, "Type": "vxlan", "VNI": 4096}' in done.err
    assert "run again with --yes" in done.err
    assert flannel_of(sandbox)["Backend"] == {"Type": "vxlan"}


def test_fix_waits_until_every_linux_node_has_it(mended: Sandbox) -> None:
    for node in mended.api().list("/api/v1/nodes"):
        data = json.loads(node["metadata"]["annotations"]["flannel.alpha.coreos.com/backend-data"])
        assert data["VNI"] == 4096
    assert flannel_of(mended)["Backend"] == {"Type": "vxlan", "VNI": 4096, "Port": 4789}
    assert mended.run("preflight").code == 0


def test_a_preview_changes_nothing(mended: Sandbox) -> None:
    done = mended.run("add-node", "--pool", POOL, "--count", "1", "-o", "json")
    assert done.code == 0
    assert [step["step"] for step in done.document["steps"]] == ["LaunchInstance", "JoinNode"]
    assert mended.living(POOL) == []


def test_the_node_is_ready_and_proven(mended: Sandbox, joined: dict[str, Any]) -> None:
    (node,) = joined["nodes"]
    assert (node["ready"], node["result"], node["phase"]) == (True, "created", "schedulable")
    assert [phase["phase"] for phase in node["phases"]] == [str(phase) for phase in Phase]
    seen = mended.api().get(f"/api/v1/nodes/{node['nodeName']}")
    conditions = {item["type"]: item["status"] for item in seen["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    taints = {taint["key"] for taint in seen["spec"].get("taints") or []}
    assert taints == {"os"}
    assert seen["metadata"]["labels"]["node.kubernetes.io/windows-build"] == "10.0.17763"
    assert seen["metadata"]["labels"]["bootstrap.node/pool"] == POOL
    assert seen["spec"]["providerID"].endswith(node["instanceId"])


def test_progress_as_json_lines_tells_every_phase(join: Done) -> None:
    lines = [json.loads(line) for line in join.err.splitlines() if line.strip()]
    ended = [line["phase"] for line in lines if line["event"] == "PhaseFinished"]
    assert ended == [str(phase) for phase in Phase]
    assert {line.get("node", f"{POOL}-1") for line in lines} == {f"{POOL}-1"}


def test_it_joined_with_a_certificate_of_its_own(mended: Sandbox, joined: dict[str, Any]) -> None:
    name = joined["nodes"][0]["nodeName"]
    issued = [
        x509.load_pem_x509_certificate(base64.b64decode(item["status"]["certificate"]))
        for item in mended.api().list(REQUESTS)
        if item["status"].get("certificate")
    ]
    subjects = [item.subject.rfc4514_string() for item in issued]
    assert f"CN=system:node:{name},O=system:nodes" in subjects


def test_the_instance_is_as_the_linux_nodes_are(mended: Sandbox, joined: dict[str, Any]) -> None:
    (instance,) = mended.living(POOL)
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    cluster = mended.env["KOPS_CLUSTER_NAME"]
    assert tags["KubernetesCluster"] == cluster
    assert tags[f"kubernetes.io/cluster/{cluster}"] == "owned"
    assert tags["bootstrap/owned"] == "true"
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert "PublicIpAddress" not in instance


def test_the_same_command_again_says_unchanged(mended: Sandbox, joined: dict[str, Any]) -> None:
    done = mended.run(*add_node(POOL, "-o", "json"))
    assert (done.code, done.node(f"{POOL}-1")["result"]) == (0, "unchanged")
    assert [item["InstanceId"] for item in mended.living(POOL)] == [
        joined["nodes"][0]["instanceId"]
    ]


def test_validation_passes(mended: Sandbox, joined: dict[str, Any]) -> None:
    done = mended.run("validate", "--level", "quick", "-o", "json")
    assert done.code == 0, done.out
    assert {check["result"] for check in done.document["checks"]} == {"pass"}


def test_nodes_are_listed_and_described(mended: Sandbox, joined: dict[str, Any]) -> None:
    listed = mended.run("get", "nodes", "-o", "json")
    assert f"{POOL}-1" in {item["name"] for item in listed.document["items"]}
    shown = mended.run("describe", "node", f"{POOL}-1", "-o", "json")
    assert (shown.code, shown.document["findings"]) == (0, [])


def test_nothing_is_left_behind_but_the_node(mended: Sandbox, joined: dict[str, Any]) -> None:
    assert mended.leftovers() == []


def test_flannel_that_an_update_reverts_is_found_again(
    mended: Sandbox, joined: dict[str, Any]
) -> None:
    with mended.broken("vni-reverted"):
        done = mended.run("preflight", "-o", "json")
    assert done.code == 3
    assert "FlannelVniPort" in {finding["name"] for finding in done.document["findings"]}
