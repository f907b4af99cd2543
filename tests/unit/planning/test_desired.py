"""A request and a cluster's facts become nodes on which nothing is open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bootstrap.errors import ExitCode, UsageError
from bootstrap.model.cluster import SubnetType
from bootstrap.model.node import NodeName, NodeRequest, Taint
from bootstrap.planning.desired import ROLE_LABEL_TAG, desired_nodes, node_names, pool_subnets
from tests.unit.planning import builders as make


def request(**change: object) -> NodeRequest:
    return NodeRequest(pool=make.pool(**change))


def test_nodes_are_numbered_from_one() -> None:
    assert node_names(request(count=3)) == ("game-servers-1", "game-servers-2", "game-servers-3")


def test_given_names_are_taken_as_they_are() -> None:
    given = replace(request(count=5), names=(NodeName("lobby"), NodeName("arena")))
    assert node_names(given) == ("lobby", "arena")


def test_subnets_are_those_of_the_linux_nodes_by_default() -> None:
    assert [s.name for s in pool_subnets(request(), make.facts())] == ["eu-west-1a", "eu-west-1b"]


def test_given_subnets_keep_their_order() -> None:
    asked = request(subnets=("eu-west-1b", "eu-west-1a"))
    assert [s.name for s in pool_subnets(asked, make.facts())] == ["eu-west-1b", "eu-west-1a"]


@pytest.mark.parametrize(
    ("name", "fix"),
    [("eu-west-1aa", "did you mean 'eu-west-1a'?"), ("x", "use one of these names")],
)
def test_a_subnet_that_is_not_there_is_refused_with_those_that_are(name: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        pool_subnets(request(subnets=("eu-west-1a", name)), make.facts())
    assert (caught.value.target, caught.value.fix) == (name, fix)
    assert caught.value.evidence == "subnets: eu-west-1a, eu-west-1b"
    assert caught.value.exit_code is ExitCode.USAGE


def test_nodes_never_go_into_a_utility_subnet_by_default() -> None:
    network = make.facts().network
    utility = make.subnet("eu-west-1a", type=SubnetType.UTILITY)
    facts = make.facts(network=replace(network, subnets=(utility,)))
    with pytest.raises(UsageError, match="no subnet with Linux nodes"):
        desired_nodes(request(), facts, make.choices())


def test_everything_of_a_node_is_decided() -> None:
    asked = request(labels={"team": "games"}, taints=(Taint(key="gpu", effect="NoExecute"),))
    (node,) = desired_nodes(asked, make.facts(), make.choices())
    assert (node.name, node.cluster) == ("game-servers-1", "games.example.com")
    assert node.labels == {"bootstrap.node/pool": "game-servers", "team": "games"}
    assert [str(taint) for taint in node.taints] == ["os=windows:NoSchedule", "gpu:NoExecute"]
    assert (node.security_groups, node.instance_profile) == (("sg-1",), "nodes.games.example.com")
    assert (node.key_name, node.image, node.spec_hash) == (
        "key",
        make.IMAGE,
        make.choices().spec_hash,
    )


def test_the_os_taint_can_be_left_out() -> None:
    (node,) = desired_nodes(request(os_taint=False), make.facts(), make.choices())
    assert node.taints == ()


def test_tags_mark_what_is_ours_and_win_over_the_clusters_own() -> None:
    labels = (("cost-center", "17"), ("bootstrap/owned", "false"))
    facts = make.facts(cloud_labels=labels)
    (node,) = desired_nodes(request(), facts, make.choices())
    assert node.tags == {
        "cost-center": "17",
        "Name": "game-servers-1.games.example.com",
        "KubernetesCluster": "games.example.com",
        "kubernetes.io/cluster/games.example.com": "owned",
        ROLE_LABEL_TAG: "",
        "bootstrap/owned": "true",
        "bootstrap/cluster": "games.example.com",
        "bootstrap/pool": "game-servers",
        "bootstrap/node": "game-servers-1",
        "bootstrap/spec-hash": "0123456789abcdef",
    }
