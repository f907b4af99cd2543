"""Each preflight check: what passes, and each way in which it fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bootstrap.model.cluster import ApiEndpoint, NameResolution, NodeNaming
from bootstrap.model.finding import CheckResult, Finding, Level
from bootstrap.model.kubernetes import DaemonSetFacts, LeaseFacts
from bootstrap.model.node import InstanceState, NodeName, NodeRequest, WindowsRelease
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


def chosen_with(name: str) -> dict[str, object]:
    """Return that choosing for a pool refused something by this name."""
    finding = Finding(level=Level.ERROR, name=name, target="x", message="m")
    return {"choice_findings": (finding,)}


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
        (chosen_with("ArtifactsKnown"), "ArtifactsKnown"),
        (chosen_with("RuntimeServesKubernetes"), "RuntimeServesKubernetes"),
        (chosen_with("RegistryMirrorsServed"), "RegistryMirrorsServed"),
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


@pytest.mark.parametrize("rule", [r for r in checks.RULES if r.needs_pool], ids=lambda r: r.name)
def test_what_judges_a_pool_has_nothing_to_say_without_one(rule: checks.CheckRule) -> None:
    assert list(rule.function(View(cluster=cluster()))) == []
    (check,) = [c for c in run_checks(View(cluster=cluster())) if c.name == rule.name]
    assert (check.result, check.reason) == (CheckResult.SKIP, "needs a pool")


def findings(name: str, view: View) -> tuple[Finding, ...]:
    (check,) = [item for item in run_checks(view) if item.name == name]
    return check.findings


def view_of_api(api: ApiEndpoint) -> View:
    return View(cluster=cluster(facts=make.facts(api=api)))


def test_what_the_store_was_refused_for_is_passed_on() -> None:
    refusal = Finding(level=Level.ERROR, name="CniServesWindows", target="x", message="m")
    view = View(cluster=cluster(), support_findings=(refusal,))
    assert failed(view) == {"StoreSupported"}
    assert findings("StoreSupported", view) == (refusal,)


def test_a_ca_that_is_one_of_several_is_the_clusters() -> None:
    bundle = CA % "T0xE" + make.facts().ca_bundle
    assert failed(View(cluster=cluster(identity=make.identity(ca_pem=bundle)))) == set()


def test_a_wrong_kubeconfig_is_told_by_its_ca_or_by_its_nodes() -> None:
    other_ca = cluster(identity=make.identity(ca_pem=CA % "QUJD"))
    other_nodes = cluster(nodes=(make.kube_node(8, os="linux"),))
    reasons = [
        findings("KubeconfigMatchesCluster", View(cluster=view))[0].evidence["reason"]
        for view in (other_ca, other_nodes)
    ]
    assert reasons == ["its CA is another one", "its nodes are other instances"]


def test_nodes_without_a_provider_id_do_not_speak_against_the_kubeconfig() -> None:
    bare = (make.kube_node(8, os="linux", provider_id=""),)
    assert failed(View(cluster=cluster(nodes=bare))) == set()


@pytest.mark.parametrize("resolution", [NameResolution.NONE, NameResolution.GOSSIP])
def test_an_api_that_nobody_can_find_is_refused(resolution: NameResolution) -> None:
    api = replace(make.facts().api, resolution=resolution)
    (finding,) = findings("ApiNameResolves", view_of_api(api))
    assert finding.level is Level.ERROR
    assert api.host in finding.message
    assert not findings("ApiNameResolves", view_of_api(replace(api, addresses=("10.0.0.9",))))


def test_an_api_in_a_dns_zone_needs_no_address() -> None:
    assert not findings("ApiNameResolves", view_of_api(make.facts().api))


def test_node_local_dns_is_told_and_nothing_more() -> None:
    network = replace(make.facts().network, node_local_dns=True)
    view = View(cluster=cluster(facts=make.facts(network=network)))
    (finding,) = findings("NodeLocalDns", view)
    assert (finding.level, failed(view), warned(view)) == (Level.INFO, set(), set())
    assert "Windows pods use 100.64.0.10" in finding.message


def test_linux_that_is_not_ready_is_not_waited_for_by_flannel() -> None:
    nodes = (
        make.kube_node(9, os="linux"),
        make.kube_node(7, os="linux", vni=1, ready=False),
        make.kube_node(1, vni=1),
    )
    assert failed(View(cluster=cluster(nodes=nodes))) == set()


def test_an_unconfigured_flannel_is_not_also_called_not_rolled_out() -> None:
    nodes = (make.kube_node(9, os="linux", vni=1),)
    view = View(cluster=cluster(nodes=nodes, flannel=make.flannel({"Type": "vxlan"})))
    assert failed(view) == {"FlannelVniPort"}


def test_version_skew_says_what_may_be_chosen() -> None:
    (finding,) = findings(
        "VersionSkew", View(cluster=cluster(), pool=pool(kubernetes_version="1.30.1"))
    )
    assert finding.fix == "choose 1.31 to 1.34"
    old = cluster(identity=make.identity(version="v1.27.16"))
    (finding,) = findings("VersionSkew", View(cluster=old, pool=pool()))
    assert finding.fix == "choose 1.25 to 1.27"


def test_only_new_nodes_take_addresses() -> None:
    full = (make.subnet(available_addresses=0),)
    there = cluster(instances=(make.instance(1),), nodes=(make.kube_node(1, os="linux"),))
    assert failed(View(cluster=there, pool=pool(subnets=full))) == set()
    unknown = (make.subnet(available_addresses=None),)
    assert failed(View(cluster=cluster(), pool=pool(subnets=unknown))) == set()
    assert failed(View(cluster=cluster(), pool=pool(subnets=()))) == set()


def test_addresses_are_counted_subnet_by_subnet() -> None:
    subnets = (make.subnet("eu-west-1a", available_addresses=1), make.subnet("eu-west-1b"))
    names = tuple(NodeName(f"game-servers-{n}") for n in (1, 2, 3))
    (finding,) = findings(
        "SubnetAddresses", View(cluster=cluster(), pool=pool(names=names, subnets=subnets))
    )
    assert finding.target == "eu-west-1a"
    assert finding.message == "1 free addresses, 2 are needed"


def test_the_last_pod_cidr_may_be_used() -> None:
    network = replace(make.facts().network, pod_cidr="100.96.0.0/23")
    view = View(cluster=cluster(facts=make.facts(network=network)), pool=pool())
    assert failed(view) == set()


def test_an_image_that_does_not_tell_its_release_passes() -> None:
    unknown = replace(make.IMAGE, release=None)
    assert failed(View(cluster=cluster(), pool=pool(image=unknown))) == set()


def test_a_key_that_ec2_does_not_know_the_type_of_passes() -> None:
    assert failed(View(cluster=cluster(facts=make.facts(key_type="")))) == set()


def test_a_name_of_the_same_pool_or_of_the_dead_is_free() -> None:
    dead = make.instance(8, tags={"Name": "game-servers-1"}, state=InstanceState.TERMINATED)
    instances = (make.instance(9, tags={}), make.instance(1), dead)
    assert failed(View(cluster=cluster(instances=instances), pool=pool())) == set()


def test_a_lock_that_nobody_living_holds_is_free() -> None:
    assert warned(View(cluster=cluster(lock=LEASE))) == set()
