"""What was asked, decided: a request and the cluster's facts become nodes with no open question."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from bootstrap.errors import UsageError
from bootstrap.model.cluster import ClusterFacts, Subnet
from bootstrap.model.node import (
    NOT_READY_TAINT,
    POOL_LABEL,
    DesiredNode,
    ImageFacts,
    NodeName,
    NodeRequest,
    Runtime,
    Tag,
    Taint,
)

OS_TAINT = Taint(key="os", value="windows")
BLOCKING_TAINT = Taint(key=NOT_READY_TAINT)
# kops-controller copies such EC2 tags to labels of the Node and prunes role labels that are not in
# tags (kops cmd/kops-controller/controllers/node_controller.go).
ROLE_LABEL_TAG = "k8s.io/cluster-autoscaler/node-template/label/node-role.kubernetes.io/windows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What was chosen for a pool before its nodes are laid out."""

    kubernetes_version: str
    runtime: Runtime
    image: ImageFacts
    user_data: str
    spec_hash: str


def node_names(request: NodeRequest) -> tuple[NodeName, ...]:
    """Return the given names, else ``<pool>-1`` to ``<pool>-<count>``."""
    if request.names:
        return request.names
    pool = request.pool
    return tuple(NodeName(f"{pool.name}-{number}") for number in range(1, pool.count + 1))


def pool_subnets(request: NodeRequest, facts: ClusterFacts) -> tuple[Subnet, ...]:
    """Return the pool's subnets; UsageError names what there is when one does not exist."""
    if not request.pool.subnets:
        return facts.node_subnets
    known = {subnet.name: subnet for subnet in facts.network.subnets}
    for name in request.pool.subnets:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(
                f"pool {request.pool.name}: cluster {facts.name} has no subnet {name!r}",
                target=name,
                evidence=f"subnets: {', '.join(sorted(known))}",
                fix=f"did you mean {near[0]!r}?" if near else "use one of these names",
                command=f"bootstrap add-node --subnet {near[0] if near else 'NAME'} ...",
            )
    return tuple(known[name] for name in request.pool.subnets)


def desired_nodes(
    request: NodeRequest, facts: ClusterFacts, choices: Choices
) -> tuple[DesiredNode, ...]:
    """Lay the nodes out over the subnets, round robin in the order of their names."""
    subnets = pool_subnets(request, facts)
    if not subnets:
        raise UsageError(
            f"cluster {facts.name} has no subnet with Linux nodes",
            target=facts.name,
            fix="name the subnets",
            command="bootstrap add-node --subnet NAME ...",
        )
    return tuple(
        _desired(name, subnets[index % len(subnets)], request, facts, choices)
        for index, name in enumerate(node_names(request))
    )


def _desired(
    name: NodeName, subnet: Subnet, request: NodeRequest, facts: ClusterFacts, choices: Choices
) -> DesiredNode:
    pool = request.pool
    return DesiredNode(
        name=name,
        cluster=facts.name,
        pool=pool,
        runtime=choices.runtime,
        windows=pool.windows,
        kubernetes_version=choices.kubernetes_version,
        subnet=subnet,
        image=choices.image,
        instance_type=pool.instance_type,
        security_groups=facts.node_security_groups,
        instance_profile=facts.node_instance_profile,
        key_name=facts.key_name,
        user_data=choices.user_data,
        tags=_tags(name, request, facts, choices.spec_hash),
        spec_hash=choices.spec_hash,
        labels={POOL_LABEL: pool.name, **pool.labels},
        taints=(*((OS_TAINT,) if pool.os_taint else ()), *pool.taints),
    )


def _tags(
    name: NodeName, request: NodeRequest, facts: ClusterFacts, spec_hash: str
) -> Mapping[str, str]:
    return {
        **dict(facts.cloud_labels),
        "Name": f"{name}.{facts.name}",
        "KubernetesCluster": facts.name,
        f"kubernetes.io/cluster/{facts.name}": "owned",
        ROLE_LABEL_TAG: "",
        Tag.OWNED.value: "true",
        Tag.CLUSTER.value: facts.name,
        Tag.POOL.value: request.pool.name,
        Tag.NODE.value: name,
        Tag.SPEC_HASH.value: spec_hash,
    }
