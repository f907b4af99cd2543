"""From evidence to the cause of a failed join: a row for each rule, and what is never named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.model import node_state as model
from bootstrap.model.certificates import CertificateRequest, RequestState
from bootstrap.model.evidence import Approvals, JoinEvidence
from bootstrap.model.kubernetes import NodeEvent
from bootstrap.model.node import KubeNodeName, NodeName
from bootstrap.planning import causes, checks, csr, host_rules, log_signs
from bootstrap.planning.diagnosis import diagnose
from bootstrap.sandbox import faults
from tests.unit.planning import builders as make

FAILURE_MODES = Path(__file__).parents[3] / "docs" / "failure-modes.md"
NODE = KubeNodeName("i-1")
LAUNCHED, LATER = "2026-11-24T10:00:00Z", "2026-11-24T10:05:00Z"
NOW = 1795514700.0  # LATER
WINDOWS = model.WindowsFacts(
    build=17763,
    revision=5000,
    computer_name="EC2AMAZ-1234567",
    boot_time=LAUNCHED,
    clock=LATER,
    reboot_pending=False,
    dynamic_ports=(34000, 31536),
)
KUBELET = model.ServiceFacts(
    name="kubelet",
    state="Running",
    start_mode="Auto",
    path="kubelet.exe",
    account="LocalSystem",
    exit_code=0,
    process_id=1,
    started_at=LAUNCHED,
    recovery_delays_ms=(10_000,),
)
SUBNET = model.HnsSubnet(prefix="100.96.3.0/24", gateway="100.96.3.1", vni=4096)
OVERLAY = model.HnsNetwork(
    name="flannel.4096", type="Overlay", management_ip="10.0.0.5", subnets=(SUBNET,)
)
ROUTES = (
    model.RouteFacts(destination="0.0.0.0/0", next_hop="10.0.0.1", interface="vEthernet"),
    model.RouteFacts(destination="169.254.169.254/32", next_hop="10.0.0.1", interface="vEthernet"),
)
WELL = model.NodeState(
    windows=WINDOWS,
    services=(KUBELET, replace(KUBELET, name="flanneld"), replace(KUBELET, name="kube-proxy")),
    hns=model.HnsFacts(networks=(OVERLAY,), endpoints=(), load_balancers=()),
    routes=ROUTES,
    artifacts=(),
    certificates=(
        model.CertificateFacts(
            use="client",
            subject="CN=system:node:i-1, O=system:nodes",
            issuer="CN=kubernetes",
            not_before=LAUNCHED,
            not_after="2027-11-24T10:00:00Z",
        ),
    ),
    flannel=model.FlannelState(
        net_conf={"Backend": {"Type": "vxlan", "VNI": 4096, "Port": 4789}},
        subnet={"FLANNEL_SUBNET": "100.96.3.1/24"},
        source_vip="100.96.3.2",
    ),
    disk=(model.DiskFacts(drive="C:", size=100 * 2**30, free=50 * 2**30),),
    logs=(),
)
JOINED = JoinEvidence(
    node=NodeName("game-1"),
    kube_name=NODE,
    launched_at=LAUNCHED,
    pod_cidr="100.96.0.0/11",
    now=NOW,
    kube_node=make.kube_node(1, name=NODE, pod_cidr="100.96.3.0/24"),
    has_looked=True,
    state=WELL,
)
ABSENT = replace(JOINED, kube_node=None)


def request(name: str = "i-1", **fields: Any) -> CertificateRequest:
    """Return a request as a node's kubelet makes it."""
    given: dict[str, Any] = {
        "name": "csr-1",
        "uid": "u",
        "created_at": LATER,
        "signer": csr.CLIENT_SIGNER,
        "requester": csr.BOOTSTRAP_REQUESTER,
        "requester_groups": (),
        "usages": frozenset({"digital signature", "client auth"}),
        "state": RequestState.PENDING,
        "common_name": f"system:node:{name}",
    } | fields
    return CertificateRequest(**given)


def state(**fields: Any) -> JoinEvidence:
    """Return a joined node with something else in its state."""
    return replace(JOINED, state=replace(WELL, **fields))


def windows(**fields: Any) -> JoinEvidence:
    """Return a joined node with another Windows."""
    return state(windows=replace(WINDOWS, **fields))


def service(**fields: Any) -> JoinEvidence:
    """Return a joined node with another kubelet."""
    assert WELL.services is not None
    return state(services=(replace(KUBELET, **fields), *WELL.services[1:]))


def flannel(**fields: Any) -> JoinEvidence:
    """Return a joined node with another flannel."""
    assert WELL.flannel is not None
    return state(flannel=replace(WELL.flannel, **fields))


def logged(program: str, line: str) -> JoinEvidence:
    """Return a joined node in one of whose logs a line stands."""
    path = rf"C:\var\log\{program}\{program}.log"
    return state(logs=(model.LogTail(path=path, size=1, lines=("started", line)),))


