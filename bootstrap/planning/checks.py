"""Preflight: named checks on what was seen. Pure; each check is one function that yields findings.

An ERROR stops a run before anything has changed. Names are stable: users quote them in ``--only``
and ``--skip``, and ``bootstrap support-matrix --checks`` lists them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from bootstrap.model.cluster import ClusterFacts, NameResolution, NodeNaming, Subnet
from bootstrap.model.finding import Check, CheckResult, Finding, Level
from bootstrap.model.kubernetes import ClusterIdentity, DaemonSetFacts, FlannelConfig, LeaseFacts
from bootstrap.model.node import (
    ImageFacts,
    KubeNode,
    NodeName,
    NodeRequest,
    ObservedInstance,
)
from bootstrap.planning import flannel, versions

LINUX_ONLY_KEYS = ("kubernetes.io/os", "beta.kubernetes.io/os")
# kops cuts a /24 out of the pod CIDR for every node (kube-controller-manager's default mask).
NODE_CIDR_PREFIX = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """What was read of the cluster."""

    facts: ClusterFacts
    identity: ClusterIdentity
    nodes: tuple[KubeNode, ...]
    flannel: FlannelConfig | None
    daemon_sets: tuple[DaemonSetFacts, ...]
    instances: tuple[ObservedInstance, ...]
    lock: LeaseFacts | None = None
    lock_is_held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """What was read and chosen for one pool."""

    request: NodeRequest
    names: tuple[NodeName, ...]
    subnets: tuple[Subnet, ...]
    image: ImageFacts
    zones_offering: frozenset[str]
    has_private_key: bool
    kubernetes_version: str
    choice_findings: tuple[Finding, ...] = ()
    """What choosing version, runtime and artifacts had to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that checks look at; without a pool, checks of pools are left out."""

    cluster: ClusterView
    pool: PoolView | None = None
    support_findings: tuple[Finding, ...] = ()


CheckFunction = Callable[[View], Iterable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRule:
    """One check: its name, what it means to a user, and whether it needs a pool."""

    name: str
    meaning: str
    function: CheckFunction
    needs_pool: bool = False


def store_supported(view: View) -> Iterable[Finding]:
    """Pass on what the state store alone was refused for."""
    return view.support_findings


def kubeconfig_matches_cluster(view: View) -> Iterator[Finding]:
    """See that the API server is the one whose CA and instances the state store and EC2 tell of."""
    cluster = view.cluster
    ours, theirs = (
        _certificates(pem) for pem in (cluster.facts.ca_bundle, cluster.identity.ca_pem)
    )
    wrong_ca = bool(ours and theirs and not ours & theirs)
    if wrong_ca or not _shares_instances(cluster):
        yield Finding(
            level=Level.ERROR,
            name="KubeconfigMatchesCluster",
            target=cluster.identity.server,
            message=f"the kubeconfig does not lead to {cluster.facts.name}",
            evidence={
                "server": cluster.identity.server,
                "reason": "its CA is another one" if wrong_ca else "its nodes are other instances",
            },
            fix="use the kubeconfig of this cluster",
            command=f"kops export kubeconfig {cluster.facts.name} --admin",
        )


def _certificates(bundle: str) -> frozenset[str]:
    end = "-----END CERTIFICATE-----"
    return frozenset("".join(part.split()) for part in bundle.split(end) if part.strip())


def _shares_instances(cluster: ClusterView) -> bool:
    known = {node.instance_id for node in cluster.nodes if node.provider_id}
    seen = {instance.instance_id for instance in cluster.instances}
    return not known or not seen or bool(known & seen)


def linux_node_ready(view: View) -> Iterator[Finding]:
    """Hybrid needs a Linux half: cluster DNS and the validation's Linux pod run there."""
    linux = [node for node in view.cluster.nodes if not node.is_windows]
    if not any(node.ready for node in linux):
        yield Finding(
            level=Level.ERROR,
            name="LinuxNodeReady",
            target=view.cluster.facts.name,
            message="no Linux node is Ready",
            evidence={"linuxNodes": [node.name for node in linux]},
            fix="bring the kops nodes up first",
            command=f"kops validate cluster {view.cluster.facts.name}",
        )


