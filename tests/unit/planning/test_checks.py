"""Each preflight check: what passes, and each way in which it fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bootstrap.model.cluster import NodeNaming
from bootstrap.model.finding import CheckResult, Finding, Level
from bootstrap.model.kubernetes import DaemonSetFacts, LeaseFacts
from bootstrap.model.node import NodeName, NodeRequest, WindowsRelease
from bootstrap.planning import checks
from bootstrap.planning.checks import ClusterView, PoolView, View, run_checks
from tests.unit.planning import builders as make

DAEMON_SET = DaemonSetFacts(
    namespace="kube-system",
    name="node-local-dns",
    node_selector={},
    required_os=(),
    tolerates_all=True,
    tolerated_keys=(),
    priority_class="system-node-critical",
    generation=1,
    observed_generation=1,
    desired=1,
    updated=1,
    available=1,
)
CA = "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
LEASE = LeaseFacts(
    name="l", holder="h", acquired_at="", renewed_at="", duration_s=60, resource_version="1"
)


def cluster(**change: Any) -> ClusterView:
    base = ClusterView(
        facts=make.facts(),
        identity=make.identity(),
        nodes=(make.kube_node(9, os="linux"),),
        flannel=make.flannel(),
        daemon_sets=(),
        instances=(make.instance(9, tags={}),),
    )
    return replace(base, **change)


def pool(**change: Any) -> PoolView:
    base = PoolView(
        request=NodeRequest(pool=make.pool()),
        names=(NodeName("game-servers-1"),),
        subnets=make.facts().network.subnets,
        image=make.IMAGE,
        zones_offering=frozenset({"eu-west-1a", "eu-west-1b"}),
        has_private_key=True,
        kubernetes_version="1.34.5",
    )
    return replace(base, **change)


def failed(view: View) -> set[str]:
    return {item.name for item in run_checks(view) if item.result is CheckResult.FAIL}


def warned(view: View) -> set[str]:
    return {item.name for item in run_checks(view) if item.result is CheckResult.WARN}


def test_an_ordinary_cluster_and_pool_pass() -> None:
    results = {item.result for item in run_checks(View(cluster=cluster(), pool=pool()))}
    assert results == {CheckResult.PASS}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"flannel": None}, "FlannelPresent"),
        ({"flannel": make.flannel({"Type": "vxlan"})}, "FlannelVniPort"),
        ({"flannel": make.flannel({"Type": "vxlan", "VNI": 4096})}, "FlannelVniPort"),
        ({"flannel": make.flannel({"Type": "vxlan", "Port": 4789})}, "FlannelVniPort"),
        ({"flannel": make.flannel({"Type": "host-gw"})}, "FlannelVniPort"),
        ({"nodes": (make.kube_node(9, os="linux", vni=1),)}, "FlannelRolledOut"),
        ({"nodes": (make.kube_node(9, os="linux", annotations={}),)}, "FlannelRolledOut"),
        ({"nodes": (make.kube_node(9, os="linux", ready=False),)}, "LinuxNodeReady"),
        ({"nodes": ()}, "LinuxNodeReady"),
        ({"identity": make.identity(ca_pem=CA % "QUJD")}, "KubeconfigMatchesCluster"),
        ({"nodes": (make.kube_node(8, os="linux"),)}, "KubeconfigMatchesCluster"),
        ({"daemon_sets": (DAEMON_SET,)}, "DaemonSetsHaveOsSelector"),
        ({"facts": make.facts(key_type="ed25519")}, "KeyPairIsRsa"),
        ({"facts": make.facts(key_name="")}, "KeyPairIsRsa"),
    ],
)
def test_a_cluster_that_cannot_serve_fails(change: dict, name: str) -> None:
    assert failed(View(cluster=cluster(**change))) == {name}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"kubernetes_version": "1.35.1"}, "VersionSkew"),
        ({"kubernetes_version": "1.30.1"}, "VersionSkew"),
        ({"zones_offering": frozenset({"eu-west-1a"})}, "InstanceTypeOffered"),
        ({"zones_offering": frozenset()}, "InstanceTypeOffered"),
        ({"has_private_key": False}, "PrivateKeyGiven"),
        ({"subnets": (make.subnet(available_addresses=0),)}, "SubnetAddresses"),
        (
            {"image": replace(make.IMAGE, release=WindowsRelease.WS2022)},
            "ImageFitsRelease",
        ),
        (
            {
                "choice_findings": (
                    Finding(level=Level.ERROR, name="ArtifactsKnown", target="x", message="m"),
                )
            },
            "ArtifactsKnown",
        ),
    ],
)
def test_a_pool_that_cannot_be_made_fails(change: dict, name: str) -> None:
    assert failed(View(cluster=cluster(), pool=pool(**change))) == {name}


def test_a_pod_cidr_without_room_fails() -> None:
    small = replace(make.facts().network, pod_cidr="100.96.0.0/24")
    view = View(cluster=cluster(facts=make.facts(network=small)), pool=pool())
    assert failed(view) == {"PodCidrRoom"}


@pytest.mark.parametrize(
    "tags",
    [
        {"Name": "game-servers-1.games.example.com"},
        {"Name": "game-servers-1"},
        {
            "bootstrap/owned": "true",
            "bootstrap/node": "game-servers-1",
            "bootstrap/pool": "another",
        },
    ],
)
def test_a_name_that_is_taken_fails(tags: dict) -> None:
    taken = (make.instance(9, tags=tags),)
    assert failed(View(cluster=cluster(instances=taken), pool=pool())) == {"NameIsFree"}


@pytest.mark.parametrize(
    "change",
    [
        {"node_selector": {"kubernetes.io/os": "linux"}},
        {"required_os": ("linux",)},
        {"node_selector": {"node-role.kubernetes.io/control-plane": ""}},
        {"tolerates_all": False},
    ],
)
def test_daemon_sets_that_stay_on_linux_are_fine(change: dict) -> None:
    view = View(cluster=cluster(daemon_sets=(replace(DAEMON_SET, **change),)))
    assert failed(view) == set()


def test_what_only_deserves_a_warning_does_not_fail() -> None:
    plain = replace(DAEMON_SET, priority_class="")
    assert warned(View(cluster=cluster(daemon_sets=(plain,)))) == {"DaemonSetsHaveOsSelector"}
    held = cluster(lock=LEASE, lock_is_held=True)
    assert warned(View(cluster=held)) == {"LockIsFree"}
    other = cluster(facts=make.facts(node_naming=NodeNaming.PRIVATE_DNS))
    assert warned(View(cluster=other)) == {"NodeNaming"}


def test_only_and_skip_choose_checks() -> None:
    view = View(cluster=cluster(flannel=None))
    only = run_checks(view, only=["NodeNaming"])
    assert {c.name for c in only if c.result is not CheckResult.SKIP} == {"NodeNaming"}
    skipped = run_checks(view, skip=["FlannelPresent"])
    assert not any(c.result is CheckResult.FAIL for c in skipped)


def test_names_of_checks_are_unique_and_meant_for_people() -> None:
    names = [rule.name for rule in checks.RULES]
    assert len(set(names)) == len(names)
    assert all(rule.meaning for rule in checks.RULES)