CASES = [
    ("CertificateRequestRefused", replace(ABSENT, approvals=Approvals(refusal="usages missing"))),
    ("ApprovalRejected", replace(ABSENT, approvals=Approvals(error="the API server answered 422"))),
    (
        "CertificateNeverSigned",
        replace(ABSENT, requests=(request(state=RequestState.APPROVED),)),
    ),
    ("NodeNameMismatch", replace(ABSENT, requests=(request("ec2amaz-1234567"),))),
    (
        "NodeDeleted",
        replace(ABSENT, events=(NodeEvent(reason="DeletingNode", message="gone", at=LATER),)),
    ),
    ("NodeDeleted", replace(ABSENT, approvals=Approvals(registered=True))),
    ("PodCidrMissing", replace(JOINED, kube_node=make.kube_node(1, name=NODE, pod_cidr=""))),
    ("WindowsTooOld", windows(revision=316)),
    ("ClockSkew", windows(clock="2026-11-24T11:05:00Z")),
    ("ClockSkew", windows(clock="2026-11-24T09:05:00Z")),
    ("RebootPending", windows(reboot_pending=True)),
    ("DiskFull", state(disk=(model.DiskFacts(drive="C:", size=30 * 2**30, free=2**20),))),
    (
        "ArtifactChanged",
        state(
            artifacts=(
                model.ArtifactFacts(
                    name="kubelet",
                    url="https://dl.k8s.io/k.tar.gz",
                    version="v1",
                    checksum="c",
                    files=(model.ArtifactFile(path=r"C:\k\kubelet.exe", sha256="a", found="b"),),
                ),
            )
        ),
    ),
    (
        "CertificateOfAnotherNode",
        state(
            certificates=(
                model.CertificateFacts(
                    use="client",
                    subject="CN=system:node:i-0",
                    issuer="",
                    not_before="",
                    not_after="",
                ),
            )
        ),
    ),
    ("FlannelVniPort", flannel(net_conf={"Backend": {"Type": "vxlan"}})),
    ("SourceVipStale", flannel(source_vip="100.96.9.2")),
    (
        "ManagementIpMissing",
        state(
            hns=model.HnsFacts(
                networks=(replace(OVERLAY, management_ip=""),), endpoints=(), load_balancers=()
            )
        ),
    ),
    ("MetadataRouteLost", state(routes=ROUTES[:1])),
    (
        "MetadataRouteWrongGateway",
        state(routes=(ROUTES[0], replace(ROUTES[1], next_hop="10.9.0.1"))),
    ),
    ("ServiceMissing", state(services=(KUBELET,))),
    (
        "OverlayMissing",
        state(hns=model.HnsFacts(networks=(), endpoints=(), load_balancers=())),
    ),
    (
        "CertificateExpired",
        state(
            certificates=(
                model.CertificateFacts(
                    use="client",
                    subject="CN=system:node:i-1",
                    issuer="",
                    not_before="2025-11-24T10:00:00Z",
                    not_after="2026-11-23T10:00:00Z",
                ),
            )
        ),
    ),
    ("ServiceStopped", service(state="Stopped", exit_code=1)),
    ("ServiceRecoveryDelay", service(recovery_delays_ms=(10,))),
    ("UnknownFlag", logged("kubelet", "Error: unknown flag: --network-plugin")),
    ("UnknownFeatureGate", logged("kube-proxy", "unrecognized feature gate: NoSuch")),
    ("FileEncoding", logged("flanneld", "invalid character 'ï' looking for beginning of value")),
    (
        "CgroupsOnWindows",
        logged(
            "kubelet",
            'cgroupsPerQOS must be set to true when "pods" contained in enforceNodeAllocatable',
        ),
    ),
    (
        "ClockSkew",
        logged(
            "kubelet",
            "tls: failed to verify certificate: x509: certificate has expired or is"
            " not yet valid: current time 2020",
        ),
    ),
    (
        "ClusterCaUnknown",
        logged("kubelet", "tls: failed to verify: x509: certificate signed by unknown authority"),
    ),
    (
        "CertificateOfAnotherNode",
        logged("kubelet", 'nodes "i-2" is forbidden: … can only read its own Node object'),
    ),
    (
        "RightsMissing",
        logged("flanneld", 'nodes is forbidden: User "system:serviceaccount:a:b" cannot list'),
    ),
    ("CredentialsRefused", logged("kube-proxy", "failed to list *v1.Service: Unauthorized")),
    (
        "ApiNameUnknown",
        logged("kubelet", "dial tcp: lookup api.internal.x.example.net: no such host"),
    ),
    ("ApiUnreachable", logged("kubelet", "dial tcp 10.0.0.9:443: i/o timeout")),
    (
        "FlannelVniPort",
        logged("flanneld", "invalid VXLAN backend config. VNI [1] must be greater than or equal"),
    ),
    (
        "FlannelNetworkMismatch",
        logged(
            "flanneld",
            'subnet "10.244.0.0/16" specified in the flannel net config doesn\'t'
            ' contain "100.96.3.0/24" PodCIDR',
        ),
    ),
    ("PodCidrMissing", logged("flanneld", 'node "i-1" pod cidr not assigned')),
    ("FlannelNodeName", logged("flanneld", "env variables POD_NAME and POD_NAMESPACE must be set")),
    ("SourceVipMissing", logged("kube-proxy", "source-vip flag not set")),
    ("SourceVipIsNetworkAddress", logged("kube-proxy", "hcnCreateLoadBalancer: 0x803b002f")),
    ("PortsExhausted", logged("kube-proxy", "hcnCreateLoadBalancer failed: 0x803b0013")),
    ("AdapterNotFound", logged("flanneld", "HNS failed: An adapter was not found (0x803b0006)")),
    ("SwitchPortNotFound", logged("kubelet", "0x803b0007: switch-port not found")),
    ("HnsObjectExists", logged("kubelet", "failed in Win32: The object already exists. (0x1392)")),
    ("HnsElementNotFound", logged("flanneld", "Element not found. (0x490)")),
    ("WindowsTooOld", logged("flanneld", "An expected policy was not found")),
    ("CniConfRefused", logged("kubelet", "The parameter is incorrect. (0x57)")),
    ("RuntimeConfiguration", logged("containerd", "containerd: failed to load TOML: x: toml: bad")),
    (
        "ImageOfAnotherWindows",
        logged("kubelet", "The container operating system does not match the host operating"),
    ),
    ("ImageWithoutWindows", logged("containerd", "no match for platform in manifest: not found")),
    ("PullRefused", logged("kubelet", 'failed to pull image "a/b:c": 429 toomanyrequests')),
]


