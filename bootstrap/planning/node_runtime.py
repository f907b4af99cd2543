"""What a node's container runtime needs: artifacts, files, services, images. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bootstrap.model.runtimes import Link, RuntimeRow
from bootstrap.planning import node_services as services
from bootstrap.planning import runtime_files
from bootstrap.planning.artifacts import Artifact, ArtifactSet

CONTAINERD_CONFIG = r"C:\Program Files\containerd\config.toml"
CONTAINERD_HOSTS = r"C:\k\containerd\certs.d"
DAEMON_JSON = r"C:\ProgramData\docker\config\daemon.json"

Wanted = tuple[Artifact, str, Mapping[str, str]]
"""An artifact, how it is unpacked, and which of its files go where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSetup:
    """One runtime on one node; ``tasks`` is the task file of the role."""

    tasks: str
    artifacts: Sequence[Wanted]
    folders: Sequence[str]
    files: Mapping[str, str]
    services: Sequence[Mapping[str, object]]
    exclusions: Sequence[str]
    puller: Mapping[str, str]
    """The program that pulls images, for Set-NodeImage."""


def runtime_setup(row: RuntimeRow, chosen: ArtifactSet, pause_image: str) -> RuntimeSetup:
    """Decide what the runtime of a row needs."""
    if row.link is Link.CRI:
        return _containerd(row, chosen, pause_image)
    return _docker(row, chosen, pause_image)


def _containerd(row: RuntimeRow, chosen: ArtifactSet, pause_image: str) -> RuntimeSetup:
    folder = r"C:\Program Files\containerd"
    names = ("containerd.exe", "ctr.exe", "containerd-shim-runhcs-v1.exe")
    files = {f"bin/{name}": rf"{folder}\{name}" for name in names}
    return RuntimeSetup(
        tasks="containerd",
        artifacts=[(chosen.runtime, "tgz", files)],
        folders=[r"C:\var\log\containerd", CONTAINERD_HOSTS],
        files={CONTAINERD_CONFIG: runtime_files.containerd_config(row.config, pause_image)},
        services=[services.containerd(CONTAINERD_CONFIG)],
        exclusions=[folder, r"C:\ProgramData\containerd"],
        puller={"runtime": "containerd", "program": rf"{folder}\ctr.exe"},
    )


def _docker(row: RuntimeRow, chosen: ArtifactSet, pause_image: str) -> RuntimeSetup:
    """Decide for Moby and for Mirantis Container Runtime: their archives are laid out alike."""
    folder = r"C:\Program Files\docker"
    names = ("docker.exe", "dockerd.exe")
    files = {f"docker/{name}": rf"{folder}\{name}" for name in names}
    artifacts: list[Wanted] = [(chosen.runtime, "zip", files)]
    running = [services.docker(DAEMON_JSON)]
    if chosen.shim is not None:
        adapter = {"cri-dockerd/cri-dockerd.exe": services.CRI_DOCKERD_EXE}
        artifacts.append((chosen.shim, "zip", adapter))
        running.append(services.cri_dockerd(pause_image))
    return RuntimeSetup(
        tasks="docker" if chosen.shim is None else "cri_dockerd",
        artifacts=artifacts,
        folders=[runtime_files.DOCKER_DATA],
        files={DAEMON_JSON: runtime_files.daemon_json()},
        services=running,
        exclusions=[folder, runtime_files.DOCKER_DATA],
        puller={"runtime": "docker", "program": rf"{folder}\docker.exe"},
    )
