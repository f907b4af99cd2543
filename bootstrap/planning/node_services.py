"""The Windows services of a node: command lines, dependencies, recovery. Pure.

Order of a start: containerd, kubelet, flanneld (needs the Node's podCIDR), kube-proxy (needs the
overlay network). Each restarts by itself; delays of ``sc failure`` are milliseconds. A service is
restarted by the script when a file that it ``watches`` is newer than its process: so a run that was
killed between a file and the restart is made good by the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bootstrap.model.node import Taint
from bootstrap.model.windows import kubelet_rules
from bootstrap.planning.node_files import RUNTIME_ENDPOINT

RECOVERY_MS = (10_000, 30_000, 60_000)
RECOVERY_RESET_S = 300

SERVICE_HOST = r"C:\k\service-host.exe"
CONTAINERD, KUBELET, FLANNELD, KUBE_PROXY = "containerd", "kubelet", "flanneld", "kube-proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What of a node stands in command lines."""

    node_name: str
    address: str
    external_cloud: bool
    taints: tuple[Taint, ...]


def containerd(config: str) -> dict[str, object]:
    """Return containerd's service."""
    log = r"C:\var\log\containerd\containerd.log"
    exe = r'"C:\Program Files\containerd\containerd.exe"'
    line = f'{exe} --config "{config}" --log-file {log} --run-service'
    watches = [config, r"C:\Program Files\containerd\containerd.exe"]
    return _service(CONTAINERD, "containerd", line, watches=watches)


def kubelet(minor: int, identity: Identity) -> dict[str, object]:
    """Return the kubelet's service; what its file cannot say in this minor is said by flags."""
    rules = kubelet_rules(minor)
    flags = [
        r"--config=C:\k\kubelet.conf",
        r"--bootstrap-kubeconfig=C:\etc\kubernetes\bootstrap-kubelet.conf",
        r"--kubeconfig=C:\etc\kubernetes\kubelet.conf",
        r"--cert-dir=C:\var\lib\kubelet\pki",
        f"--hostname-override={identity.node_name}",
        f"--node-ip={identity.address}",
        "--windows-service",
        "--v=2",
    ]
    if identity.external_cloud:
        flags.append("--cloud-provider=external")
    if not rules.taints_in_file:
        taints = ",".join(f"{item.key}={item.value}:{item.effect}" for item in identity.taints)
        flags.append(f"--register-with-taints={taints}")
    if not rules.endpoint_in_file:
        flags += ["--container-runtime=remote", f"--container-runtime-endpoint={RUNTIME_ENDPOINT}"]
    line = _logged(minor, KUBELET, flags)
    watches = [r"C:\k\kubelet.conf", r"C:\etc\kubernetes\pki\ca.crt", r"C:\k\kubelet.exe"]
    return _service(KUBELET, "Kubernetes kubelet", line, needs=[CONTAINERD], watches=watches)


def flanneld(identity: Identity) -> dict[str, object]:
    """Return flanneld's service; NODE_NAME is case-sensitive and required."""
    flags = [
        "--kube-subnet-mgr",
        r"--kubeconfig-file=C:\etc\kubernetes\flannel.kubeconfig",
        f"--iface={identity.address}",
        "--ip-masq",
    ]
    # flanneld itself does not speak to the service control manager.
    host = rf"{SERVICE_HOST} -log-file=C:\var\log\{FLANNELD}\{FLANNELD}.log"
    line = " ".join([host, r"C:\k\flanneld.exe", *flags])
    environment = {"NODE_NAME": identity.node_name}
    watches = [
        r"C:\etc\kube-flannel\net-conf.json",
        r"C:\etc\kubernetes\flannel.kubeconfig",
        r"C:\k\flanneld.exe",
    ]
    service = _service(FLANNELD, "flannel", line, needs=[KUBELET], watches=watches)
    return service | {"environment": environment}


def kube_proxy(minor: int) -> dict[str, object]:
    """Return kube-proxy's service."""
    flags = [r"--config=C:\k\kube-proxy.conf", "--windows-service", "--v=2"]
    line = _logged(minor, KUBE_PROXY, flags)
    watches = [
        r"C:\k\kube-proxy.conf",
        r"C:\etc\kubernetes\kube-proxy.kubeconfig",
        r"C:\k\kube-proxy.exe",
    ]
    return _service(KUBE_PROXY, "Kubernetes kube-proxy", line, needs=[FLANNELD], watches=watches)


def _runner(name: str) -> str:
    return rf"C:\k\kube-log-runner.exe -log-file=C:\var\log\{name}\{name}.log"


def _logged(minor: int, name: str, flags: Sequence[str]) -> str:
    if kubelet_rules(minor).has_log_runner:
        return " ".join([_runner(name), rf"C:\k\{name}.exe", *flags])
    own = [rf"--log-dir=C:\var\log\{name}", "--logtostderr=false"]
    return " ".join([rf"C:\k\{name}.exe", *flags, *own])


def _service(
    name: str,
    display_name: str,
    line: str,
    *,
    needs: Sequence[str] = (),
    watches: Sequence[str] = (),
) -> dict[str, object]:
    return {
        "name": name,
        "displayName": display_name,
        "binaryPath": line,
        "dependencies": list(needs),
        "environment": {},
        "recoveryDelaysMs": list(RECOVERY_MS),
        "resetSeconds": RECOVERY_RESET_S,
        "state": "running",
        "watches": list(watches),
    }
