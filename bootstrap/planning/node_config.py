"""A node's whole configuration as the requests of the scripts that put it there. Pure.

Each value of ``NodeConfig`` is the JSON of one script's ``-Request`` (scripts/README.md); the
playbook hands them over in this order.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bootstrap.model.cluster import (
    CloudProviderMode,
    ClusterFacts,
    NameResolution,
    NetworkFacts,
)
from bootstrap.model.node import (
    DesiredNode,
    KubeNodeName,
    ObservedInstance,
    Runtime,
    Taint,
    WindowsRelease,
)
from bootstrap.model.registries import DIRECT, Registries
from bootstrap.model.runtimes import RuntimeRow, runtime_row
from bootstrap.model.secret import Secret
from bootstrap.model.windows import BUILDS, kubelet_rules, pause_image
from bootstrap.planning import node_files
from bootstrap.planning import node_services as services
from bootstrap.planning.artifacts import ArtifactSet
from bootstrap.planning.desired import BLOCKING_TAINT
from bootstrap.planning.flannel import WINDOWS_PORT
from bootstrap.planning.node_runtime import (
    RuntimeSetup,
    RuntimeWish,
    Wanted,
    runtime_setup,
)
from bootstrap.planning.versions import minor

MANIFEST = r"C:\k\manifest.json"
PROXY_CONFIG = r"C:\k\kube-proxy.conf"
PROXY_TEMPLATE = r"C:\k\kube-proxy.template.conf"
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
    """Requests in the order of their use; ``kubelet_files`` holds Secrets."""

    host: Request
    runtime_tasks: str
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that a node's configuration follows from."""

    facts: ClusterFacts
    windows: WindowsRelease
    version: str
    runtime: Runtime
    taints: tuple[Taint, ...]
    placed: Placed
    chosen: ArtifactSet
    tokens: Tokens
    pre_pull: tuple[str, ...]
    proxy: str = ""
    """HTTP proxy for downloads, '' for none."""
    registries: Registries = DIRECT
    restart_kubelet: bool = False
    """Whether its Node is gone while the host is set up: a kubelet registers once in its life."""

    @property
    def minor(self) -> int:
        """Minor of the node's Kubernetes."""
        return minor(self.version)

    @property
    def row(self) -> RuntimeRow:
        """How the runtime serves this Kubernetes."""
        return runtime_row(self.runtime, self.minor)

    @property
    def first_taints(self) -> tuple[Taint, ...]:
        """Taints that the node registers with; the last one goes when it is proven."""
        return (*self.taints, BLOCKING_TAINT)

    @property
    def pause_image(self) -> str:
        """The image of a pod's sandbox."""
        return pause_image(self.minor, self.windows)


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
        runtime=desired.runtime,
        taints=desired.taints,
        placed=placed,
        chosen=chosen,
        tokens=tokens,
        pre_pull=desired.pool.pre_pull,
    )


def build(inputs: Inputs) -> NodeConfig:
    """Decide the whole configuration."""
    runtime = runtime_setup(
        RuntimeWish(
            row=inputs.row,
            chosen=inputs.chosen,
            pause_image=inputs.pause_image,
            registries=inputs.registries,
            network=inputs.facts.network,
        )
    )
    return NodeConfig(
        host=_host(inputs, runtime),
        runtime_tasks=runtime.tasks,
        runtime_artifacts=_artifacts(inputs.proxy, runtime.artifacts),
        runtime_files={
            "folders": list(runtime.folders),
            "files": [_file(path, text) for path, text in runtime.files.items()],
        },
        runtime_services={"services": list(runtime.services)},
        kubernetes_artifacts=_kubernetes_artifacts(inputs),
        service_host={"path": services.SERVICE_HOST},
        network=_network(inputs),
        kubelet_files=_kubelet_files(inputs),
        kubelet_services={"services": [_kubelet_service(inputs)]},
        flannel_services={"services": [services.flanneld(_identity(inputs))]},
        overlay={"network": node_files.OVERLAY, "timeoutSeconds": OVERLAY_TIMEOUT_S},
        source_vip={
            "network": node_files.OVERLAY,
            "hostLocal": r"C:\k\cni\host-local.exe",
            "template": PROXY_TEMPLATE,
            "config": PROXY_CONFIG,
        },
        proxy_services={"services": [services.kube_proxy(inputs.minor)]},
        images={**runtime.puller, "images": [inputs.pause_image, *inputs.pre_pull]},
    )


