"""Every document is what its schema says, with nothing that the schema does not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import jsonschema
import pytest

from bootstrap import schemas
from bootstrap.cli import (
    documents,
    evidence_documents,
    matrix_documents,
    node_documents,
    tables,
    unlock,
    version,
)
from bootstrap.cli.documents import Document
from bootstrap.errors import ExitCode, RemoteError
from bootstrap.model.cluster import SecurityGroupId, Subnet, SubnetType
from bootstrap.model.event import (
    NodeOutcome,
    NodeResult,
    Phase,
    PhaseRecord,
    PhaseResult,
    RunResult,
)
from bootstrap.model.finding import Check, CheckResult, Finding, Level
from bootstrap.model.kubernetes import LeaseFacts, PodFacts
from bootstrap.model.node import (
    DesiredNode,
    ImageFacts,
    InstanceId,
    InstanceState,
    KubeNode,
    KubeNodeName,
    NodeName,
    ObservedInstance,
    ObservedNode,
    PoolSpec,
    Runtime,
    Taint,
    WindowsRelease,
)
from bootstrap.model.plan import JoinNode, LaunchInstance, Plan, StartInstance
from bootstrap.model.secret import MASK, Secret
from bootstrap.planning.bundle import Missing
from tests.node_cases import catalog

CLUSTER = "games.example.com"

FINDING = Finding(
    level=Level.ERROR,
    name="FlannelVniPort",
    target="kube-flannel",
    message="VNI is 1",
    evidence={"vni": 1},
    fix="set VNI 4096",
    command="bootstrap preflight --fix",
)

DESIRED = DesiredNode(
    name=NodeName("web-1"),
    cluster=CLUSTER,
    pool=PoolSpec(name="web"),
    runtime=Runtime.CONTAINERD,
    windows=WindowsRelease.WS2019,
    kubernetes_version="1.34.5",
    subnet=Subnet(name="a", type=SubnetType.PRIVATE, zone="eu-west-1a", cidr="10.0.0.0/24"),
    image=ImageFacts(
        image_id="ami-1", name="Windows", release=None, root_device="/dev/sda1", root_size_gb=30
    ),
    instance_type="m5.xlarge",
    security_groups=(SecurityGroupId("sg-1"),),
    instance_profile="nodes",
    key_name="key",
    user_data="<powershell></powershell>",
    tags={"bootstrap/owned": "true"},
    spec_hash="0123456789abcdef",
    labels={"team": "game"},
    taints=(Taint(key="os", value="windows"),),
)

INSTANCE = ObservedInstance(
    instance_id=InstanceId("i-1"),
    state=InstanceState.RUNNING,
    private_ip="10.0.0.5",
    private_dns="ip-10-0-0-5",
    zone="eu-west-1a",
    subnet_id="subnet-1",
    image_id="ami-1",
    instance_type="m5.xlarge",
    launched_at="2026-11-23T10:00:00Z",
    tags={"bootstrap/owned": "true", "bootstrap/pool": "web"},
    is_windows=True,
)

KUBE = KubeNode(
    name=KubeNodeName("i-1"),
    uid="u",
    labels={"kubernetes.io/os": "windows"},
    annotations={"a": "b"},
    taints=(Taint(key="os", value="windows"),),
    provider_id="aws:///eu-west-1a/i-1",
    pod_cidr="100.96.1.0/24",
    ready=True,
    unschedulable=False,
    kubelet_version="v1.34.5",
    kube_proxy_version="v1.34.5",
    runtime_version="containerd://2.1.0",
    os_image="Windows Server 2019 Datacenter",
    internal_ip="10.0.0.5",
    created_at="2026-11-23T10:10:00Z",
    conditions={"Ready": "True"},
)

NODE = ObservedNode(name=NodeName("web-1"), instance=INSTANCE, kube=KUBE)
LINUX = ObservedNode(
    name=NodeName(""), instance=None, kube=replace(KUBE, labels={"kubernetes.io/os": "linux"})
)
LAUNCHED = replace(NODE, kube=None)

POD = PodFacts(
    namespace="default", name="p", node="i-1", phase="Running", ready=True, reason="", message=""
)

LEASE = LeaseFacts(
    name="windows-bootstrap",
    holder="host/r1",
    acquired_at="2026-11-23T10:00:00.000000Z",
    renewed_at="2026-11-23T10:00:30.000000Z",
    duration_s=60,
    resource_version="1",
    annotations={"bootstrap.node/run": "r1"},
)
NOW = 1795428060.0  # 2026-11-23T10:01:00Z

RESULT = RunResult(
    run_id="r1",
    command="add-node",
    started_at="2026-11-23T10:00:00Z",
    finished_at="2026-11-23T10:20:00Z",
    exit_code=ExitCode.PARTIAL,
    nodes=(
        NodeResult(
            name=NodeName("web-1"),
            node_name="i-1",
            instance_id="i-1",
            private_ip="10.0.0.5",
            pool="web",
            phase=Phase.REACHABLE,
            ready=False,
            outcome=NodeOutcome.FAILED,
            seconds=12.34567,
            phases=(PhaseRecord(phase=Phase.REACHABLE, seconds=1.0, result=PhaseResult.FAILED),),
            error=FINDING,
            exit_code=ExitCode.DEADLINE,
        ),
    ),
)

PLAN = Plan(
    steps=(
        LaunchInstance(desired=DESIRED, why="no instance", client_token="t"),
        StartInstance(desired=DESIRED, instance_id=InstanceId("i-1"), why="stopped"),
        JoinNode(desired=DESIRED, why="not joined"),
    ),
    unchanged=(NodeName("web-2"),),
    findings=(FINDING,),
)

CHECKS = [
    Check(name="Cni", result=CheckResult.PASS, target=CLUSTER),
    Check(name="Vni", result=CheckResult.FAIL, target=CLUSTER, findings=(FINDING,)),
]

DOCUMENTS: list[Document] = [
    documents.plan_document(PLAN, cluster=CLUSTER),
    documents.plan_document(Plan(steps=()), cluster=CLUSTER),
    documents.run_document(RESULT, cluster=CLUSTER),
    documents.findings_document(CHECKS, cluster=CLUSTER),
    documents.findings_document([], cluster=None),
    node_documents.node_list_document([NODE, LINUX, LAUNCHED], cluster=CLUSTER),
    node_documents.node_document(NODE, cluster=CLUSTER, pods=[POD], findings=[FINDING]),
    node_documents.node_document(LAUNCHED, cluster=CLUSTER),
    node_documents.pool_list_document([PoolSpec(name="x")], [NODE, LINUX], cluster=CLUSTER),
    documents.version_document(python="3.11.7", components={"boto3": "1.44.0"}),
    documents.sandbox_document(
        cluster=CLUSTER,
        state="s3://store",
        env={"AWS_REGION": "eu-west-1"},
        kubeconfig="/tmp/k",
        endpoints={"aws": "http://127.0.0.1:1"},
        pid=1,
    ),
    evidence_documents.bundle_document(
        cluster=CLUSTER,
        node="x-1",
        path="x-1.tar.gz",
        files=["node.json"],
        missing=[Missing(source="node", reason="no route to host")],
        redactions=3,
        findings=[FINDING],
    ),
    documents.document(
        "Config",
        {"config": {}, "settings": [{"setting": "a", "value": 1, "origin": "default"}]},
    ),
    unlock.lock_document(LEASE, cluster=CLUSTER, now=NOW, held=True, released=False),
    unlock.lock_document(None, cluster=CLUSTER, now=NOW, held=False, released=False),
    documents.error_document(RemoteError("EC2: Throttling", evidence="try later")),
    matrix_documents.matrix_document(catalog(), 25),
    matrix_documents.checks_document(),
]


def closed(schema: object) -> object:
    """Return a schema that also refuses what it does not describe."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    copy = {key: closed(value) for key, value in schema.items()}
    return {**copy, "additionalProperties": False} if "properties" in schema else copy


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["kind"])
def test_a_document_is_what_its_schema_says(document: Document) -> None:
    schema = closed(schemas.schema_of(document["kind"]))
    parsed = json.loads(json.dumps(document))
    jsonschema.validate(parsed, schema, format_checker=jsonschema.FormatChecker())


