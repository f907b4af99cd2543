"""What a node's state alone gives away; a healthy node and one that was not read give nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bootstrap.model.node_state import (
    ArtifactFacts,
    ArtifactFile,
    CertificateFacts,
    DiskFacts,
    FlannelState,
    HnsFacts,
    HnsNetwork,
    HnsSubnet,
    NodeState,
    RouteFacts,
    ServiceFacts,
)
from bootstrap.planning import node_symptoms

NOW = "2026-11-24T15:00:00Z"


def service(name: str, state: str = "running") -> ServiceFacts:
    return ServiceFacts(
        name=name,
        state=state,
        start_mode="auto",
        path="x",
        account="LocalSystem",
        exit_code=1067,
        process_id=1,
        started_at="",
        recovery_delays_ms=(),
    )


def services(*names: str) -> tuple[ServiceFacts, ...]:
    return tuple(service(name) for name in names)


def overlay(vni: int) -> HnsFacts:
    subnet = HnsSubnet(prefix="100.96.3.0/24", gateway="100.96.3.1", vni=vni)
    network = HnsNetwork(name="n", type="Overlay", management_ip="", subnets=(subnet,))
    return HnsFacts(networks=(network,), endpoints=(), load_balancers=())


def certificate(not_before: str, not_after: str) -> CertificateFacts:
    return CertificateFacts(
        use="client", subject="", issuer="", not_before=not_before, not_after=not_after
    )


def artifact(found: str) -> ArtifactFacts:
    file = ArtifactFile(path=r"C:\k\kubelet.exe", sha256="aa", found=found)
    return ArtifactFacts(name="kubernetes", url="", version="", checksum="", files=(file,))


HEALTHY = NodeState(
    services=services("containerd", "kubelet", "flanneld", "kube-proxy", "hns"),
    hns=overlay(4096),
    routes=(RouteFacts(destination="169.254.169.254/32", next_hop="", interface=""),),
    certificates=(certificate("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),),
    flannel=FlannelState(net_conf=None, subnet={}, source_vip="100.96.3.2"),
    disk=(DiskFacts(drive="C:", size=100, free=10),),
    artifacts=(artifact("aa"),),
)


def named(state: NodeState) -> list[tuple[str, str]]:
    found = node_symptoms.judge(state, node="x-1", now=NOW)
    assert {item.target for item in found} <= {"x-1"}
    return [(item.name, item.message) for item in found]


@pytest.mark.parametrize("state", [HEALTHY, NodeState()], ids=["healthy", "nothing was read"])
def test_no_symptom_without_evidence(state: NodeState) -> None:
    assert named(state) == []


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        (
            {"services": services("docker", "cri-dockerd", "kubelet", "kube-proxy")},
            "NodeServiceStopped",
            "service flanneld is not installed",
        ),
        (
            {"services": (*services("docker", "kubelet", "flanneld"), service("kube-proxy", "x"))},
            "NodeServiceStopped",
            "service kube-proxy is x, exit code 1067",
        ),
        (
            {"services": services("kubelet", "flanneld", "kube-proxy")},
            "NodeServiceStopped",
            "service containerd is not installed",
        ),
        ({"hns": overlay(1)}, "NodeOverlayMissing", "no overlay network with VNI 4096"),
        (
            {"flannel": FlannelState(net_conf=None, subnet={}, source_vip="")},
            "NodeSourceVipMissing",
            "no source VIP",
        ),
        ({"routes": ()}, "NodeMetadataRouteMissing", "no route to 169.254.169.254/32"),
        (
            {"certificates": (certificate("2026-01-01T00:00:00Z", "2026-11-24T14:59:59Z"),)},
            "NodeCertificateInvalid",
            "to 2026-11-24T14:59:59Z",
        ),
        (
            {"certificates": (certificate("2026-11-25T00:00:00Z", "2027-11-24T00:00:00Z"),)},
            "NodeCertificateInvalid",
            "from 2026-11-25T00:00:00Z",
        ),
        ({"disk": (DiskFacts(drive="C:", size=100, free=9),)}, "NodeDiskFull", "9 of 100"),
        ({"artifacts": (artifact("bb"),)}, "NodeArtifactChanged", "not as it was installed"),
        ({"artifacts": (artifact(""),)}, "NodeArtifactChanged", "is gone"),
    ],
)
def test_each_symptom_is_named(change: dict[str, object], name: str, message: str) -> None:
    ((found, text),) = named(replace(HEALTHY, **change))  # type: ignore[arg-type]
    assert found == name and message in text


def test_names_are_unique() -> None:
    names = [rule.name for rule in node_symptoms.RULES]
    assert len(set(names)) == len(names)
