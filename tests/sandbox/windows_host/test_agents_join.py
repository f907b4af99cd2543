"""A simulated host joins a real API server with files and services as a playbook makes them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from bootstrap.sandbox.control_plane import ControlPlane
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts import SCRIPTS
from bootstrap.sandbox.windows_host.state import VirtualFile
from tests.sandbox.windows_host.fake_machine import eventually
from tests.sandbox.windows_host.hosts import ADDRESS, FakeHooks, make_host
from tests.sandbox.windows_host.test_agents_cluster import approve_everything

NODE = "i-0123456789abcdef0"
CONTAINERD = rb"""
version = 2
[plugins.'io.containerd.grpc.v1.cri']
sandbox_image = 'registry.k8s.io/pause:3.10.1'
[plugins.'io.containerd.grpc.v1.cri'.cni]
bin_dir = 'C:\k\cni'
conf_dir = 'C:\k\cni\config'
"""
KUBELET: dict[str, Any] = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "containerRuntimeEndpoint": "npipe:////./pipe/containerd-containerd",
    "cgroupsPerQOS": False,
    "enforceNodeAllocatable": [],
    "rotateCertificates": True,
    "providerID": f"aws:///eu-west-1a/{NODE}",
    "registerWithTaints": [{"key": "os", "value": "windows", "effect": "NoSchedule"}],
}
PROXY: dict[str, Any] = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
    "kind": "KubeProxyConfiguration",
    "mode": "kernelspace",
    "hostnameOverride": NODE,
    "clientConnection": {"kubeconfig": r"C:\etc\kubernetes\admin.conf"},
    "winkernel": {"networkName": "flannel.4096", "sourceVip": "", "enableDSR": True},
}


@pytest.fixture
def host(plane: ControlPlane) -> Iterator[WindowsHost]:
    made = make_host(FakeHooks(api_port=plane.port))
    programs = {
        r"C:\Program Files\containerd\containerd.exe": "containerd-1.7.35-windows-amd64.tar.gz",
        r"C:\k\kubelet.exe": "v1.34.5/kubernetes-node.tar.gz#kubelet.exe",
        r"C:\k\kube-proxy.exe": "v1.34.5/kubernetes-node.tar.gz#kube-proxy.exe",
        r"C:\k\kube-log-runner.exe": "v1.34.5/kubernetes-node.tar.gz#kube-log-runner.exe",
        r"C:\k\flanneld.exe": "v0.28.10/flanneld.exe",
        r"C:\k\cni\host-local.exe": "v1.9.1/cni-plugins.tgz#host-local.exe",
    }
    for path, url in programs.items():
        made.state.files.write(path, VirtualFile(size=1, checksums={}, url=f"https://x/{url}"))
    kubeconfig = plane.kubeconfig(f"https://{plane.api_name}").encode()
    net_conf = {"Network": "100.96.0.0/11", "Backend": {"Type": "vxlan", "VNI": 4096}}
    files = {
        r"C:\Program Files\containerd\config.toml": CONTAINERD,
        r"C:\k\kubelet-config.yaml": yaml.safe_dump(KUBELET).encode(),
        r"C:\k\kube-proxy.template": yaml.safe_dump(PROXY).encode(),
        r"C:\k\cni\config\cni.conf": b'{"type": "win-overlay", "apiVersion": 2}',
        r"C:\etc\kubernetes\bootstrap-kubelet.conf": kubeconfig,
        r"C:\etc\kubernetes\admin.conf": kubeconfig,
        r"C:\etc\kube-flannel\net-conf.json": json.dumps(net_conf).encode(),
    }
    for path, content in files.items():
        made.state.files.write(path, content)
    made.boot()
    eventually(lambda: made.state.boots == 1)
    yield made
    made.power_off()
    client = plane.admin_client()
    for node in client.list("/api/v1/nodes"):
        if node["metadata"]["name"] in (NODE, made.state.computer_name.lower()):
            client.delete(f"/api/v1/nodes/{node['metadata']['name']}")


@pytest.fixture
def approver(plane: ControlPlane) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=approve_everything, args=(plane, stop))
    thread.start()
    yield
    stop.set()
    thread.join()


def start(host: WindowsHost, name: str, command: str, *needs: str, **environment: str) -> None:
    service = {
        "name": name,
        "displayName": name,
        "binaryPath": command,
        "dependencies": list(needs),
        "environment": environment,
        "recoveryDelaysMs": [10000],
        "resetSeconds": 3600,
        "state": "running",
        "watches": [],
    }
    outcome = SCRIPTS["Set-NodeService.ps1"](host, {"services": [service]}, False)
    assert not outcome.error, (outcome.error, host.state.events)


def start_runtime_and_kubelet(host: WindowsHost, *flags: str) -> None:
    start(
        host,
        "containerd",
        r'"C:\Program Files\containerd\containerd.exe" --run-service '
        r'--config "C:\Program Files\containerd\config.toml"',
    )
    command = (
        r"C:\k\kube-log-runner.exe -log-file=C:\var\log\kubelet\kubelet.log C:\k\kubelet.exe "
        r"--config=C:\k\kubelet-config.yaml --kubeconfig=C:\etc\kubernetes\kubelet.conf "
        r"--bootstrap-kubeconfig=C:\etc\kubernetes\bootstrap-kubelet.conf "
        rf"--cert-dir=C:\var\lib\kubelet\pki --hostname-override={NODE} --node-ip={ADDRESS} "
        r"--node-labels=bootstrap.node/pool=game --cloud-provider=external --windows-service "
    )
    start(host, "kubelet", command + " ".join(flags), "containerd")


def node_of(plane: ControlPlane, name: str = NODE) -> dict[str, Any]:
    for node in plane.admin_client().list("/api/v1/nodes"):
        if node["metadata"]["name"] == name:
            return node
    return {}


def condition(plane: ControlPlane) -> dict[str, Any]:
    found = (node_of(plane).get("status") or {}).get("conditions") or []
    return next((entry for entry in found if entry["type"] == "Ready"), {})


@pytest.mark.usefixtures("approver")
def test_host_joins_with_overlay_source_vip_and_load_balancers(
    plane: ControlPlane, host: WindowsHost
):
    start_runtime_and_kubelet(host)
    eventually(lambda: condition(plane).get("status") == "True", 30)
    node = node_of(plane)
    assert node["spec"]["providerID"] == f"aws:///eu-west-1a/{NODE}"
    assert {"os", "node.cloudprovider.kubernetes.io/uninitialized"} <= {
        taint["key"] for taint in node["spec"]["taints"]
    }
    assert node["metadata"]["labels"]["node.kubernetes.io/windows-build"] == "10.0.17763"
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.34.5"
    assert host.state.files.read(r"C:\etc\kubernetes\kubelet.conf")

    start(
        host,
        "flanneld",
        r"C:\k\kube-log-runner.exe -log-file=C:\var\log\flanneld\flanneld.log C:\k\flanneld.exe "
        rf"--kube-subnet-mgr --kubeconfig-file=C:\etc\kubernetes\admin.conf --iface={ADDRESS}",
        "kubelet",
        NODE_NAME=NODE,
    )
    overlay = {"network": "flannel.4096", "timeoutSeconds": 300}
    waited = SCRIPTS["Wait-NodeOverlay.ps1"](host, overlay, False)
    assert waited.answer["managementAddress"] == ADDRESS, waited.error
    vip = {
        "network": "flannel.4096",
        "hostLocal": r"C:\k\cni\host-local.exe",
        "template": r"C:\k\kube-proxy.template",
        "config": r"C:\k\kube-proxy.yaml",
    }
    assert SCRIPTS["Set-SourceVip.ps1"](host, vip, False).answer["changed"] is True
    start(host, "kube-proxy", r"C:\k\kube-proxy.exe --config=C:\k\kube-proxy.yaml", "flanneld")
    eventually(lambda: any(e["Name"] == "sourceVip" for e in host.state.hns.endpoints.values()))


@pytest.mark.usefixtures("approver")
def test_node_is_not_ready_without_cni_configuration_and_ready_with_it(
    plane: ControlPlane, host: WindowsHost
):
    host.state.files.remove(r"C:\k\cni\config\cni.conf")
    start_runtime_and_kubelet(host)
    eventually(lambda: "cni plugin not initialized" in condition(plane).get("message", ""), 30)
    host.state.files.write(r"C:\k\cni\config\cni.conf", b"{}")
    eventually(lambda: condition(plane).get("status") == "True")


@pytest.mark.usefixtures("approver")
def test_pods_run_fail_or_wait_by_image_and_command(plane: ControlPlane, host: WindowsHost):
    start_runtime_and_kubelet(host)
    eventually(lambda: condition(plane).get("status") == "True", 30)
    client = plane.admin_client()
    images = {
        "runs": ("registry.k8s.io/pause:3.10.1", []),
        "fails": ("mcr.microsoft.com/windows/nanoserver:ltsc2019", ["cmd", "/c", "exit 3"]),
        "waits": ("mcr.microsoft.com/windows/nanoserver:ltsc2022", []),
    }
    client.put(
        "/api/v1/namespaces/default/serviceaccounts/default",
        {"metadata": {"name": "default", "namespace": "default"}},
    )
    for name, (image, command) in images.items():
        container = {"name": "c", "image": image, "command": command}
        spec = {"nodeName": NODE, "restartPolicy": "Never", "containers": [container]}
        client.post("/api/v1/namespaces/default/pods", {"metadata": {"name": name}, "spec": spec})

    def phases() -> dict[str, str]:
        pods = client.list("/api/v1/namespaces/default/pods")
        return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in pods}

    eventually(lambda: phases().get("runs") == "Running" and phases().get("fails") == "Failed", 20)
    complaint = "does not match the host operating system"
    eventually(lambda: complaint in str(client.get("/api/v1/namespaces/default/pods/waits")))
    for name in images:
        client.delete(f"/api/v1/namespaces/default/pods/{name}", gracePeriodSeconds=0)


def test_kubelet_without_containerd_ends_and_is_started_again(
    plane: ControlPlane, host: WindowsHost
):
    start(host, "containerd", r'"C:\Program Files\containerd\containerd.exe"')
    host.state.files.write(
        r"C:\k\kubelet-config.yaml",
        yaml.safe_dump(KUBELET | {"containerRuntimeEndpoint": "npipe:////./pipe/other"}).encode(),
    )
    start_runtime_and_kubelet(host)
    service = host.state.service("kubelet")
    assert service is not None
    eventually(lambda: service.starts > 2)
    log = (host.state.files.read(r"C:\var\log\kubelet\kubelet.log") or b"").decode()
    assert "validate CRI v1 runtime API for endpoint" in log


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("node-name-wrong", lambda plane, name: bool(node_of(plane, name))),
        (
            "provider-id-wrong",
            lambda plane, _: "i-00000000000000000" in str(node_of(plane).get("spec")),
        ),
    ],
)
@pytest.mark.usefixtures("approver")
def test_fault_of_the_kubelet_shows_on_the_node(
    plane: ControlPlane,
    host: WindowsHost,
    fault: str,
    seen: Callable[[ControlPlane, str], bool],
):
    hooks = host.hooks
    assert isinstance(hooks, FakeHooks)
    hooks.faults.add(fault)
    start_runtime_and_kubelet(host)
    eventually(lambda: seen(plane, host.state.computer_name.lower()), 20)