def flannel_present(view: View) -> Iterator[Finding]:
    """The overlay that Windows joins is kops' flannel."""
    if view.cluster.flannel is None:
        yield Finding(
            level=Level.ERROR,
            name="FlannelPresent",
            target=view.cluster.facts.name,
            message="the cluster has no ConfigMap kube-flannel-cfg",
            evidence={"namespaces": ["kube-flannel", "kube-system"]},
            fix="Windows nodes need flannel with backend vxlan",
            command="kubectl get configmap --all-namespaces | grep flannel",
        )


def flannel_vni_port(view: View) -> Iterator[Finding]:
    """Linux must use the VNI and port that Windows can."""
    found = view.cluster.flannel
    if found is None or flannel.serves_windows(found):
        return
    yield Finding(
        level=Level.ERROR,
        name="FlannelVniPort",
        target=f"{found.namespace}/{found.config_map}",
        message=(
            f"flannel uses VNI {flannel.vni(found)} and UDP {flannel.port(found)};"
            f" Windows needs VNI {flannel.WINDOWS_VNI} and UDP {flannel.WINDOWS_PORT} on every node"
        ),
        evidence={"net-conf.json": dict(found.net_conf)},
        fix=(
            "set both in the ConfigMap and restart flannel on every Linux node; pods lose the"
            " network between nodes for some seconds, and a later kops upgrade may revert it"
        ),
        command="bootstrap preflight --fix --yes",
    )


def flannel_rolled_out(view: View) -> Iterator[Finding]:
    """A ConfigMap alone changes nothing: every Linux node must have announced the VNI."""
    found = view.cluster.flannel
    if found is None or not flannel.serves_windows(found):
        return
    behind = {
        node.name: flannel.node_vni(node)
        for node in view.cluster.nodes
        if not node.is_windows and node.ready and flannel.node_vni(node) != flannel.WINDOWS_VNI
    }
    if behind:
        yield Finding(
            level=Level.ERROR,
            name="FlannelRolledOut",
            target=f"{found.namespace}/{found.daemon_set}",
            message=f"{len(behind)} Linux nodes do not use VNI {flannel.WINDOWS_VNI} yet",
            evidence={"vniByNode": behind},
            fix="restart flannel on them",
            command="bootstrap preflight --fix --yes",
        )


def version_skew(view: View) -> Iterator[Finding]:
    """A kubelet may be older than the API server by so much, and never newer."""
    if view.pool is None:
        return
    server = view.cluster.identity.minor
    wanted = versions.minor(view.pool.kubernetes_version)
    if versions.kubelet_fits(view.pool.kubernetes_version, view.cluster.identity.version):
        return
    yield Finding(
        level=Level.ERROR,
        name="VersionSkew",
        target=view.pool.request.pool.name,
        message=f"kubelet 1.{wanted} does not go with API server {view.cluster.identity.version}",
        evidence={"kubelet": view.pool.kubernetes_version, "server": view.cluster.identity.version},
        fix=f"choose 1.{server - versions.allowed_kubelet_skew(server)} to 1.{server}",
        command=f"bootstrap add-node --kubernetes-version 1.{server} ...",
    )


def node_naming(view: View) -> Iterator[Finding]:
    """The names of the nodes that are there must be of the kind that the store tells of."""
    wanted = view.cluster.facts.node_naming
    other = [
        node.name
        for node in view.cluster.nodes
        if node.provider_id
        and (str(node.name) == node.instance_id) != (wanted is NodeNaming.INSTANCE_ID)
    ]
    if other:
        yield Finding(
            level=Level.WARNING,
            name="NodeNaming",
            target=view.cluster.facts.name,
            message=f"nodes should be named by {wanted}, but {len(other)} are not",
            evidence={"nodes": sorted(other)[:10]},
            fix="check which kops version last updated the cluster",
            command=f"kops get cluster {view.cluster.facts.name} -o yaml",
        )


def daemon_sets_have_os_selector(view: View) -> Iterator[Finding]:
    """A DaemonSet that tolerates every taint lands on Windows nodes unless it selects its OS."""
    for item in view.cluster.daemon_sets:
        if _selects_os(item) or not (item.tolerates_all or "os" in item.tolerated_keys):
            continue
        patch = '{"spec":{"template":{"spec":{"nodeSelector":{"kubernetes.io/os":"linux"}}}}}'
        yield Finding(
            level=Level.ERROR if item.priority_class.startswith("system-") else Level.WARNING,
            name="DaemonSetsHaveOsSelector",
            target=f"{item.namespace}/{item.name}",
            message="its pods would be scheduled to Windows nodes and stay broken there",
            evidence={"priorityClass": item.priority_class, "toleratesAll": item.tolerates_all},
            fix="give it the node selector kubernetes.io/os=linux",
            command=f"kubectl -n {item.namespace} patch daemonset {item.name} -p '{patch}'",
        )


