"""cri-dockerd.exe: the adapter that makes a CRI of Docker.

Source: Mirantis/cri-dockerd ``cmd/cri/options/options.go``, ``config/options.go``,
``cmd/server.go``. It ends when there is no Docker at its start.
"""

from __future__ import annotations

import ipaddress

from bootstrap.sandbox.windows_host.agents.command_line import FlagError, parse_pflags, words
from bootstrap.sandbox.windows_host.agents.machine import Invocation, missing_file
from bootstrap.sandbox.windows_host.agents.runtime import (
    CRI_DOCKERD_PIPE,
    DOCKER_PIPE,
    RuntimeView,
    pipe_of,
)

_FLAGS = words("""
    buildinfo cni-bin-dir cni-cache-dir cni-conf-dir container-runtime-endpoint
    cri-dockerd-root-directory docker-endpoint hairpin-mode help image-pull-progress-deadline
    ipv6-dual-stack log-level network-plugin network-plugin-mtu pod-cidr pod-infra-container-image
    runtime-cgroups runtime-request-timeout streaming-bind-addr version
    """)
_BOOLEANS = words("buildinfo help ipv6-dual-stack version")
_PLUGINS = ("", "cni", "kubenet")
_OLDEST_DOCKER = 23
"""cri-dockerd 0.4 asks for API 1.42."""
_START_S = 1.0


def run(invocation: Invocation) -> int:
    """Run cri-dockerd until it is told to stop; exit code 1 without Docker or for a wrong flag."""
    try:
        view = _view(invocation)
    except FlagError as error:
        invocation.log(f'level=fatal msg="{error}"')
        return 1
    if invocation.pause(_START_S):
        return 0
    invocation.machine.listen(view.pipe, view)
    invocation.log('level=info msg="Start cri-dockerd grpc backend"')
    try:
        invocation.stop.wait()
    finally:
        invocation.machine.listen(view.pipe, None)
    return 0


def _view(invocation: Invocation) -> RuntimeView:
    flags = parse_pflags(invocation.arguments, known=_FLAGS, booleans=_BOOLEANS)
    plugin = flags.get("network-plugin", "cni")
    if plugin not in _PLUGINS:
        raise FlagError(f'network plugin "{plugin}" not found')
    bind = flags.get("streaming-bind-addr", "")
    if bind and not _is_address(bind):
        raise FlagError(f"Could not parse the given streaming bind address: {bind}")
    docker_pipe = pipe_of(flags.get("docker-endpoint", "")) or DOCKER_PIPE
    docker = invocation.machine.listening(docker_pipe)
    if docker is None or docker.has_cri:
        raise FlagError(
            "failed to get docker version: error during connect: this error may indicate that the"
            f" docker daemon is not running: {missing_file('//./pipe/docker_engine')}"
        )
    if int(docker.version.split(".")[0]) < _OLDEST_DOCKER:
        raise FlagError("docker API version is older than 1.42")
    return RuntimeView(
        name="docker",
        version=docker.version,
        pipe=pipe_of(flags.get("container-runtime-endpoint", "")) or CRI_DOCKERD_PIPE,
        conf_dir=flags.get("cni-conf-dir", r"C:\k\cni\config") if plugin == "cni" else "",
        bin_dir=flags.get("cni-bin-dir", "C:\\k\\cni\\bin\\"),
        sandbox_image=flags.get("pod-infra-container-image", "registry.k8s.io/pause:3.10"),
        cni_api=1,
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
