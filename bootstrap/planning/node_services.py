"""The Windows services of a node: command lines, dependencies, recovery. Pure.

Order of a start: runtime, kubelet, flanneld (needs the Node's podCIDR), kube-proxy (needs the
overlay network). Each restarts by itself; delays of ``sc failure`` are milliseconds. A service is
restarted by the script when a file that it ``watches`` is newer than its process: so a run that was
killed between a file and the restart is made good by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bootstrap.model.node import Taint
from bootstrap.model.runtimes import Link
from bootstrap.model.windows import kubelet_rules
from bootstrap.planning.node_files import CNI_BIN, CNI_CONF, ENDPOINTS

RECOVERY_MS = (10_000, 30_000, 60_000)
RECOVERY_RESET_S = 300

SERVICE_HOST = r"C:\k\service-host.exe"
CONTAINERD, DOCKER, CRI_DOCKERD = "containerd", "docker", "cri-dockerd"
KUBELET, FLANNELD, KUBE_PROXY = "kubelet", "flanneld", "kube-proxy"
RUNTIME_OF = {
    Link.CRI: CONTAINERD,
    Link.DOCKERSHIM: DOCKER,
    Link.CRI_DOCKERD: CRI_DOCKERD,
}
"""The service that a kubelet needs."""
CONTAINERD_EXE = r"C:\Program Files\containerd\containerd.exe"
DOCKERD_EXE = r"C:\Program Files\docker\dockerd.exe"
CRI_DOCKERD_EXE = r"C:\k\cri-dockerd.exe"
DOCKER_ENDPOINT = "npipe:////./pipe/docker_engine"
PULL_DEADLINE = "20m"
"""Without progress for so long, a pull is given up; layers of Windows are large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What of a node stands in command lines."""

    node_name: str
    address: str
    provider_id: str
    external_cloud: bool
    taints: tuple[Taint, ...]
    link: Link
    pause_image: str


def containerd(config: str, environment: Mapping[str, str]) -> dict[str, object]:
    """Return containerd's service."""
    log = r"C:\var\log\containerd\containerd.log"
    line = f'"{CONTAINERD_EXE}" --config "{config}" --log-file {log} --run-service'
    service = _service(CONTAINERD, "containerd", line, watches=[config, CONTAINERD_EXE])
    return service | {"environment": dict(environment)}


def docker(config: str, environment: Mapping[str, str]) -> dict[str, object]:
    """Return dockerd's service, as ``dockerd --register-service`` makes it, with our recovery.

    moby cmd/dockerd/service_windows.go: ``--run-service`` before the other flags, name and display
    name, automatic start. Its log is the event log.
    """
    line = f'"{DOCKERD_EXE}" --run-service --service-name {DOCKER} --config-file {config}'
    service = _service(DOCKER, "Docker Engine", line, watches=[config, DOCKERD_EXE])
    return service | {"environment": dict(environment)}


def cri_dockerd(pause_image: str) -> dict[str, object]:
    """Return cri-dockerd's service; it does not speak to the service control manager either."""
    flags = [
        f"--container-runtime-endpoint={ENDPOINTS[Link.CRI_DOCKERD]}",
        f"--docker-endpoint={DOCKER_ENDPOINT}",
        # Streams have no TLS; only the kubelet beside it asks for them.
        "--streaming-bind-addr=127.0.0.1",
        *_cni_by_docker(pause_image),
    ]
    line = " ".join([_hosted(CRI_DOCKERD), CRI_DOCKERD_EXE, *flags])
    watches = [CRI_DOCKERD_EXE]
    return _service(CRI_DOCKERD, "CRI for Docker", line, needs=[DOCKER], watches=watches)


def _cni_by_docker(pause_image: str) -> list[str]:
    """Return flags that dockershim and cri-dockerd share."""
    return [
        "--network-plugin=cni",
        f"--cni-bin-dir={CNI_BIN}",
        f"--cni-conf-dir={CNI_CONF}",
        f"--pod-infra-container-image={pause_image}",
        f"--image-pull-progress-deadline={PULL_DEADLINE}",
    ]


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
    if not rules.provider_id_in_file:
        flags.append(f"--provider-id={identity.provider_id}")
    if not rules.resolv_conf_in_file:
        flags.append("--resolv-conf=")
    if not rules.taints_in_file:
        taints = ",".join(f"{item.key}={item.value}:{item.effect}" for item in identity.taints)
        flags.append(f"--register-with-taints={taints}")
    if identity.link is Link.DOCKERSHIM:
        flags += ["--container-runtime=docker", *_cni_by_docker(identity.pause_image)]
    elif not rules.endpoint_in_file:
        endpoint = ENDPOINTS[identity.link]
        flags += ["--container-runtime=remote", f"--container-runtime-endpoint={endpoint}"]
    line = _logged(minor, KUBELET, flags)
    needs = [RUNTIME_OF[identity.link]]
    watches = [r"C:\k\kubelet.conf", r"C:\etc\kubernetes\pki\ca.crt", r"C:\k\kubelet.exe"]
    return _service(KUBELET, "Kubernetes kubelet", line, needs=needs, watches=watches)


def flanneld(identity: Identity) -> dict[str, object]:
    """Return flanneld's service; NODE_NAME is case-sensitive and required."""
    flags = [
        "--kube-subnet-mgr",
        r"--kubeconfig-file=C:\etc\kubernetes\flannel.kubeconfig",
        f"--iface={identity.address}",
        "--ip-masq",
    ]
    # flanneld itself does not speak to the service control manager.
    line = " ".join([_hosted(FLANNELD), r"C:\k\flanneld.exe", *flags])
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


def _hosted(name: str) -> str:
    return rf"{SERVICE_HOST} -log-file=C:\var\log\{name}\{name}.log"


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
