"""A node's whole configuration as the requests of the scripts that put it there. Pure.

Each value of ``NodeConfig`` is the JSON of one script's ``-Request`` (scripts/README.md); the
playbook hands them over in this order.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

from bootstrap.errors import UsageError
from bootstrap.model.cluster import CloudProviderMode, ClusterFacts, NameResolution
from bootstrap.model.finding import Finding, Level
from bootstrap.model.node import (
    DesiredNode,
    ImageFacts,
    KubeNodeName,
    NodeRequest,
    ObservedInstance,
    Runtime,
    Taint,
    WindowsRelease,
)
from bootstrap.model.secret import Secret
from bootstrap.model.windows import BUILDS, kubelet_rules, pause_image
from bootstrap.planning import artifacts, node_files, versions
from bootstrap.planning import node_services as services
from bootstrap.planning.artifacts import Artifact, ArtifactSet, Catalog
from bootstrap.planning.desired import BLOCKING_TAINT, OS_TAINT, Choices
from bootstrap.planning.versions import minor

MANIFEST = r"C:\k\manifest.json"
PROXY_CONFIG = r"C:\k\kube-proxy.conf"
PROXY_TEMPLATE = r"C:\k\kube-proxy.template.conf"
CONTAINERD_CONFIG = r"C:\Program Files\containerd\config.toml"
HIGH_PERFORMANCE = "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c"
# kube-proxy without DSR takes 64 ports of this range per load balancer; the default range is small.
# https://github.com/kubernetes-sigs/image-builder images/capi/ansible/windows/roles/systemprep
DYNAMIC_PORTS = {"start": 34000, "count": 31536}
# IMDS, DNS, NTP, and the three KMS addresses of EC2:
# https://docs.aws.amazon.com/AWSEC2/latest/WindowsGuide/ec2launch-v2-task-definitions.html
METADATA_ADDRESSES = (
    "169.254.169.254",
    "169.254.169.253",
    "169.254.169.123",
    "169.254.169.249",
    "169.254.169.250",
    "169.254.169.251",
)
# The dummy network of Microsoft's SDN scripts: it makes the vSwitch early, once.
EXTERNAL = {
    "name": "External",
    "vsid": 9999,
    "prefix": "192.168.255.0/30",
    "gateway": "192.168.255.1",
}
OVERLAY_TIMEOUT_S = 300
RUNTIMES = (Runtime.CONTAINERD,)

Request = Mapping[str, object]


class Tokens(Protocol):
    """Credentials that were made for one node."""

    @property
    def bootstrap(self) -> Secret: ...
    @property
    def flannel(self) -> Secret: ...
    @property
    def kube_proxy(self) -> Secret: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What is known of a node once its instance runs."""

    node_name: KubeNodeName
    address: str
    provider_id: str
    subnet_cidr: str

    @property
    def gateway(self) -> str:
        """The VPC router: the second address of the subnet (docs.aws.amazon.com, subnet sizing)."""
        return str(ipaddress.ip_network(self.subnet_cidr).network_address + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Requests in the order of their use; ``files`` may hold Secrets."""

    build: int
    host: Request
    runtime_artifacts: Request
    runtime_files: Request
    runtime_services: Request
    kubernetes_artifacts: Request
    service_host: Request
    network: Request
    kubelet_files: Request
    kubelet_services: Request
    flannel_services: Request
    overlay: Request
    source_vip: Request
    proxy_services: Request
    images: Request


def resolve_runtime(wanted: Runtime, version: str) -> Runtime:
    """Return the runtime that ``auto`` means; UsageError for one that cannot be installed yet."""
    chosen = Runtime.CONTAINERD if wanted is Runtime.AUTO else wanted
    if chosen not in RUNTIMES:
        raise UsageError(
            f"runtime {chosen} cannot be installed by this version of bootstrap",
            target=str(chosen),
            evidence=f"runtimes: {', '.join(RUNTIMES)}, for Kubernetes {version}",
            command="bootstrap add-node --runtime containerd ...",
        )
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What ships with the tool: the artifact catalog and the user data of every node."""

    catalog: Catalog
    user_data: str


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
    findings = (*notes, *findings)
    version = version or wanted
    runtime = resolve_runtime(request.pool.runtime, version)
    choices = Choices(
        kubernetes_version=version,
        runtime=runtime,
        image=image,
        user_data=payload.user_data,
        spec_hash=spec_hash(request, facts, catalog, version) if not _has_error(findings) else "",
    )
    return choices, findings


def _has_error(findings: tuple[Finding, ...]) -> bool:
    return any(finding.level is Level.ERROR for finding in findings)


def spec_hash(request: NodeRequest, facts: ClusterFacts, catalog: Catalog, version: str) -> str:
    """Return 16 hex digits over everything that would have to change on a node itself.

    Addresses, ids and credentials are left out: they differ between the nodes of a pool.
    """
    pool = request.pool
    inputs = Inputs(
        facts=facts,
        windows=pool.windows,
        version=version,
        taints=(*((OS_TAINT,) if pool.os_taint else ()), *pool.taints),
        placed=_NOWHERE,
        chosen=artifacts.artifact_set(catalog, version),
        tokens=_NO_TOKENS,
        pre_pull=pool.pre_pull,
    )
    config = build(inputs)
    plain = {item.name: getattr(config, item.name) for item in fields(config)}
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that a node's configuration follows from."""

    facts: ClusterFacts
    windows: WindowsRelease
    version: str
    taints: tuple[Taint, ...]
    placed: Placed
    chosen: ArtifactSet
    tokens: Tokens
    pre_pull: tuple[str, ...]
    proxy: str = ""
    """HTTP proxy for downloads, '' for none."""

    @property
    def minor(self) -> int:
        """Minor of the node's Kubernetes."""
        return minor(self.version)


def inputs_of(
    desired: DesiredNode,
    instance: ObservedInstance,
    node_name: KubeNodeName,
    tokens: Tokens,
    facts: ClusterFacts,
    chosen: ArtifactSet,
) -> Inputs:
    """Return the inputs of one node whose instance runs."""
    placed = Placed(
        node_name=node_name,
        address=instance.private_ip,
        provider_id=f"aws:///{instance.zone}/{instance.instance_id}",
        subnet_cidr=desired.subnet.cidr,
    )
    return Inputs(
        facts=facts,
        windows=desired.windows,
        version=desired.kubernetes_version,
        taints=desired.taints,
        placed=placed,
        chosen=chosen,
        tokens=tokens,
        pre_pull=desired.pool.pre_pull,
    )


def build(inputs: Inputs) -> NodeConfig:
    """Decide the whole configuration."""
    chosen = inputs.chosen
    return NodeConfig(
        build=BUILDS[inputs.windows],
        host=_host(inputs),
        runtime_artifacts=_artifacts(inputs.proxy, [(chosen.containerd, "tgz", _CONTAINERD_FILES)]),
        runtime_files={
            "folders": [r"C:\var\log\containerd", r"C:\k\containerd\certs.d"],
            "files": [
                _file(CONTAINERD_CONFIG, node_files.containerd_config(inputs.version)),
            ],
        },
        runtime_services={"services": [_containerd_service()]},
        kubernetes_artifacts=_artifacts(
            inputs.proxy,
            [
                (chosen.kubernetes, "tgz", _kubernetes_files(inputs.minor)),
                (chosen.cni_plugins, "tgz", _CNI_FILES),
                (chosen.flannel_plugin, "none", {"": r"C:\k\cni\flannel.exe"}),
                (chosen.flanneld, "none", {"": r"C:\k\flanneld.exe"}),
            ],
        ),
        service_host={"path": services.SERVICE_HOST},
        network=_network(inputs),
        kubelet_files=_kubelet_files(inputs),
        kubelet_services={"services": [services.kubelet(inputs.minor, _identity(inputs))]},
        flannel_services={"services": [services.flanneld(_identity(inputs))]},
        overlay={"network": node_files.OVERLAY, "timeoutSeconds": OVERLAY_TIMEOUT_S},
        source_vip={
            "network": node_files.OVERLAY,
            "hostLocal": r"C:\k\cni\host-local.exe",
            "template": PROXY_TEMPLATE,
            "config": PROXY_CONFIG,
        },
        proxy_services={"services": [services.kube_proxy(inputs.minor)]},
        images={
            "ctr": r"C:\Program Files\containerd\ctr.exe",
            "images": [pause_image(inputs.minor), *inputs.pre_pull],
        },
    )


_CONTAINERD_FILES = {
    f"bin/{name}": rf"C:\Program Files\containerd\{name}"
    for name in ("containerd.exe", "ctr.exe", "containerd-shim-runhcs-v1.exe")
}
_CNI_FILES = {f"./{name}": rf"C:\k\cni\{name}" for name in ("host-local.exe", "win-overlay.exe")}


def _kubernetes_files(minor_version: int) -> dict[str, str]:
    names = ["kubelet.exe", "kube-proxy.exe"]
    if kubelet_rules(minor_version).has_log_runner:
        names.append("kube-log-runner.exe")
    return {f"kubernetes/node/bin/{name}": rf"C:\k\{name}" for name in names}


def _artifacts(proxy: str, wanted: Sequence[tuple[Artifact, str, Mapping[str, str]]]) -> Request:
    return {
        "manifest": MANIFEST,
        "proxy": proxy,
        "artifacts": [
            {
                "name": artifact.name,
                "url": artifact.url,
                "algorithm": artifact.algorithm,
                "checksum": artifact.checksum,
                "unpack": unpack,
                "files": [{"from": source, "to": target} for source, target in files.items()],
            }
            for artifact, unpack, files in wanted
        ],
    }


def _host(inputs: Inputs) -> Request:
    api = inputs.facts.api
    resolves = api.resolution is NameResolution.DNS_ZONE
    return {
        "expectedBuild": BUILDS[inputs.windows],
        "dynamicPorts": DYNAMIC_PORTS,
        "powerPlan": HIGH_PERFORMANCE,
        "defenderExclusions": [r"C:\Program Files\containerd", r"C:\ProgramData\containerd"],
        "hosts": []
        if resolves
        else [{"address": address, "name": api.host} for address in api.addresses],
    }


def _network(inputs: Inputs) -> Request:
    return {
        "managementAddress": inputs.placed.address,
        "gateway": inputs.placed.gateway,
        "network": EXTERNAL,
        "metadataAddresses": list(METADATA_ADDRESSES),
        "overlay": {
            "network": node_files.OVERLAY,
            "kubeProxyTemplate": PROXY_TEMPLATE,
            "kubeProxyConfig": PROXY_CONFIG,
        },
    }


def _kubelet_files(inputs: Inputs) -> Request:
    facts, tokens = inputs.facts, inputs.tokens
    taints = [_taint(taint) for taint in (*inputs.taints, BLOCKING_TAINT)]
    kubelet = node_files.kubelet_config(
        facts, inputs.version, provider_id=inputs.placed.provider_id, taints=taints
    )
    proxy = node_files.kube_proxy_config(facts, inputs.version, node_name=inputs.placed.node_name)
    return {
        "folders": [
            r"C:\var\log\kubelet",
            r"C:\var\log\kube-proxy",
            r"C:\var\log\flanneld",
            r"C:\var\lib\kubelet\pki",
            r"C:\run\flannel",
        ],
        "files": [
            _file(r"C:\k\kubelet.conf", kubelet),
            _file(PROXY_TEMPLATE, proxy),
            _file(r"C:\etc\kube-flannel\net-conf.json", node_files.net_conf(facts)),
            _file(r"C:\k\cni\config\10-flannel.conf", node_files.cni_conf(facts)),
            _file(node_files.CA_FILE, facts.ca_bundle),
            _secret("bootstrap-kubelet.conf", facts, "kubelet-bootstrap", tokens.bootstrap),
            _secret("flannel.kubeconfig", facts, "flannel", tokens.flannel),
            _secret("kube-proxy.kubeconfig", facts, "kube-proxy", tokens.kube_proxy),
        ],
    }


def _identity(inputs: Inputs) -> services.Identity:
    return services.Identity(
        node_name=inputs.placed.node_name,
        address=inputs.placed.address,
        external_cloud=inputs.facts.cloud_provider_mode is CloudProviderMode.EXTERNAL,
    )


def _containerd_service() -> Request:
    return services.containerd(CONTAINERD_CONFIG)


def _file(path: str, content: str) -> dict[str, object]:
    return {"path": path, "content": content, "secret": False}


def _secret(name: str, facts: ClusterFacts, user: str, token: Secret) -> dict[str, object]:
    content = node_files.kubeconfig(facts, user, token)
    return {"path": rf"C:\etc\kubernetes\{name}", "content": content, "secret": True}


def _taint(taint: Taint) -> dict[str, str]:
    body = {"key": taint.key, "effect": taint.effect}
    return body | ({"value": taint.value} if taint.value else {})