def _selects_os(item: DaemonSetFacts) -> bool:
    control_plane = any("node-role.kubernetes.io" in key for key in item.node_selector)
    return (
        bool(item.required_os)
        or control_plane
        or any(key in item.node_selector for key in LINUX_ONLY_KEYS)
    )


def node_local_dns(view: View) -> Iterator[Finding]:
    """Say that Windows pods ask the DNS service where Linux pods ask NodeLocal DNS."""
    network = view.cluster.facts.network
    if network.node_local_dns:
        yield Finding(
            level=Level.INFO,
            name="NodeLocalDns",
            target=view.cluster.facts.name,
            message=f"NodeLocal DNS is Linux-only; Windows pods use {network.dns_service_ip}",
        )


def api_name_resolves(view: View) -> Iterator[Finding]:
    """Without DNS for the API's name, nodes get it with its addresses in their hosts files."""
    api = view.cluster.facts.api
    if api.resolution is NameResolution.DNS_ZONE or api.addresses:
        return
    yield Finding(
        level=Level.ERROR,
        name="ApiNameResolves",
        target=api.host,
        message=f"no DNS serves {api.host}, and no address of the API is known",
        evidence={"resolution": str(api.resolution), "addresses": []},
        fix="is the control plane running, and may this identity describe its instances?",
        command="kops validate cluster",
    )


def pod_cidr_room(view: View) -> Iterator[Finding]:
    """Every node needs a /24 of its own out of the pod CIDR."""
    if view.pool is None:
        return
    network = ipaddress.ip_network(view.cluster.facts.network.pod_cidr)
    room = 2 ** max(0, NODE_CIDR_PREFIX - network.prefixlen) - len(view.cluster.nodes)
    new = len(view.pool.names)
    if new > room:
        yield Finding(
            level=Level.ERROR,
            name="PodCidrRoom",
            target=view.cluster.facts.name,
            message=f"the pod CIDR has room for {max(room, 0)} more nodes, {new} are wanted",
            evidence={"podCidr": str(network), "nodes": len(view.cluster.nodes)},
            fix="ask for fewer nodes",
        )


def subnet_addresses(view: View) -> Iterator[Finding]:
    """Each new instance takes an address of its subnet."""
    if view.pool is None:
        return
    there = {item.node for item in view.cluster.instances if item.is_ours and item.is_alive}
    wanted: dict[str, int] = {}
    for index, name in enumerate(view.pool.names):
        if name not in there and view.pool.subnets:
            subnet = view.pool.subnets[index % len(view.pool.subnets)]
            wanted[subnet.name] = wanted.get(subnet.name, 0) + 1
    for subnet in view.pool.subnets:
        free = subnet.available_addresses
        if free is not None and wanted.get(subnet.name, 0) > free:
            yield Finding(
                level=Level.ERROR,
                name="SubnetAddresses",
                target=subnet.name,
                message=f"{free} free addresses, {wanted[subnet.name]} are needed",
                evidence={"subnetId": subnet.subnet_id, "cidr": subnet.cidr},
                fix="use another subnet or free addresses",
                command="bootstrap add-node --subnet NAME ...",
            )


def instance_type_offered(view: View) -> Iterator[Finding]:
    """EC2 must offer the type in the zones of the pool's subnets."""
    if view.pool is None:
        return
    missing = sorted({item.zone for item in view.pool.subnets} - view.pool.zones_offering)
    if missing:
        kind = view.pool.request.pool.instance_type
        yield Finding(
            level=Level.ERROR,
            name="InstanceTypeOffered",
            target=kind,
            message=f"EC2 does not offer {kind} in {', '.join(missing)}",
            evidence={"zones": missing, "offeredIn": sorted(view.pool.zones_offering)},
            fix="choose another instance type or subnets",
            command="bootstrap add-node --instance-type m5.xlarge ...",
        )


