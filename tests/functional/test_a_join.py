"""The first path through everything, as a user walks it; the name keeps it first in the folder.

Flannel is as kops renders it when this module begins, so the tests run in their order.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from cryptography import x509

from bootstrap import schemas
from bootstrap.sandbox.cluster_client import ApiClient
from tests.functional.conftest import Sandbox, add_node

POOL = "game-servers"


def client(sandbox: Sandbox) -> ApiClient:
    """A plain client of the cluster, made from the kubeconfig."""
    config = yaml.safe_load(Path(sandbox.kubeconfig).read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    host, port = cluster["server"].removeprefix("https://").split(":")

    def text(data: str) -> str:
        return base64.b64decode(data).decode()

    return ApiClient(
        (host, int(port)),
        cluster["tls-server-name"],
        text(cluster["certificate-authority-data"]),
        certificate=(text(user["client-certificate-data"]), text(user["client-key-data"])),
    )


def test_flannel_as_kops_renders_it_is_refused(sandbox: Sandbox) -> None:
    done = sandbox.run("preflight", "-o", "json")
    assert done.code == 3
    jsonschema.validate(done.document, schemas.schema_of("FindingList"))
    assert [f["name"] for f in done.document["findings"] if f["level"] == "error"] == [
        "FlannelVniPort"
    ]


def test_add_node_refuses_for_the_same_reason_and_changes_nothing(sandbox: Sandbox) -> None:
    done = sandbox.run(*add_node(POOL, "-o", "json"))
    assert done.code == 3
    assert "FlannelVniPort" in {finding["name"] for finding in done.document["findings"]}
    assert sandbox.living(POOL) == []


def test_fix_shows_the_change_first(sandbox: Sandbox) -> None:
    done = sandbox.run("preflight", "--fix")
    assert done.code == 3
    assert '{"Type": "vxlan"} -> {"Port": 4789, "Type": "vxlan", "VNI": 4096}' in done.err
    assert "run again with --yes" in done.err


def test_fix_waits_until_every_linux_node_has_it(ready: Sandbox) -> None:
    assert ready.run("preflight").code == 0
    for node in client(ready).list("/api/v1/nodes"):
        data = json.loads(node["metadata"]["annotations"]["flannel.alpha.coreos.com/backend-data"])
        assert data["VNI"] == 4096


def test_a_preview_changes_nothing(ready: Sandbox) -> None:
    done = ready.run("add-node", "--pool", POOL, "--count", "1", "-o", "json")
    assert done.code == 0
    jsonschema.validate(done.document, schemas.schema_of("Plan"))
    assert [step["step"] for step in done.document["steps"]] == ["LaunchInstance", "JoinNode"]
    assert ready.living(POOL) == []


@pytest.fixture(scope="module")
def joined(ready: Sandbox) -> dict[str, object]:
    """The RunResult of a join."""
    done = ready.run(*add_node(POOL, "-o", "json"))
    assert done.code == 0, done.err
    return done.document


def test_the_node_is_ready_and_proven(ready: Sandbox, joined: dict) -> None:
    jsonschema.validate(joined, schemas.schema_of("RunResult"))
    (node,) = joined["nodes"]
    assert (node["ready"], node["result"], node["phase"]) == (True, "created", "schedulable")
    seen = client(ready).get(f"/api/v1/nodes/{node['nodeName']}")
    taints = {taint["key"] for taint in seen["spec"].get("taints") or []}
    assert taints == {"os"}
    assert seen["metadata"]["labels"]["node.kubernetes.io/windows-build"] == "10.0.17763"
    assert seen["metadata"]["labels"]["bootstrap.node/pool"] == POOL
    assert seen["spec"]["providerID"].endswith(node["instanceId"])


def test_it_joined_with_a_certificate_of_its_own(ready: Sandbox, joined: dict) -> None:
    name = f"system:node:{joined['nodes'][0]['nodeName']}"
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    issued = [
        x509.load_pem_x509_certificate(base64.b64decode(item["status"]["certificate"]))
        for item in client(ready).list(path)
        if item["status"].get("certificate")
    ]
    subjects = [item.subject.rfc4514_string() for item in issued]
    assert f"CN={name},O=system:nodes" in subjects


def test_the_instance_is_as_the_linux_nodes_are(ready: Sandbox, joined: dict) -> None:
    (instance,) = ready.living(POOL)
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    cluster = ready.env["KOPS_CLUSTER_NAME"]
    assert tags["KubernetesCluster"] == cluster
    assert tags[f"kubernetes.io/cluster/{cluster}"] == "owned"
    assert tags["bootstrap/owned"] == "true"
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert "PublicIpAddress" not in instance


def test_the_same_command_again_says_unchanged(ready: Sandbox, joined: dict) -> None:
    done = ready.run(*add_node(POOL, "-o", "json"))
    assert (done.code, [n["result"] for n in done.document["nodes"]]) == (0, ["unchanged"])
    assert len(ready.living(POOL)) == 1


def test_validation_passes(ready: Sandbox, joined: dict) -> None:
    done = ready.run("validate", "--level", "quick", "-o", "json")
    assert done.code == 0, done.out
    assert {check["result"] for check in done.document["checks"]} == {"pass"}


def test_nodes_are_listed_and_described(ready: Sandbox, joined: dict) -> None:
    listed = ready.run("get", "nodes", "-o", "json")
    jsonschema.validate(listed.document, schemas.schema_of("NodeList"))
    assert f"{POOL}-1" in {item["name"] for item in listed.document["items"]}
    shown = ready.run("describe", "node", f"{POOL}-1", "-o", "json")
    assert (shown.code, shown.document["findings"]) == (0, [])


def test_nothing_is_left_behind_but_the_node(ready: Sandbox, joined: dict) -> None:
    api = client(ready)
    names = {item["metadata"]["name"] for item in api.list("/api/v1/namespaces")}
    living = {n for n in names if n.startswith("windows-bootstrap-probe")}
    leases = api.list("/apis/coordination.k8s.io/v1/namespaces/windows-bootstrap/leases")
    gone = [item for item in api.list("/api/v1/namespaces") if item["metadata"]["name"] in living]
    assert all(item["metadata"].get("deletionTimestamp") for item in gone)
    assert leases == []
