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
from bootstrap.model.node import Taint
from bootstrap.model.runtimes import Link, RuntimeRow
from bootstrap.model.secret import Secret
from bootstrap.model.windows import kubelet_rules
from bootstrap.planning.flannel import WINDOWS_PORT, WINDOWS_VNI
from bootstrap.planning.versions import minor

OVERLAY = f"flannel.{WINDOWS_VNI}"
ENDPOINTS = {
    Link.CRI: "npipe:////./pipe/containerd-containerd",
    Link.CRI_DOCKERD: "npipe:////./pipe/cri-dockerd",
}
"""Where a kubelet finds its runtime; dockershim is part of the kubelet."""
CNI_BIN, CNI_CONF = r"C:\k\cni", r"C:\k\cni\config"
CA_FILE = r"C:\etc\kubernetes\pki\ca.crt"


def kubelet_config(
    facts: ClusterFacts, version: str, link: Link, *, provider_id: str, taints: Sequence[Taint]
) -> str:
    """Return the KubeletConfiguration; what this minor's file cannot say, flags say.

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
        "rotateCertificates": True,
        "runtimeRequestTimeout": "15m0s",
        "systemReserved": {"cpu": "500m", "memory": "2Gi"},
    }
    if rules.provider_id_in_file:
        document["providerID"] = provider_id
    if rules.resolv_conf_in_file:
        document["resolvConf"] = ""
    if rules.taints_in_file:
        document["registerWithTaints"] = [_taint(taint) for taint in taints]
    if rules.endpoint_in_file:
        document["containerRuntimeEndpoint"] = ENDPOINTS[link]
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


def cni_conf(facts: ClusterFacts, row: RuntimeRow) -> str:
    """Return the CNI configuration in the schema of the runtime (``RuntimeRow.cni_api``).

    Pods and services are not translated; everything else is, also the VPC: nobody there knows a way
    back to a pod. win-overlay takes policies of the other schema without a word and loses what they
    say, so each schema has its own.
    """
    network = facts.network
    is_hcn = row.cni_api == 2
    not_translated = [network.pod_cidr, network.service_cidr]
    to_services = {"DestinationPrefix": network.service_cidr, "NeedEncap": True}
    values: tuple[dict[str, object], ...] = (
        {"Type": "OutBoundNAT", "ExceptionList": not_translated},
        {"Type": "ROUTE", **to_services},
    )
    if is_hcn:
        values = (
            {"Type": "OutBoundNAT", "Settings": {"Exceptions": not_translated}},
            {"Type": "SDNRoute", "Settings": to_services},
        )
    delegate = {
        "type": "win-overlay",
        "apiVersion": row.cni_api,
        "dns": {
            "Nameservers": [network.dns_service_ip],
            "Search": [f"svc.{network.cluster_domain}"],
        },
        "policies": [{"Name": "EndpointPolicy", "Value": value} for value in values],
    }
    return _json(
        {
            "name": OVERLAY,
            # dockershim and cri-dockerd read results of 0.2.0 (cri-dockerd network/cni).
            "cniVersion": "0.3.0" if is_hcn else "0.2.0",
            "type": "flannel",
            "capabilities": {"portMappings": True, "dns": True} if is_hcn else {"dns": True},
            "delegate": delegate,
        }
    )


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
