"""flanneld, kube-proxy and the kubelet's TLS bootstrap against a real API server."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import threading
from typing import Any

import pytest
import yaml

from bootstrap.sandbox.cluster_client import ApiClient, ApiError
from bootstrap.sandbox.control_plane import ControlPlane
from bootstrap.sandbox.windows_host.agents import flanneld, kube_proxy
from bootstrap.sandbox.windows_host.agents.files import FileRefused, Kubeconfig
from bootstrap.sandbox.windows_host.agents.kubelet_config import KubeletSettings
from bootstrap.sandbox.windows_host.agents.kubelet_identity import client_identity
from bootstrap.sandbox.windows_host.agents.machine import Invocation, OverlayNetwork
from tests.sandbox.windows_host.fake_machine import FakeMachine, Running, eventually

FLANNEL = "flannel.alpha.coreos.com"
NET_CONF = {"Network": "100.96.0.0/11", "Backend": {"Type": "vxlan", "VNI": 4096, "Port": 4789}}
KUBECONFIG = r"C:\etc\kubernetes\admin.conf"
_numbers = itertools.count(1)


@pytest.fixture
def machine(plane: ControlPlane) -> FakeMachine:
    def connect(kubeconfig: Kubeconfig) -> ApiClient:
        pair = (kubeconfig.certificate_pem, kubeconfig.key_pem)
        return ApiClient(
            ("127.0.0.1", plane.port),
            kubeconfig.server_name,
            kubeconfig.ca_pem,
            token=kubeconfig.token,
            certificate=pair if pair[0] else None,
        )

    made = FakeMachine(client_of=connect)
    made.write(KUBECONFIG, plane.kubeconfig(f"https://{plane.api_name}").encode())
    made.write(r"C:\etc\kube-flannel\net-conf.json", json.dumps(NET_CONF).encode())
    return made


def make_node(plane: ControlPlane, *, pod_cidr: str, **backend: object) -> str:
    name = f"node-{next(_numbers)}"
    annotations = {
        f"{FLANNEL}/backend-type": "vxlan",
        f"{FLANNEL}/backend-data": json.dumps(backend),
        f"{FLANNEL}/public-ip": "172.20.0.7",
    }
    client = plane.admin_client()
    spec = {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]} if pod_cidr else {}
    metadata = {"name": name, "annotations": annotations if backend else {}}
    client.post("/api/v1/nodes", {"metadata": metadata, "spec": spec})
    address = {"type": "InternalIP", "address": "172.20.0.7"}
    client.patch(f"/api/v1/nodes/{name}/status", {"status": {"addresses": [address]}})
    return name


def start_flanneld(machine: FakeMachine, node: str, *flags: str) -> Running:
    command = ["flanneld.exe", "--kube-subnet-mgr", f"--kubeconfig-file={KUBECONFIG}", *flags]
    return Running(machine, flanneld.run, command, NODE_NAME=node)


def test_flanneld_makes_its_network_and_tells_its_side_of_the_tunnel(
    plane: ControlPlane, machine: FakeMachine
):
    node = make_node(plane, pod_cidr="100.97.1.0/24")
    running = start_flanneld(machine, node, "--iface=127.20.0.9")
    eventually(lambda: machine.read(r"C:\run\flannel\subnet.env"))
    metadata = plane.admin_client().get(f"/api/v1/nodes/{node}")["metadata"]
    backend = json.loads(metadata["annotations"][f"{FLANNEL}/backend-data"])
    assert (backend["VNI"], bool(backend["VtepMAC"])) == (4096, True)
    assert [network.name for network in machine.networks] == ["flannel.4096"]
    assert running.stopped() == 0


def test_flanneld_routes_to_peers_of_its_vni_and_skips_the_others(
    plane: ControlPlane, machine: FakeMachine
):
    node = make_node(plane, pod_cidr="100.97.2.0/24")
    make_node(plane, pod_cidr="100.97.3.0/24", VNI=1, VtepMAC="aa")
    running = start_flanneld(machine, node)
    eventually(lambda: "flannel.4096" in machine.routes)
    make_node(plane, pod_cidr="100.97.4.0/24", VNI=4096, VtepMAC="bb")

    def destinations() -> set[str]:
        return {route.destination for route in machine.routes["flannel.4096"]}

    eventually(lambda: "100.97.4.0/24" in destinations())
    assert "100.97.3.0/24" not in destinations()
    assert "VNI is 1 but it is required" in running.log
    running.stopped()


def test_flanneld_ends_when_its_settings_are_of_another_cluster(
    plane: ControlPlane, machine: FakeMachine
):
    conf = NET_CONF | {"Network": "192.168.0.0/16"}
    machine.write(r"C:\etc\kube-flannel\net-conf.json", json.dumps(conf).encode())
    node = make_node(plane, pod_cidr="100.97.7.0/24")
    running = start_flanneld(machine, node)
    assert running.ended() == 1
    assert "doesn't contain '100.97.7.0/24' PodCIDR" in running.log


def test_flanneld_ends_when_there_is_no_node_of_its_name(machine: FakeMachine):
    running = start_flanneld(machine, "NODE-1")
    assert running.ended() == 1
    assert 'node "NODE-1" not found' in running.log


def test_flanneld_ends_for_the_settings_that_windows_refuses(machine: FakeMachine):
    machine.write(r"C:\etc\kube-flannel\net-conf.json", b'\xef\xbb\xbf{"Network": "x"}')
    running = start_flanneld(machine, "n")
    assert running.ended() == 1
    assert "looking for beginning of value" in running.log


def test_flanneld_without_node_name_or_with_an_unknown_flag_ends(machine: FakeMachine):
    nameless = start_flanneld(machine, "")
    assert nameless.ended() == 1
    assert "env variables POD_NAME and POD_NAMESPACE must be set" in nameless.log
    # Seen on the real one: an unknown flag ends with exit code 0.
    assert start_flanneld(machine, "n", "--logtostderr").ended() == 0


def test_flanneld_without_rights_logs_and_goes_on(plane: ControlPlane, machine: FakeMachine):
    certificate, key = plane.issue("nobody", ())
    document = yaml.safe_load(plane.kubeconfig(f"https://{plane.api_name}"))
    document["users"][0]["user"] = {
        "client-certificate-data": base64.b64encode(certificate.encode()).decode(),
        "client-key-data": base64.b64encode(key.encode()).decode(),
    }
    machine.write(KUBECONFIG, yaml.safe_dump(document).encode())
    running = start_flanneld(machine, "n")
    eventually(lambda: 'User "nobody" cannot list resource "nodes"' in running.log)
    assert running.stopped() == 0


def proxy_config(**changes: Any) -> bytes:
    document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "kernelspace",
        "clientConnection": {"kubeconfig": KUBECONFIG},
        "winkernel": {"networkName": "flannel.4096", "sourceVip": "100.97.5.2", "enableDSR": True},
    }
    return yaml.safe_dump(document | changes).encode()


def start_proxy(machine: FakeMachine, config: bytes) -> Running:
    machine.write(r"C:\k\kube-proxy.yaml", config)
    return Running(machine, kube_proxy.run, ["kube-proxy.exe", r"--config=C:\k\kube-proxy.yaml"])


def make_service(plane: ControlPlane, name: str, backend: str) -> None:
    client = plane.admin_client()
    port = {"name": "x", "port": 80, "targetPort": 8080}
    client.post(
        "/api/v1/namespaces/default/services",
        {"metadata": {"name": name}, "spec": {"ports": [port]}},
    )
    client.post(
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        {
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "x", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [backend]}],
        },
    )


def test_kube_proxy_makes_load_balancers_on_its_network(plane: ControlPlane, machine: FakeMachine):
    node = make_node(plane, pod_cidr="100.97.5.0/24")
    machine.networks = [
        OverlayNetwork(
            name="flannel.4096",
            vsid=4096,
            subnet="100.97.5.0/24",
            gateway="100.97.5.1",
            management_address="127.20.0.9",
        )
    ]
    running = start_proxy(machine, proxy_config(hostnameOverride=node))
    make_service(plane, "web", "100.97.4.8")
    eventually(lambda: any(b.service == "default/web:x" for b in machine.balancers))
    found = next(b for b in machine.balancers if b.service == "default/web:x")
    assert (found.target_port, found.backends, found.source_vip) == (
        8080,
        ("100.97.4.8",),
        "100.97.5.2",
    )
    assert machine.source_vips == ["100.97.5.2"]
    assert running.stopped() == 0


def test_kube_proxy_keeps_running_without_rules_when_the_network_is_missing(
    plane: ControlPlane, machine: FakeMachine
):
    node = make_node(plane, pod_cidr="100.97.6.0/24")
    running = start_proxy(machine, proxy_config(hostnameOverride=node))
    eventually(lambda: "Unable to find HNS Network specified" in running.log)
    assert machine.balancers == []
    assert running.stopped() == 0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"mode": "iptables"}, "must be kernelspace or blank"),
        ({"winkernel": {"networkName": "flannel.4096"}}, "source-vip flag not set"),
        ({"winkernel": {}}, "Environment variable KUBE_NETWORK and network-flag not initialized"),
        ({"featureGates": {"WinOverlay": False}}, "feature is locked to true"),
        ({"healthzBindAddress": "0.0.0.0:0"}, "must be IP:port"),
        ({"clientConnection": {"kubeconfig": r"C:\no.conf"}}, "cannot find the file specified"),
    ],
)
def test_kube_proxy_ends_for_what_it_refuses(
    machine: FakeMachine, changes: dict[str, Any], complaint: str
):
    running = start_proxy(machine, proxy_config(**changes))
    assert running.ended() == 1
    assert complaint in running.log


def identity_settings(name: str, *, bootstrap: str = KUBECONFIG) -> KubeletSettings:
    return KubeletSettings(
        name=name,
        kubeconfig=r"C:\etc\kubernetes\kubelet.conf",
        bootstrap_kubeconfig=bootstrap,
        cert_dir=r"C:\var\lib\kubelet\pki",
        endpoint="npipe:////./pipe/containerd-containerd",
        node_ip="",
        provider_id="",
        client_ca_file="",
        rotate_certificates=True,
        is_cloud_external=True,
    )


def invocation_on(machine: FakeMachine) -> Invocation:
    return Invocation(
        machine=machine,
        executable="kubelet.exe",
        arguments=(),
        stop=threading.Event(),
        log=lambda line: None,
    )


def approve_everything(plane: ControlPlane, stop: threading.Event) -> None:
    client = plane.admin_client()
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    while not stop.wait(0.05):
        for request in client.list(path):
            if (request.get("status") or {}).get("conditions"):
                continue
            condition = {"type": "Approved", "status": "True", "reason": "Test", "message": "yes"}
            request.setdefault("status", {})["conditions"] = [condition]
            # A conflict: the signer was there first; the next look sees it.
            with contextlib.suppress(ApiError):
                client.put(f"{path}/{request['metadata']['name']}/approval", request)


def test_kubelet_gets_a_certificate_once_and_keeps_it(plane: ControlPlane, machine: FakeMachine):
    stop = threading.Event()
    approver = threading.Thread(target=approve_everything, args=(plane, stop))
    approver.start()
    try:
        first = client_identity(invocation_on(machine), identity_settings("game-1"))
    finally:
        stop.set()
        approver.join()
    stored = machine.read(r"C:\var\lib\kubelet\pki\kubelet-client-current.pem")
    assert stored is not None and first.certificate_pem.encode().strip() in stored
    again = client_identity(invocation_on(machine), identity_settings("game-1"))
    assert again.certificate_pem.strip() == first.certificate_pem.strip()
    client = machine.connect(again)
    client.post("/api/v1/nodes", {"metadata": {"name": "game-1"}})
    assert client.get("/api/v1/nodes/game-1")["metadata"]["name"] == "game-1"


def test_kubelet_ends_without_its_bootstrap_kubeconfig(machine: FakeMachine):
    settings = identity_settings("game-2", bootstrap=r"C:\no.conf")
    with pytest.raises(FileRefused, match="unable to load bootstrap kubeconfig"):
        client_identity(invocation_on(machine), settings)
