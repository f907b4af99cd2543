"""What proves a hybrid cluster, and each way in which a node or a pod fails to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bootstrap.model.finding import CheckResult, Finding, Level
from bootstrap.model.kubernetes import PodFacts
from bootstrap.model.node import BUILD_LABEL, NOT_READY_TAINT, KubeNode, KubeNodeName, Taint
from bootstrap.planning import validation
from bootstrap.planning.validation import NodesView, Placement, ProbePod, node_checks, verdict
from tests.unit.planning import builders as make

LINUX = make.kube_node(9, os="linux")
WINDOWS = make.kube_node(1)
POD = PodFacts(
    namespace="default",
    name="web",
    node="i-1",
    phase="Running",
    ready=True,
    reason="",
    message="",
)


def view(*nodes: KubeNode, pods: tuple[PodFacts, ...] = (), version: str = "v1.34.5") -> NodesView:
    return NodesView(nodes=nodes, pods=pods, identity=make.identity(version=version))


def failed(seen: NodesView) -> set[str]:
    return {c.name for c in node_checks(seen, "c") if c.result is CheckResult.FAIL}


def finding(seen: NodesView, name: str) -> Finding:
    (found,) = next(c.findings for c in node_checks(seen, "c") if c.name == name)
    return found


def without(label: str) -> dict[str, str]:
    return {key: value for key, value in WINDOWS.labels.items() if key != label}


def test_a_hybrid_cluster_as_it_should_be_passes_every_check() -> None:
    checks = node_checks(view(LINUX, WINDOWS, pods=(POD,)), "c")
    assert {c.result for c in checks} == {CheckResult.PASS}
    assert [c.name for c in checks] == list(validation.RULES)
    assert {c.target for c in checks} == {"c"}


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        ({"ready": False}, "NodeReady", "is not Ready"),
        ({"unschedulable": True}, "NodeReady", "is cordoned"),
        ({"conditions": {"NetworkUnavailable": "True"}}, "NodeReady", "is not Ready"),
        ({"labels": without("kubernetes.io/arch")}, "NodeLabels", "lacks kubernetes.io/arch"),
        ({"labels": without("kubernetes.io/hostname")}, "NodeLabels", "lacks kubernetes.io/host"),
        ({"labels": without(BUILD_LABEL)}, "NodeLabels", f"lacks {BUILD_LABEL}"),
        ({"taints": (Taint(key=NOT_READY_TAINT),)}, "NodeTaints", f"still has {NOT_READY_TAINT}"),
        (
            {"taints": (Taint(key="node.cloudprovider.kubernetes.io/uninitialized"),)},
            "NodeTaints",
            "still has node.cloudprovider",
        ),
        ({"provider_id": ""}, "NodeProviderId", "provider id missing"),
        ({"provider_id": "gce://x/i-1"}, "NodeProviderId", "provider id gce://x/i-1"),
        ({"internal_ip": ""}, "NodeAddress", "has no InternalIP"),
        ({"pod_cidr": ""}, "NodePodCidr", "has no pod CIDR"),
        ({"pod_cidr": LINUX.pod_cidr}, "NodePodCidr", "shares 100.96.9.0/24"),
        ({"kubelet_version": "v1.35.0"}, "KubeletVersion", "has kubelet v1.35.0"),
        ({"kubelet_version": "v1.30.0"}, "KubeletVersion", "the API server is v1.34.5"),
        ({"annotations": {}}, "FlannelAnnotations", "announces VNI None and end point none"),
        (
            {"annotations": make.kube_node(1, vni=1).annotations},
            "FlannelAnnotations",
            "announces VNI 1",
        ),
    ],
)
def test_a_node_that_lacks_something_fails_by_name(
    change: dict[str, Any], name: str, message: str
) -> None:
    seen = view(LINUX, replace(WINDOWS, **change))
    if name == "NodeReady":
        assert name in failed(seen)
    else:
        assert failed(seen) == {name}
    found = finding(seen, name)
    assert (found.level, found.target) == (Level.ERROR, "i-1")
    assert message in found.message


def test_end_points_that_two_nodes_announce_are_both_wrong() -> None:
    twin = replace(LINUX, annotations=WINDOWS.annotations)
    checks = node_checks(view(twin, WINDOWS), "c")
    found = next(c.findings for c in checks if c.name == "FlannelAnnotations")
    assert [item.target for item in found] == ["i-9", "i-1"]


def test_nodes_that_are_not_ready_need_no_announcement() -> None:
    assert failed(view(replace(LINUX, annotations={}, ready=False), WINDOWS)) == set()


def test_windows_nodes_of_others_are_not_judged() -> None:
    foreign = replace(WINDOWS, labels={"kubernetes.io/os": "windows"}, provider_id="")
    assert view(LINUX, foreign).windows == ()
    assert failed(view(LINUX, foreign)) == set()


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"node_selector": {"kubernetes.io/os": "linux"}}, CheckResult.WARN),
        ({"owner_kind": "DaemonSet", "phase": "Pending", "reason": "Err"}, CheckResult.WARN),
        ({"owner_kind": "DaemonSet", "phase": "Pending"}, CheckResult.PASS),
        ({"owner_kind": "DaemonSet"}, CheckResult.PASS),
        ({"phase": "Pending", "reason": "ContainerCreating"}, CheckResult.PASS),
        ({"node_selector": {"kubernetes.io/os": "linux"}, "node": "i-9"}, CheckResult.PASS),
        ({"node_selector": {"kubernetes.io/os": "linux"}, "node": ""}, CheckResult.PASS),
    ],
)
def test_linux_pods_on_windows_are_warned_about(
    change: dict[str, Any], result: CheckResult
) -> None:
    checks = node_checks(view(LINUX, WINDOWS, pods=(replace(POD, **change),)), "c")
    assert next(c.result for c in checks if c.name == "ForeignPods") is result


# -- probe pods --
ON_LINUX = ProbePod(name="l", expected=Placement.LINUX)
ON_WINDOWS = ProbePod(name="w", expected=Placement.WINDOWS, node=KubeNodeName("i-1"))
NOWHERE = ProbePod(name="n", expected=Placement.NOWHERE)
UNSCHEDULED = replace(POD, node="", phase="Pending", reason="Unschedulable", message="0/2 nodes")


def spec(probe: ProbePod) -> dict[str, Any]:
    manifest: dict[str, Any] = probe.manifest()
    found: dict[str, Any] = manifest["spec"]
    return found


def test_a_linux_probe_selects_nothing_so_that_the_taint_is_what_keeps_it_off() -> None:
    assert (spec(ON_LINUX)["nodeSelector"], spec(ON_LINUX)["tolerations"]) == ({}, [])


def test_a_windows_probe_goes_to_its_node_and_tolerates_the_taint_of_the_system() -> None:
    found = spec(ON_WINDOWS)
    assert found["nodeSelector"] == {
        "kubernetes.io/os": "windows",
        "kubernetes.io/hostname": "i-1",
    }
    assert [item["key"] for item in found["tolerations"]] == ["os"]


def test_a_probe_of_a_joining_node_tolerates_its_first_taint_too() -> None:
    found = spec(replace(ON_WINDOWS, proves_unready_node=True))
    assert [item["key"] for item in found["tolerations"]] == ["os", NOT_READY_TAINT]


def test_a_probe_that_belongs_nowhere_wants_windows_and_tolerates_nothing() -> None:
    found = spec(NOWHERE)
    assert found["nodeSelector"] == {"kubernetes.io/os": "windows"}
    assert found["tolerations"] == []


def test_probes_carry_no_token_and_are_found_by_label() -> None:
    manifest: dict[str, Any] = ON_LINUX.manifest()
    assert manifest["metadata"]["labels"] == {validation.PROBE_LABEL: "true"}
    assert spec(ON_LINUX)["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("probe", "pod", "expected", "seen"),
    [
        (ON_WINDOWS, None, None, "the pod is not there"),
        (ON_WINDOWS, POD, True, "runs on i-1"),
        (ON_WINDOWS, replace(POD, phase="Succeeded"), True, "runs on i-1"),
        (ON_WINDOWS, replace(POD, phase="Pending"), None, "Pending"),
        (ON_WINDOWS, UNSCHEDULED, None, "Pending Unschedulable 0/2 nodes"),
        (ON_WINDOWS, replace(POD, node="i-9"), False, "it was scheduled to i-9"),
        (
            ON_WINDOWS,
            replace(POD, phase="Failed", reason="Error"),
            False,
            "it failed on i-1: Error",
        ),
        (ON_LINUX, replace(POD, node="i-9"), True, "runs on i-9"),
        (ON_LINUX, POD, False, "it was scheduled to i-1"),
        (ON_LINUX, replace(POD, phase="Pending"), False, "it was scheduled to i-1"),
        (NOWHERE, UNSCHEDULED, True, "Unschedulable"),
        (NOWHERE, replace(UNSCHEDULED, reason=""), None, ""),
        (NOWHERE, POD, False, "it was scheduled to i-1 without tolerating its taint"),
        (NOWHERE, replace(POD, node="i-9"), False, "without tolerating"),
    ],
)
def test_a_probe_is_judged_by_where_it_landed(
    probe: ProbePod, pod: PodFacts | None, expected: bool | None, seen: str
) -> None:
    found, text = verdict(probe, pod, {KubeNodeName("i-1")})
    assert found is expected
    assert seen in text


def test_findings_decide_a_check_by_the_worst_of_them() -> None:
    error = Finding(level=Level.ERROR, name="n", target="t", message="m")
    warning = replace(error, level=Level.WARNING)
    info = replace(error, level=Level.INFO)
    results = [
        validation.check("n", "t", found).result
        for found in ((), (info,), (info, warning), (warning, error))
    ]
    assert results == [CheckResult.PASS, CheckResult.PASS, CheckResult.WARN, CheckResult.FAIL]
