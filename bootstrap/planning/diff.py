"""Desired and observed become a plan. Pure; the same input always gives the same plan."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence

from bootstrap.model.finding import Finding, Level
from bootstrap.model.node import (
    SPEC_HASH_ANNOTATION,
    DesiredNode,
    InstanceState,
    KubeNode,
    NodeName,
    ObservedInstance,
    ObservedNode,
)
from bootstrap.model.plan import JoinNode, LaunchInstance, Plan, StartInstance, Step


def plan_nodes(
    *,
    desired: Sequence[DesiredNode],
    instances: Collection[ObservedInstance],
    nodes: Collection[KubeNode],
) -> Plan:
    """Plan what is missing for every desired node; nodes that are proven need nothing."""
    steps: list[Step] = []
    unchanged: list[NodeName] = []
    findings: list[Finding] = []
    for node in desired:
        ours = [item for item in instances if item.is_ours and item.node == node.name]
        alive = [item for item in ours if item.is_alive]
        if len(alive) > 1:
            findings.append(_doubled(node, alive))
            continue
        needed = tuple(_steps(node, observe(node.name, alive, nodes), ours))
        steps.extend(needed)
        if not needed:
            unchanged.append(node.name)
    return Plan(steps=tuple(steps), unchanged=tuple(unchanged), findings=tuple(findings))


def observe(
    name: NodeName, alive: Sequence[ObservedInstance], nodes: Collection[KubeNode]
) -> ObservedNode:
    """Pair a node's living instance with the Node object of the same instance id."""
    instance = alive[0] if alive else None
    kube = next(
        (item for item in nodes if instance and item.instance_id == instance.instance_id), None
    )
    return ObservedNode(name=name, instance=instance, kube=kube)


def _steps(
    node: DesiredNode, seen: ObservedNode, ours: Sequence[ObservedInstance]
) -> Iterator[Step]:
    if seen.instance is None:
        token = client_token(node, [item.instance_id for item in ours])
        yield LaunchInstance(desired=node, why="no instance carries this node", client_token=token)
        yield JoinNode(desired=node, why="the node is new")
    elif seen.instance.state in (InstanceState.STOPPED, InstanceState.STOPPING):
        instance = seen.instance
        yield StartInstance(
            desired=node, instance_id=instance.instance_id, why=f"it is {instance.state}"
        )
        yield JoinNode(desired=node, why="its instance was stopped")
    elif why := _why_join(node, seen):
        yield JoinNode(desired=node, why=why)


def _why_join(node: DesiredNode, seen: ObservedNode) -> str:
    if seen.kube is None:
        return "its instance has no Node object yet"
    if not seen.kube.ready:
        return "its Node is not Ready"
    if not seen.is_proven:
        return "it is not proven yet"
    if seen.kube.annotations.get(SPEC_HASH_ANNOTATION) != node.spec_hash:
        return "its configuration differs from what is wanted"
    return ""


def client_token(node: DesiredNode, earlier: Sequence[str]) -> str:
    """Return EC2's idempotency token of a launch, 64 characters.

    The ids of the node's earlier instances are in it, so that a replacement is a new launch while a
    repeated call after a kill is the same one.
    https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
    """
    parts = (
        node.cluster,
        node.name,
        node.spec_hash,
        node.instance_type,
        node.image.image_id,
        node.subnet.subnet_id,
        *sorted(earlier),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _doubled(node: DesiredNode, alive: Sequence[ObservedInstance]) -> Finding:
    ids = sorted(item.instance_id for item in alive)
    return Finding(
        level=Level.ERROR,
        name="NodeHasOneInstance",
        target=node.name,
        message=f"{len(ids)} instances carry node {node.name}",
        evidence={"instances": ids},
        fix="terminate all but one of them",
        command=f"aws ec2 terminate-instances --instance-ids {ids[-1]}",
    )
