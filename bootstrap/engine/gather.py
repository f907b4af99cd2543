"""Read what is there. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bootstrap.engine import locking
from bootstrap.errors import BootstrapError, RefusedError
from bootstrap.model.cluster import ClusterFacts, ClusterName, StoreFacts
from bootstrap.model.finding import Finding, has_errors
from bootstrap.model.node import KubeNode, NodeName, ObservedInstance, ObservedNode
from bootstrap.planning import kops_spec
from bootstrap.planning.checks import ClusterView
from bootstrap.ports import Clock, ClusterApi, InstanceStore, ProcessTable, StateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports through which a cluster is read."""

    state: StateStore
    instances: InstanceStore
    api: ClusterApi
    processes: ProcessTable
    clock: Clock


def store_facts(name: ClusterName, state: StateStore) -> StoreFacts:
    """Read the state store."""
    return state.read(name)


def cluster_facts(store: StoreFacts, instances: InstanceStore) -> ClusterFacts:
    """Add to the store's facts what EC2 knows."""
    return kops_spec.assemble(store, instances.aws_facts(store))


def cluster_view(facts: ClusterFacts, ports: Ports) -> ClusterView:
    """Read what checks look at."""
    lease = ports.api.lease(locking.LEASE)
    return ClusterView(
        facts=facts,
        identity=ports.api.identity(),
        nodes=ports.api.nodes(),
        flannel=ports.api.flannel(),
        daemon_sets=ports.api.daemon_sets(),
        instances=ports.instances.instances(facts.name),
        lock=lease,
        lock_is_held=lease is not None
        and not locking.is_mine(lease, ports.processes)
        and locking.is_held(lease, now=ports.clock.now(), processes=ports.processes),
    )


def observed_nodes(
    instances: Sequence[ObservedInstance], nodes: Sequence[KubeNode]
) -> tuple[ObservedNode, ...]:
    """Pair our living instances with their Nodes; then every other Node, Linux ones too."""
    by_instance = {node.instance_id: node for node in nodes if node.instance_id}
    ours = [item for item in instances if item.is_ours and item.is_alive]
    pairs = [
        ObservedNode(name=item.node, instance=item, kube=by_instance.get(item.instance_id))
        for item in sorted(ours, key=lambda item: (item.node, item.instance_id))
    ]
    taken = {pair.kube.name for pair in pairs if pair.kube is not None}
    known = {item.instance_id: item for item in instances}
    others = [
        ObservedNode(name=NodeName(node.name), instance=known.get(node.instance_id), kube=node)
        for node in sorted(nodes, key=lambda node: node.name)
        if node.name not in taken
    ]
    return (*pairs, *others)


def names_of(node: ObservedNode) -> frozenset[str]:
    """Return every name by which a user may mean a node."""
    names = {str(node.name)}
    if node.kube is not None:
        names.add(node.kube.name)
    if node.instance is not None:
        names.add(node.instance.instance_id)
    return frozenset(names)


def refuse(findings: Sequence[Finding], *, what: str) -> None:
    """Raise RefusedError when a finding is an error."""
    if has_errors(findings):
        first = next(item for item in findings if has_errors([item]))
        error: BootstrapError = RefusedError(
            f"{what} is refused: {first.message}",
            name=first.name,
            target=first.target,
            fix=first.fix or "",
            command=first.command or "",
        )
        raise error
