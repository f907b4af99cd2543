"""The configuration files of a Windows node, as text. Pure.

Facts on what each program takes were seen on the real ones (kubelet 1.33-1.37, kube-proxy, flanneld
0.28, containerd 1.7 and 2.2, CNI plug-ins 1.9): single quotes or none around back slashes in YAML
and TOML, no byte-order mark, ``cgroupsPerQOS`` and ``enforceNodeAllocatable`` set together.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

import yaml

from bootstrap.model.cluster import ClusterFacts
from bootstrap.model.node import Taint, WindowsRelease
from bootstrap.model.secret import Secret
from bootstrap.model.windows import kubelet_rules, pause_image
from bootstrap.planning.flannel import WINDOWS_PORT, WINDOWS_VNI
from bootstrap.planning.versions import minor

OVERLAY = f"flannel.{WINDOWS_VNI}"
RUNTIME_ENDPOINT = "npipe:////./pipe/containerd-containerd"
CNI_BIN, CNI_CONF = r"C:\k\cni", r"C:\k\cni\config"
CA_FILE = r"C:\etc\kubernetes\pki\ca.crt"


def kubelet_config(
    facts: ClusterFacts, version: str, *, provider_id: str, taints: Sequence[Taint]
) -> str:
    """Return the KubeletConfiguration.

    Reservations: Windows has no OOM killer, so memory is kept back for the system
    (https://kubernetes.io/docs/concepts/configuration/windows-resource-management/).
    """
    rules = kubelet_rules(minor(version))
    document: dict[str, object] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": CA_FILE},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupsPerQOS": False,
        "clusterDNS": [facts.network.dns_service_ip],
        "clusterDomain": facts.network.cluster_domain,
        "containerLogMaxSize": "50Mi",
        "enforceNodeAllocatable": [],
        "evictionHard": {"nodefs.available": "10%", "imagefs.available": "10%"},
        "providerID": provider_id,
        "resolvConf": "",
        "rotateCertificates": True,
        "runtimeRequestTimeout": "15m0s",
        "systemReserved": {"cpu": "500m", "memory": "2Gi"},
    }
    if rules.taints_in_file:
        document["registerWithTaints"] = [_taint(taint) for taint in taints]
    if rules.endpoint_in_file:
        document["containerRuntimeEndpoint"] = RUNTIME_ENDPOINT
    return yaml.safe_dump(document, sort_keys=True)


def kube_proxy_config(facts: ClusterFacts, version: str, *, node_name: str) -> str:
    """Return the KubeProxyConfiguration; the node fills in its source VIP."""
    document: dict[str, object] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": r"C:\etc\kubernetes\kube-proxy.kubeconfig"},
        "clusterCIDR": facts.network.pod_cidr,
        "hostnameOverride": node_name,
        "mode": "kernelspace",
        "winkernel": {"networkName": OVERLAY, "sourceVip": "", "enableDSR": False},
    }
    if kubelet_rules(minor(version)).overlay_gate:
        document["featureGates"] = {"WinOverlay": True}
    return yaml.safe_dump(document, sort_keys=True)


def net_conf(facts: ClusterFacts) -> str:
    """Return flanneld's net-conf: the network that Linux has, with what Windows can do."""
    backend = {
        "Type": "vxlan",
        "VNI": WINDOWS_VNI,
        "Port": WINDOWS_PORT,
        "Name": OVERLAY,
    }
    return _json({"Network": facts.network.flannel_network, "Backend": backend})


def cni_conf(facts: ClusterFacts) -> str:
    """Return the CNI configuration for containerd (HCN schema, win-overlay ``apiVersion`` 2).

    Pods and services are not translated; everything else is, also the VPC: nobody there knows a way
    back to a pod.
    """
    network = facts.network
    policies = [
        {
            "Name": "EndpointPolicy",
            "Value": {
                "Type": "OutBoundNAT",
                "Settings": {"Exceptions": [network.pod_cidr, network.service_cidr]},
            },
        },
        {
            "Name": "EndpointPolicy",
            "Value": {
                "Type": "SDNRoute",
                "Settings": {"DestinationPrefix": network.service_cidr, "NeedEncap": True},
            },
        },
    ]
    delegate = {
        "type": "win-overlay",
        "apiVersion": 2,
        "dns": {
            "Nameservers": [network.dns_service_ip],
            "Search": [f"svc.{network.cluster_domain}"],
        },
        "policies": policies,
    }
    capabilities = {"portMappings": True, "dns": True}
    return _json(
        {
            "name": OVERLAY,
            "cniVersion": "0.3.0",
            "type": "flannel",
            "capabilities": capabilities,
            "delegate": delegate,
        }
    )


def containerd_config(version: str, windows: WindowsRelease) -> str:
    """Return containerd's configuration: version 3 for 2.x, version 2 for 1.x."""
    image = pause_image(minor(version), windows)
    major = kubelet_rules(minor(version)).containerd_major
    return (_CONTAINERD_2 if major == 2 else _CONTAINERD_1).format(
        image=image, bin=CNI_BIN, conf=CNI_CONF
    )


_CONTAINERD_1 = r"""version = 2
root = 'C:\ProgramData\containerd\root'
state = 'C:\ProgramData\containerd\state'

[grpc]
address = '\\.\pipe\containerd-containerd'

[plugins.'io.containerd.grpc.v1.cri']
sandbox_image = '{image}'

[plugins.'io.containerd.grpc.v1.cri'.containerd]
default_runtime_name = 'runhcs-wcow-process'
snapshotter = 'windows'

[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runhcs-wcow-process]
runtime_type = 'io.containerd.runhcs.v1'

[plugins.'io.containerd.grpc.v1.cri'.cni]
bin_dir = '{bin}'
conf_dir = '{conf}'

[plugins.'io.containerd.grpc.v1.cri'.registry]
config_path = 'C:\k\containerd\certs.d'
"""

_CONTAINERD_2 = r"""version = 3
root = 'C:\ProgramData\containerd\root'
state = 'C:\ProgramData\containerd\state'

[grpc]
address = '\\.\pipe\containerd-containerd'

[plugins.'io.containerd.cri.v1.images']
snapshotter = 'windows'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{image}'

[plugins.'io.containerd.cri.v1.images'.registry]
config_path = 'C:\k\containerd\certs.d'

[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = 'runhcs-wcow-process'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runhcs-wcow-process]
runtime_type = 'io.containerd.runhcs.v1'

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['{bin}']
conf_dir = '{conf}'
"""


def kubeconfig(facts: ClusterFacts, user: str, token: Secret) -> Secret:
    """Return a kubeconfig of one component; secret as a whole, since the token is in it."""
    cluster = {
        "server": facts.api.url,
        "certificate-authority-data": base64.b64encode(facts.ca_bundle.encode()).decode(),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": facts.name, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token.reveal()}}],
        "contexts": [{"name": user, "context": {"cluster": facts.name, "user": user}}],
        "current-context": user,
    }
    return Secret(yaml.safe_dump(document, sort_keys=True))


def _taint(taint: Taint) -> dict[str, str]:
    body = {"key": taint.key, "effect": taint.effect}
    return body | ({"value": taint.value} if taint.value else {})


def _json(document: object) -> str:
    return json.dumps(document, indent=2) + "\n"