def test_every_kind_with_a_schema_has_a_document_here() -> None:
    assert {document["kind"] for document in DOCUMENTS} == set(schemas.KINDS)


@pytest.mark.parametrize("kind", schemas.KINDS)
def test_schemas_are_schemas(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas.schema_of(kind))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["kind"])
def test_every_document_has_a_table(document: Document, wide: bool) -> None:
    sections = tables.sections(document, wide=wide)
    assert any(section.rows or section.lines for section in sections)
    for section in sections:
        assert all(len(row) == len(section.columns) for row in section.rows)


def test_names_are_one_per_thing() -> None:
    assert tables.names(DOCUMENTS[0]) == ["web-1"]
    assert tables.names(DOCUMENTS[2]) == ["node/web-1"]
    assert tables.names(DOCUMENTS[5]) == ["node/web-1", "node/i-1", "node/web-1"]
    assert tables.names(DOCUMENTS[8]) == ["pool/x", "pool/web"]


def lines_of(document: Document) -> list[str]:
    return [line for section in tables.sections(document, wide=False) for line in section.lines]


def test_a_plan_says_that_it_is_a_preview() -> None:
    hint = "This is a preview: nothing was changed. Add --yes to do it."
    assert hint in lines_of({**DOCUMENTS[0], "findings": []})
    assert hint not in lines_of(DOCUMENTS[0]), "a refused plan is not helped by --yes"
    assert lines_of(DOCUMENTS[0])[-1] == "Nothing was changed: see the errors above."
    assert tables.sections(DOCUMENTS[1], wide=False)[0].lines == ["Nothing to do."]


