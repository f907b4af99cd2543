"""What a pool's nodes will be: Kubernetes version, runtime, image, and a hash of it all. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace

from bootstrap.model.cluster import ClusterFacts
from bootstrap.model.finding import Finding, Level
from bootstrap.model.node import ImageFacts, KubeNodeName, NodeRequest, Runtime
from bootstrap.model.registries import DIRECT, Registries
from bootstrap.model.runtimes import runtimes_for
from bootstrap.model.secret import Secret
from bootstrap.planning import artifacts, support, versions
from bootstrap.planning.artifacts import Catalog
from bootstrap.planning.desired import OS_TAINT, Choices
from bootstrap.planning.node_config import Inputs, Placed, build
from bootstrap.planning.versions import minor


def resolve_runtime(wanted: Runtime, version: str) -> Runtime:
    """Return the runtime that ``auto`` means: containerd wherever it serves the version."""
    if wanted is not Runtime.AUTO:
        return wanted
    return next(iter(runtimes_for(minor(version))), Runtime.CONTAINERD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What every node gets: artifacts, user data, and its way to the registries."""

    catalog: Catalog
    user_data: str
    registries: Registries = DIRECT


def wanted_version(
    request: NodeRequest, facts: ClusterFacts, server_version: str
) -> tuple[str, tuple[Finding, ...]]:
    """Return the version that was asked for, else the store's, else that of the API server.

    The store may be ahead of the API server (an upgrade that has not rolled yet) or far behind it;
    nodes of a version that the API server does not serve would never register.
    """
    if request.pool.kubernetes_version:
        return request.pool.kubernetes_version, ()
    if versions.kubelet_fits(facts.kubernetes_version, server_version):
        return facts.kubernetes_version, ()
    follows = f"1.{minor(server_version)}"
    note = Finding(
        level=Level.WARNING,
        name="NodesFollowApiServer",
        target=facts.name,
        message=(
            f"the state store says Kubernetes {facts.kubernetes_version}, but the API server is"
            f" {server_version}: nodes get {follows}"
        ),
        evidence={"store": facts.kubernetes_version, "server": server_version},
        fix="finish the upgrade of the cluster, or name a version",
        command="bootstrap add-node --kubernetes-version 1.X ...",
    )
    return follows, (note,)


def choose(
    request: NodeRequest,
    facts: ClusterFacts,
    image: ImageFacts,
    server_version: str,
    payload: Payload,
) -> tuple[Choices, tuple[Finding, ...]]:
    """Choose version, runtime and artifacts of a pool, and say what that decides for its nodes."""
    catalog = payload.catalog
    wanted, notes = wanted_version(request, facts, server_version)
    version, findings = artifacts.choose_kubernetes(catalog, wanted)
    version = version or wanted
    runtime = resolve_runtime(request.pool.runtime, version)
    refused = support.runtime_refusals(runtime, version)
    findings = (*notes, *findings, *refused)
    if not _has_error(findings):
        unmirrored = support.mirror_refusals(runtime, payload.registries)
        findings = (*findings, *artifacts.missing(catalog, version, runtime), *unmirrored)
    choices = Choices(
        kubernetes_version=version,
        runtime=runtime,
        image=image,
        user_data=payload.user_data,
        spec_hash="",
    )
    if not _has_error(findings):
        decided = spec_hash(request, facts, payload, choices)
        choices = replace(choices, spec_hash=decided)
    return choices, findings


def _has_error(findings: tuple[Finding, ...]) -> bool:
    return any(finding.level is Level.ERROR for finding in findings)


def spec_hash(request: NodeRequest, facts: ClusterFacts, payload: Payload, choices: Choices) -> str:
    """Return 16 hex digits over everything that would have to change on a node itself.

    Addresses, ids and credentials are left out: they differ between the nodes of a pool, and those
    of the API server come and go with its load balancer.
    """
    pool = request.pool
    inputs = Inputs(
        facts=replace(facts, api=replace(facts.api, addresses=(_NOWHERE.address,))),
        windows=pool.windows,
        version=choices.kubernetes_version,
        runtime=choices.runtime,
        taints=(*((OS_TAINT,) if pool.os_taint else ()), *pool.taints),
        placed=_NOWHERE,
        chosen=artifacts.artifact_set(
            payload.catalog, choices.kubernetes_version, runtime=choices.runtime
        ),
        registries=payload.registries,
        tokens=_NO_TOKENS,
        pre_pull=pool.pre_pull,
    )
    config = build(inputs)
    plain = {item.name: getattr(config, item.name) for item in fields(config)}
    text = json.dumps(plain, sort_keys=True, default=_without_tokens)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_tokens(value: object) -> str:
    """Show a kubeconfig whose token is empty: the address and CA in it count."""
    return value.reveal() if isinstance(value, Secret) else str(value)


@dataclass(frozen=True, slots=True)
class _NoTokens:
    bootstrap: Secret = Secret("")
    flannel: Secret = Secret("")
    kube_proxy: Secret = Secret("")


_NO_TOKENS = _NoTokens()
_NOWHERE = Placed(
    node_name=KubeNodeName("node"),
    address="192.0.2.10",
    provider_id="aws:///zone/i-0",
    subnet_cidr="192.0.2.0/24",
)