def key_pair_is_rsa(view: View) -> Iterator[Finding]:
    """EC2 encrypts the Administrator password to RSA keys only."""
    facts = view.cluster.facts
    if not facts.key_name or facts.key_type not in ("rsa", ""):
        yield Finding(
            level=Level.ERROR,
            name="KeyPairIsRsa",
            target=facts.key_name or facts.name,
            message=(
                f"key pair {facts.key_name} is {facts.key_type}; Windows needs RSA"
                if facts.key_name
                else "the cluster has no key pair"
            ),
            fix="give kops an RSA key",
            command="kops create sshpublickey ... -i ~/.ssh/id_rsa.pub",
        )


def private_key_given(view: View) -> Iterator[Finding]:
    """Without the private key the Administrator password stays encrypted."""
    if view.pool is not None and not view.pool.has_private_key:
        yield Finding(
            level=Level.ERROR,
            name="PrivateKeyGiven",
            target=view.cluster.facts.key_name,
            message="the private key of the cluster's key pair is not given",
            fix="give the file; it is read on this machine only",
            command="bootstrap add-node --private-key ~/.ssh/id_rsa ...",
        )


def image_fits_release(view: View) -> Iterator[Finding]:
    """An image of another release would run, and no container of ours on it."""
    if view.pool is None:
        return
    pool, image = view.pool.request.pool, view.pool.image
    if image.release is not None and image.release is not pool.windows:
        yield Finding(
            level=Level.ERROR,
            name="ImageFitsRelease",
            target=image.image_id,
            message=f"{image.name} is Windows Server {image.release}, not {pool.windows}",
            fix=f"say --windows {image.release} or give another image",
            command=f"bootstrap add-node --windows {image.release} --image {image.image_id} ...",
        )


def name_is_free(view: View) -> Iterator[Finding]:
    """A name of ours must not belong to another pool or to somebody else's instance."""
    if view.pool is None:
        return
    pool = view.pool.request.pool.name
    for name in view.pool.names:
        for taken in _takers(view.cluster.instances, name, pool, view.cluster.facts.name):
            yield Finding(
                level=Level.ERROR,
                name="NameIsFree",
                target=name,
                message=(
                    f"pool {taken.pool} has a node {name}"
                    if taken.is_ours
                    else f"instance {taken.instance_id} is called {name} and is not ours"
                ),
                evidence={"instance": taken.instance_id, "tags": dict(taken.tags)},
                fix="choose another name",
                command=f"bootstrap add-node --pool {pool} --name OTHER ...",
            )


def _takers(
    instances: Collection[ObservedInstance], name: NodeName, pool: str, cluster: str
) -> Iterator[ObservedInstance]:
    for item in instances:
        if not item.is_alive:
            continue
        foreign = not item.is_ours and item.tags.get("Name") in (name, f"{name}.{cluster}")
        if foreign or (item.is_ours and item.node == name and item.pool != pool):
            yield item


_RUNTIME_FINDINGS = ("RuntimeServesKubernetes", "RegistryMirrorsServed")


def _choices(view: View) -> tuple[Finding, ...]:
    return tuple(view.pool.choice_findings) if view.pool else ()


def choices_hold(view: View) -> Iterable[Finding]:
    """Pass on what choosing version and artifacts had to say."""
    return (item for item in _choices(view) if item.name not in _RUNTIME_FINDINGS)


def runtime_serves_kubernetes(view: View) -> Iterable[Finding]:
    """Pass on that the runtime does not go with the version."""
    return (item for item in _choices(view) if item.name == "RuntimeServesKubernetes")


def registry_mirrors_served(view: View) -> Iterable[Finding]:
    """Pass on mirrors that the runtime would go around."""
    return (item for item in _choices(view) if item.name == "RegistryMirrorsServed")


def lock_is_free(view: View) -> Iterator[Finding]:
    """Say who holds the lock; a run that acts will refuse with exit code 75."""
    lock = view.cluster.lock
    if lock is not None and view.cluster.lock_is_held:
        yield Finding(
            level=Level.WARNING,
            name="LockIsFree",
            target=view.cluster.facts.name,
            message=f"another run holds the lock: {lock.holder}",
            evidence={"renewedAt": lock.renewed_at, "seconds": lock.duration_s},
            fix="wait for it",
        )