def test_findings_decide_the_exit_code() -> None:
    assert documents.exit_code_of(CHECKS) is ExitCode.REFUSED
    assert documents.exit_code_of([replace(FINDING, level=Level.WARNING)]) is ExitCode.OK


def test_a_tainted_node_is_not_schedulable() -> None:
    held_back = replace(KUBE, taints=(Taint(key="bootstrap.node/not-ready"),))
    shown = node_documents.node_document(replace(NODE, kube=held_back), cluster=CLUSTER)
    assert shown["ready"] is True and shown["schedulable"] is False


def test_pools_count_what_is_proven() -> None:
    shown = node_documents.pool_list_document([], [NODE, LAUNCHED], cluster=CLUSTER)
    (pool,) = shown["items"]
    assert (pool["name"], pool["nodes"], pool["ready"]) == ("web", 2, 1)


def test_a_secret_in_evidence_is_masked() -> None:
    finding = replace(FINDING, evidence={"password": Secret("hunter2")})
    shown = documents.findings_document([], cluster=None, findings=[finding])
    text = json.dumps(shown, default=str)
    assert "hunter2" not in text and MASK in text


def test_versions_of_what_is_missing_are_left_out() -> None:
    assert set(version._component_versions()) <= set(version.COMPONENTS)


def test_matrix_has_a_line_per_windows_and_names_what_the_user_has_to_bring() -> None:
    (table,) = tables.sections(matrix_documents.matrix_document(catalog(), 25), wide=False)
    assert list(table.columns)[:3] == ["KUBERNETES", "WINDOWS", "DOCUMENTED"]
    assert [list(row)[:3] for row in table.rows] == [
        ["1.25", "2019", "yes"],
        ["1.25", "2022", "yes"],
    ]
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    assert cells["CONTAINERD"].startswith("1.7.")
    assert cells["DOCKER"].endswith(" + cri-dockerd (yours)")
    assert cells["DOCKER-EE"] == "yours + cri-dockerd (yours)"


def test_matrix_says_of_every_combination_which_runtime_auto_takes() -> None:
    shown = matrix_documents.matrix_document(catalog())
    taken = {
        (item["kubernetes"], item["runtime"])
        for item in tables.items(shown, "items")
        if item["auto"]
    }
    assert taken >= {("1.19", "docker"), ("1.20", "containerd"), ("1.36", "containerd")}
    assert ("1.19", "containerd") not in taken
