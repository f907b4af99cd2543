"""What the rest of a node sees of a container runtime that listens on a named pipe."""

from __future__ import annotations

from dataclasses import dataclass

CONTAINERD_PIPE = r"\\.\pipe\containerd-containerd"
DOCKER_PIPE = r"\\.\pipe\docker_engine"
CRI_DOCKERD_PIPE = r"\\.\pipe\cri-dockerd"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeView:
    """A runtime that listens.

    ``name`` and ``version`` make up the Node's ``containerRuntimeVersion``. ``has_cri``: a kubelet
    can speak with it by CRI. ``conf_dir`` is where it looks for CNI configurations, '' when that is
    the kubelet's matter; ``cni_api`` is the schema of HNS that its containers have.
    """

    name: str
    version: str = ""
    pipe: str
    has_cri: bool = True
    conf_dir: str = ""
    bin_dir: str = ""
    sandbox_image: str = ""
    cni_api: int = 2


def pipe_of(endpoint: str) -> str:
    r"""Return the pipe's Windows name: ``npipe:////./pipe/x`` is ``\\.\pipe\x``."""
    return endpoint.removeprefix("npipe:").replace("/", "\\").replace("\\\\\\\\", "\\\\")