_CNI_FILES = {f"./{name}": rf"C:\k\cni\{name}" for name in ("host-local.exe", "win-overlay.exe")}


def _kubernetes_files(minor_version: int) -> dict[str, str]:
    names = ["kubelet.exe", "kube-proxy.exe"]
    if kubelet_rules(minor_version).has_log_runner:
        names.append("kube-log-runner.exe")
    return {f"kubernetes/node/bin/{name}": rf"C:\k\{name}" for name in names}


def _kubernetes_artifacts(inputs: Inputs) -> Request:
    chosen = inputs.chosen
    return _artifacts(
        inputs.proxy,
        [
            (chosen.kubernetes, "tgz", _kubernetes_files(inputs.minor)),
            (chosen.cni_plugins, "tgz", _CNI_FILES),
            (chosen.flannel_plugin, "none", {"": r"C:\k\cni\flannel.exe"}),
            (chosen.flanneld, "none", {"": r"C:\k\flanneld.exe"}),
        ],
    )


def _artifacts(proxy: str, wanted: Iterable[Wanted]) -> Request:
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


def _host(inputs: Inputs, runtime: RuntimeSetup) -> Request:
    api = inputs.facts.api
    resolves = api.resolution is NameResolution.DNS_ZONE
    return {
        "expectedBuild": BUILDS[inputs.windows],
        "dynamicPorts": DYNAMIC_PORTS,
        "powerPlan": HIGH_PERFORMANCE,
        "defenderExclusions": list(runtime.exclusions),
        "firewall": _firewall(inputs.facts.network),
        "hosts": []
        if resolves
        else [{"address": address, "name": api.host} for address in api.addresses],
    }


def _firewall(network: NetworkFacts) -> list[dict[str, object]]:
    """Let the VPC in: API server and metrics to the kubelet, other nodes' VXLAN packets."""
    inside = ipaddress.ip_network(network.vpc_cidr)
    others = [ipaddress.ip_network(subnet.cidr) for subnet in network.subnets]
    beyond = sorted({str(other) for other in others if not other.overlaps(inside)})
    remote = [network.vpc_cidr, *beyond]
    return [
        {"name": "bootstrap-kubelet", "protocol": "TCP", "port": 10250, "remote": remote},
        {"name": "bootstrap-overlay", "protocol": "UDP", "port": WINDOWS_PORT, "remote": remote},
    ]


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
    kubelet = node_files.kubelet_config(
        facts,
        inputs.version,
        inputs.row.link,
        provider_id=inputs.placed.provider_id,
        taints=inputs.first_taints,
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
            _file(r"C:\k\cni\config\10-flannel.conf", node_files.cni_conf(facts, inputs.row)),
            _file(node_files.CA_FILE, facts.ca_bundle),
            _secret("bootstrap-kubelet.conf", facts, "kubelet-bootstrap", tokens.bootstrap),
            _secret("flannel.kubeconfig", facts, "flannel", tokens.flannel),
            _secret("kube-proxy.kubeconfig", facts, "kube-proxy", tokens.kube_proxy),
        ],
    }


def _kubelet_service(inputs: Inputs) -> dict[str, object]:
    service = services.kubelet(inputs.minor, _identity(inputs))
    return service | {"state": "restarted"} if inputs.restart_kubelet else service


def _identity(inputs: Inputs) -> services.Identity:
    return services.Identity(
        node_name=inputs.placed.node_name,
        address=inputs.placed.address,
        provider_id=inputs.placed.provider_id,
        external_cloud=inputs.facts.cloud_provider_mode is CloudProviderMode.EXTERNAL,
        taints=inputs.first_taints,
        link=inputs.row.link,
        pause_image=inputs.pause_image,
    )


def _file(path: str, content: str) -> dict[str, object]:
    return {"path": path, "content": content, "secret": False}


def _secret(name: str, facts: ClusterFacts, user: str, token: Secret) -> dict[str, object]:
    content = node_files.kubeconfig(facts, user, token)
    return {"path": rf"C:\etc\kubernetes\{name}", "content": content, "secret": True}