@pytest.mark.parametrize(("name", "evidence"), CASES)
def test_evidence_leads_to_its_cause(name: str, evidence: JoinEvidence) -> None:
    found = diagnose(evidence)
    assert found is not None
    assert found.name == name
    assert found.message and found.evidence and found.fix and found.command


def test_every_sign_of_a_log_has_a_case() -> None:
    shown = {name for name, _ in CASES}
    assert {sign.name for sign in log_signs.SIGNS} <= shown


def test_every_cause_is_listed_with_its_meaning() -> None:
    named = {name for name, _ in CASES} - {rule.name for rule in checks.RULES}
    of_console = {"BootNotFinished", "UserDataNotRun", "WinRmUnreachable"}
    assert named | of_console == set(causes.CAUSES) - {rule.name for rule in checks.RULES}


def test_the_table_for_readers_has_every_sign_in_its_row() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in FAILURE_MODES.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    listed = {(row[0], name.strip()) for row in rows for name in row[3].split(",")}
    assert {(str(sign.mode or "–"), sign.name) for sign in log_signs.SIGNS} <= listed


def test_the_table_for_readers_names_only_faults_that_there_are() -> None:
    rows = [line.strip("|").split("|") for line in FAILURE_MODES.read_text("utf-8").splitlines()]
    shown = {name.strip() for row in rows if len(row) == 5 for name in row[4].split(",")}
    assert shown - {"", "staged", "---"} <= set(faults.FAULTS)


def test_nothing_is_named_on_a_node_that_is_well() -> None:
    assert diagnose(JOINED) is None
    assert host_rules.look(JOINED, host_rules.BLOCKING) is None


def test_nothing_is_named_without_evidence() -> None:
    assert diagnose(replace(ABSENT, has_looked=False, state=None)) is None
    assert diagnose(replace(JOINED, state=model.NodeState())) is None


@pytest.mark.parametrize(
    "foreign",
    [
        request("ec2amaz-1234567", requester="system:bootstrap:abcdef"),
        request("ec2amaz-1234567", created_at="2026-11-24T09:00:00Z"),
        request("ec2amaz-7654321"),
    ],
)
def test_the_requests_of_others_are_nobodys_wrong_name(foreign: CertificateRequest) -> None:
    found = diagnose(replace(ABSENT, requests=(foreign,)))
    assert found is None or found.name != "NodeNameMismatch"


def test_the_clusters_side_is_more_certain_than_a_log() -> None:
    evidence = replace(
        logged("flanneld", "An adapter was not found"),
        kube_node=None,
        requests=(request(state=RequestState.APPROVED),),
    )
    found = diagnose(evidence)
    assert found is not None and found.name == "CertificateNeverSigned"


def test_a_cause_on_the_host_is_more_certain_than_a_log() -> None:
    evidence = logged("kubelet", "dial tcp 10.0.0.9:443: i/o timeout")
    assert evidence.state is not None
    full = replace(evidence.state, disk=(model.DiskFacts(drive="C:", size=30 * 2**30, free=2**20),))
    found = diagnose(replace(evidence, state=full))
    assert found is not None and found.name == "DiskFull"


def test_a_sign_counts_only_in_the_log_of_its_program() -> None:
    assert diagnose(logged("kubelet", "source-vip flag not set")) is None


def test_a_restart_that_windows_wants_does_not_keep_a_node_out() -> None:
    assert host_rules.look(windows(reboot_pending=True), host_rules.BLOCKING) is None