RULES: tuple[CheckRule, ...] = (
    CheckRule(
        name="StoreSupported",
        meaning="the cluster in the state store is one that Windows nodes can join",
        function=store_supported,
    ),
    CheckRule(
        name="KubeconfigMatchesCluster",
        meaning="the kubeconfig leads to the cluster of the state store",
        function=kubeconfig_matches_cluster,
    ),
    CheckRule(name="LinuxNodeReady", meaning="a Linux node is Ready", function=linux_node_ready),
    CheckRule(
        name="FlannelPresent", meaning="the pod network is kops' flannel", function=flannel_present
    ),
    CheckRule(
        name="FlannelVniPort",
        meaning="flannel is configured with VNI 4096 and UDP 4789",
        function=flannel_vni_port,
    ),
    CheckRule(
        name="FlannelRolledOut",
        meaning="every Linux node has announced VNI 4096",
        function=flannel_rolled_out,
    ),
    CheckRule(
        name="NodeNaming", meaning="nodes are named as the store tells", function=node_naming
    ),
    CheckRule(
        name="DaemonSetsHaveOsSelector",
        meaning="no Linux DaemonSet lands on Windows nodes",
        function=daemon_sets_have_os_selector,
    ),
    CheckRule(
        name="NodeLocalDns", meaning="which DNS address Windows pods use", function=node_local_dns
    ),
    CheckRule(
        name="ApiNameResolves",
        meaning="nodes can find the API server by DNS or by known addresses",
        function=api_name_resolves,
    ),
    CheckRule(
        name="KeyPairIsRsa", meaning="the cluster's key pair is RSA", function=key_pair_is_rsa
    ),
    CheckRule(name="LockIsFree", meaning="no other run holds the lock", function=lock_is_free),
    CheckRule(
        name="VersionSkew",
        meaning="the kubelet's version goes with the API server's",
        function=version_skew,
        needs_pool=True,
    ),
    CheckRule(
        name="PodCidrRoom",
        meaning="the pod CIDR has room for the nodes",
        function=pod_cidr_room,
        needs_pool=True,
    ),
    CheckRule(
        name="SubnetAddresses",
        meaning="the subnets have free addresses",
        function=subnet_addresses,
        needs_pool=True,
    ),
    CheckRule(
        name="InstanceTypeOffered",
        meaning="EC2 offers the instance type in the zones",
        function=instance_type_offered,
        needs_pool=True,
    ),
    CheckRule(
        name="PrivateKeyGiven",
        meaning="the private key for the Administrator password is given",
        function=private_key_given,
        needs_pool=True,
    ),
    CheckRule(
        name="ImageFitsRelease",
        meaning="the image is of the wanted Windows release",
        function=image_fits_release,
        needs_pool=True,
    ),
    CheckRule(
        name="NameIsFree",
        meaning="the nodes' names are free",
        function=name_is_free,
        needs_pool=True,
    ),
    CheckRule(
        name="ArtifactsKnown",
        meaning="version and checksums of every download are known",
        function=choices_hold,
        needs_pool=True,
    ),
    CheckRule(
        name="RuntimeServesKubernetes",
        meaning="the container runtime goes with the version of Kubernetes",
        function=runtime_serves_kubernetes,
        needs_pool=True,
    ),
    CheckRule(
        name="RegistryMirrorsServed",
        meaning="the container runtime can use the mirrors of the registries",
        function=registry_mirrors_served,
        needs_pool=True,
    ),
)


def run_checks(
    view: View, *, only: Collection[str] = (), skip: Collection[str] = ()
) -> tuple[Check, ...]:
    """Run the checks, in their order; the left-out ones are told with their reason."""
    return tuple(_run(rule, view, only, skip) for rule in RULES)


def _run(rule: CheckRule, view: View, only: Collection[str], skip: Collection[str]) -> Check:
    target = view.cluster.facts.name
    left_out = (only and rule.name not in only) or rule.name in skip
    if left_out or (rule.needs_pool and view.pool is None):
        reason = "left out by --only or --skip" if left_out else "needs a pool"
        return Check(name=rule.name, result=CheckResult.SKIP, target=target, reason=reason)
    findings = tuple(rule.function(view))
    return Check(name=rule.name, result=_result(findings), target=target, findings=findings)


def _result(findings: tuple[Finding, ...]) -> CheckResult:
    levels = {finding.level for finding in findings}
    if Level.ERROR in levels:
        return CheckResult.FAIL
    return CheckResult.WARN if Level.WARNING in levels else CheckResult.PASS
