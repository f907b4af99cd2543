"""kubelet.exe: flags and files checked as the real one does, TLS bootstrap, then the Node.

The Node itself, its Lease and pods are ``bootstrap.sandbox.kubelet``'s, shared with Linux nodes.
"""

from __future__ import annotations

from dataclasses import replace

from bootstrap.sandbox.cluster_client import ApiUnreachable
from bootstrap.sandbox.kubelet import KubeletStandIn, NodeSpec, Readiness
from bootstrap.sandbox.windows_host.agents.command_line import FlagError
from bootstrap.sandbox.windows_host.agents.files import FileRefused, Kubeconfig
from bootstrap.sandbox.windows_host.agents.kubelet_config import (
    KubeletSettings,
    Panic,
    settings,
)
from bootstrap.sandbox.windows_host.agents.kubelet_flags import parse_kubelet_flags
from bootstrap.sandbox.windows_host.agents.kubelet_identity import Stopped, client_identity
from bootstrap.sandbox.windows_host.agents.machine import (
    Invocation,
    LookupFailed,
    Machine,
    missing_file,
)
from bootstrap.sandbox.windows_host.agents.pod_network import cni_configurations, network_problem
from bootstrap.sandbox.windows_host.agents.pods import WindowsRuntime
from bootstrap.sandbox.windows_host.agents.runtime import RuntimeView, pipe_of

_RETRY_S = 1.0
NOT_INITIALIZED = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)


def run(invocation: Invocation) -> int:
    """Run a kubelet until it is told to stop; 1 for what it refuses, 2 where it panics."""
    try:
        decided, version = _settings(invocation)
        _check_host(invocation.machine, decided)
        kubeconfig = client_identity(invocation, decided)
    except (FlagError, FileRefused) as error:
        return invocation.fail(str(error))
    except Panic as error:
        invocation.log(f"panic: {error}")
        return 2
    except Stopped:
        return 0
    _serve(invocation, decided, kubeconfig, version)
    return 0


def _settings(invocation: Invocation) -> tuple[KubeletSettings, str]:
    machine = invocation.machine
    version = machine.program_version(invocation.executable)
    minor = int(version.split(".")[1])
    flags = parse_kubelet_flags(invocation.arguments, minor)
    path = flags.get("config", "")
    content = machine.read(path) if path else None
    if path and content is None:
        raise FileRefused(
            f"failed to load kubelet config file, path: {path}, error: failed to load Kubelet "
            f"config file {path}, error failed to read kubelet config file: {missing_file(path)}"
        )
    decided = settings(
        flags,
        content,
        minor=minor,
        computer_name=machine.computer_name,
        log=invocation.log,
    )
    if machine.is_broken("node-name-wrong"):
        decided = replace(decided, name=machine.computer_name.lower())
    if machine.is_broken("provider-id-wrong"):
        decided = replace(decided, provider_id="aws:///eu-west-1a/i-00000000000000000")
    return decided, version


def _check_host(machine: Machine, decided: KubeletSettings) -> None:
    if decided.client_ca_file and machine.read(decided.client_ca_file) is None:
        raise FileRefused(
            "failed to construct kubelet dependencies: unable to load client CA file "
            f"{decided.client_ca_file}: {missing_file(decided.client_ca_file)}"
        )
    runtime = machine.listening(pipe_of(decided.endpoint))
    if decided.is_dockershim and runtime is None:
        raise FileRefused(
            "failed to run Kubelet: failed to create kubelet: failed to get docker version: Cannot"
            " connect to the Docker daemon at npipe:////./pipe/docker_engine."
            " Is the docker daemon running?"
        )
    if runtime is None or (not decided.is_dockershim and not runtime.has_cri):
        raise FileRefused(
            "failed to run Kubelet: validate service connection: validate CRI v1 runtime API for "
            f'endpoint "{decided.endpoint}": rpc error: code = Unavailable desc = connection '
            f"error: {missing_file(decided.endpoint.removeprefix('npipe:'))}"
        )


def _serve(
    invocation: Invocation, decided: KubeletSettings, kubeconfig: Kubeconfig, version: str
) -> None:
    """Be the node, until told to stop; a name that does not resolve is tried again for ever."""
    machine = invocation.machine
    while not invocation.stop.is_set():
        try:
            client = machine.connect(kubeconfig)
        except (LookupFailed, ApiUnreachable) as error:
            invocation.log(f"E1101 kubelet_node_status.go:106] Unable to register node: {error}")
            invocation.stop.wait(_RETRY_S)
            continue
        stand_in = KubeletStandIn(
            client,
            _node_spec(invocation, decided, version),
            WindowsRuntime(machine.build, lambda: network_problem(machine, decided)),
            invocation.stop,
            lambda: _readiness(machine, decided),
            invocation.log,
        )
        stand_in.run()


def _runtime_version(runtime: RuntimeView | None) -> str:
    return f"{runtime.name}://{runtime.version}" if runtime else "://"


def _node_spec(invocation: Invocation, decided: KubeletSettings, version: str) -> NodeSpec:
    machine = invocation.machine
    runtime = machine.listening(pipe_of(decided.endpoint))
    own = {
        "kubernetes.io/os": "windows",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": decided.name,
        "node.kubernetes.io/windows-build": f"10.0.{machine.build}",
    }
    return NodeSpec(
        name=decided.name,
        labels=decided.labels | own,
        node_info={
            "operatingSystem": "windows",
            "architecture": "amd64",
            "osImage": machine.product_name,
            "kernelVersion": f"10.0.{machine.build}.{machine.revision}",
            "containerRuntimeVersion": _runtime_version(runtime),
            "kubeletVersion": f"v{version}",
            "kubeProxyVersion": f"v{version}",
        },
        address=_address(invocation, decided),
        taints=decided.taints,
        provider_id=decided.provider_id,
        external_cloud=decided.is_cloud_external,
        capacity={"cpu": "4", "memory": "16Gi", "pods": str(decided.max_pods)},
    )


def _address(invocation: Invocation, decided: KubeletSettings) -> str:
    found = [adapter.address for adapter in invocation.machine.adapters()]
    if not decided.node_ip:
        return found[0] if found else ""
    if decided.node_ip not in found:
        invocation.log(
            "E1101 kubelet_node_status.go:762] failed to validate nodeIP: node IP: "
            f'"{decided.node_ip}" not found in the host\'s network interfaces'
        )
        return ""
    return decided.node_ip


def _readiness(machine: Machine, decided: KubeletSettings) -> Readiness:
    runtime = machine.listening(pipe_of(decided.endpoint))
    if runtime is None:
        return Readiness(ready=False, reason="KubeletNotReady", message="container runtime is down")
    folder = decided.cni_conf_dir if decided.is_dockershim else runtime.conf_dir
    if folder and not cni_configurations(machine, folder):
        return Readiness(ready=False, reason="KubeletNotReady", message=NOT_INITIALIZED)
    return Readiness(ready=True, message="kubelet is posting ready status")
