"""A plan is data: steps that would lead from what is observed to what is desired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from bootstrap.model.finding import Finding
from bootstrap.model.node import DesiredNode, InstanceId, NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchInstance:
    """Launch the instance of a node, or find the one that an earlier run launched."""

    desired: DesiredNode
    why: str
    client_token: str

    @property
    def node(self) -> NodeName:
        """The node it is for."""
        return self.desired.name


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInstance:
    """Start an instance of ours that is stopped."""

    desired: DesiredNode
    instance_id: InstanceId
    why: str

    @property
    def node(self) -> NodeName:
        """The node it is for."""
        return self.desired.name


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinNode:
    """Reach, trust, configure and join the node, approve its certificate, prove it, untaint it."""

    desired: DesiredNode
    why: str

    @property
    def node(self) -> NodeName:
        """The node it is for."""
        return self.desired.name


Step = LaunchInstance | StartInstance | JoinNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in order; those of different nodes are independent of each other."""

    steps: tuple[Step, ...]
    unchanged: tuple[NodeName, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not self.steps


def describe(step: Step) -> str:
    """Say in one line what a step would do."""
    match step:
        case LaunchInstance(desired=desired):
            image = desired.image.name or desired.image.image_id
            where = f"{desired.subnet.name} ({desired.subnet.zone})"
            return f"launch {desired.instance_type} with {image} in {where}"
        case StartInstance(instance_id=instance_id):
            return f"start {instance_id}"
        case JoinNode(desired=desired):
            return (
                f"install {desired.runtime} and Kubernetes {desired.kubernetes_version}"
                f" on Windows Server {desired.windows}, join, validate, untaint"
            )
        case _:
            assert_never(step)
