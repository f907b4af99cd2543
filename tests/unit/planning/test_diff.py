"""What is missing becomes steps; what is proven needs none."""

from __future__ import annotations

from dataclasses import replace

from bootstrap.model.node import NOT_READY_TAINT, InstanceState, Taint
from bootstrap.model.plan import JoinNode, LaunchInstance, StartInstance
from bootstrap.planning.diff import client_token, plan_nodes
from tests.unit.planning.builders import desired, instance, kube_node


def steps(plan) -> list[type]:
    return [type(step) for step in plan.steps]


def test_a_new_node_is_launched_and_joined() -> None:
    plan = plan_nodes(desired=desired(), instances=[], nodes=[])
    assert steps(plan) == [LaunchInstance, JoinNode]


def test_a_proven_node_needs_no_step() -> None:
    plan = plan_nodes(desired=desired(), instances=[instance()], nodes=[kube_node()])
    assert (plan.is_empty, plan.unchanged) == (True, ("game-servers-1",))


def test_an_instance_without_node_is_joined_not_launched_again() -> None:
    assert steps(plan_nodes(desired=desired(), instances=[instance()], nodes=[])) == [JoinNode]


def test_a_node_with_its_first_taint_is_joined_on() -> None:
    tainted = kube_node(taints=(Taint(key=NOT_READY_TAINT),))
    plan = plan_nodes(desired=desired(), instances=[instance()], nodes=[tainted])
    assert steps(plan) == [JoinNode]


def test_a_node_that_is_not_ready_is_joined_again() -> None:
    plan = plan_nodes(desired=desired(), instances=[instance()], nodes=[kube_node(ready=False)])
    assert steps(plan) == [JoinNode]


def test_another_configuration_is_put_on_the_node() -> None:
    old = kube_node(annotations={"bootstrap.node/spec-hash": "old"})
    plan = plan_nodes(desired=desired(), instances=[instance()], nodes=[old])
    assert "configuration differs" in plan.steps[0].why


def test_a_stopped_instance_is_started() -> None:
    stopped = instance(state=InstanceState.STOPPED)
    plan = plan_nodes(desired=desired(), instances=[stopped], nodes=[])
    assert steps(plan) == [StartInstance, JoinNode]


def test_a_terminated_instance_is_replaced_under_another_token() -> None:
    gone = instance(state=InstanceState.TERMINATED)
    first = plan_nodes(desired=desired(), instances=[], nodes=[]).steps[0]
    second = plan_nodes(desired=desired(), instances=[gone], nodes=[]).steps[0]
    assert isinstance(first, LaunchInstance)
    assert isinstance(second, LaunchInstance)
    assert first.client_token != second.client_token


def test_the_token_is_the_same_each_time() -> None:
    node = desired()[0]
    assert client_token(node, ["b", "a"]) == client_token(node, ["a", "b"])
    assert len(client_token(node, [])) == 64


def test_two_instances_of_one_node_are_refused() -> None:
    doubled = [instance(1), replace(instance(2), tags=instance(1).tags)]
    plan = plan_nodes(desired=desired(), instances=doubled, nodes=[])
    assert (plan.steps, [f.name for f in plan.findings]) == ((), ["NodeHasOneInstance"])


def test_foreign_instances_do_not_count() -> None:
    foreign = instance(tags={"bootstrap/node": "game-servers-1"})
    assert steps(plan_nodes(desired=desired(), instances=[foreign], nodes=[])) == [
        LaunchInstance,
        JoinNode,
    ]


def test_nodes_are_laid_out_over_the_subnets() -> None:
    zones = [node.subnet.zone for node in desired(3)]
    assert zones == ["eu-west-1a", "eu-west-1b", "eu-west-1a"]
