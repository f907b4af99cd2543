"""What a node's container runtime needs: artifacts, files, services, images. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bootstrap.model.cluster import NetworkFacts
from bootstrap.model.registries import Registries
from bootstrap.model.runtimes import Link, RuntimeRow
from bootstrap.planning import node_services as services
from bootstrap.planning import registry_files, runtime_files
from bootstrap.planning.artifacts import Artifact, ArtifactSet

CONTAINERD_CONFIG = r"C:\Program Files\containerd\config.toml"
DAEMON_JSON = r"C:\ProgramData\docker\config\daemon.json"

_PULL_BY_CTR = ("--namespace", "k8s.io", "images", "pull")

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
    puller: Mapping[str, object]
    """The program that pulls images, for Set-NodeImage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeWish:
    """What a runtime's setup follows from."""

    row: RuntimeRow
    chosen: ArtifactSet
    pause_image: str
    registries: Registries
    network: NetworkFacts


def runtime_setup(wish: RuntimeWish) -> RuntimeSetup:
    """Decide what the runtime of a row needs."""
    return _containerd(wish) if wish.row.link is Link.CRI else _docker(wish)


def _containerd(wish: RuntimeWish) -> RuntimeSetup:
    folder = r"C:\Program Files\containerd"
    names = ("containerd.exe", "ctr.exe", "containerd-shim-runhcs-v1.exe")
    files = {f"bin/{name}": rf"{folder}\{name}" for name in names}
    environment = registry_files.environment(wish.registries, wish.network)
    return RuntimeSetup(
        tasks="containerd",
        artifacts=[(wish.chosen.runtime, "tgz", files)],
        folders=[r"C:\var\log\containerd", registry_files.HOSTS_FOLDER],
        files={
            CONTAINERD_CONFIG: runtime_files.containerd_config(wish.row.config, wish.pause_image),
            **registry_files.containerd_files(wish.registries),
        },
        services=[services.containerd(CONTAINERD_CONFIG, environment)],
        exclusions=[folder, r"C:\ProgramData\containerd"],
        # ctr pulls by itself: it has containerd's mirrors and proxy only when it is given them.
        puller={
            "runtime": "containerd",
            "program": rf"{folder}\ctr.exe",
            "pull": [*_PULL_BY_CTR, "--hosts-dir", registry_files.HOSTS_FOLDER],
            "environment": environment,
        },
    )


def _docker(wish: RuntimeWish) -> RuntimeSetup:
    """Decide for Moby and for Mirantis Container Runtime: their archives are laid out alike."""
    folder, chosen = r"C:\Program Files\docker", wish.chosen
    environment = registry_files.environment(wish.registries, wish.network)
    mirrors = registry_files.docker_mirrors(wish.registries)
    names = ("docker.exe", "dockerd.exe")
    files = {f"docker/{name}": rf"{folder}\{name}" for name in names}
    artifacts: list[Wanted] = [(chosen.runtime, "zip", files)]
    running = [services.docker(DAEMON_JSON, environment)]
    if chosen.shim is not None:
        adapter = {"cri-dockerd/cri-dockerd.exe": services.CRI_DOCKERD_EXE}
        artifacts.append((chosen.shim, "zip", adapter))
        running.append(services.cri_dockerd(wish.pause_image))
    return RuntimeSetup(
        tasks="docker" if chosen.shim is None else "cri_dockerd",
        artifacts=artifacts,
        folders=[runtime_files.DOCKER_DATA],
        files={
            DAEMON_JSON: runtime_files.daemon_json(mirrors),
            **registry_files.docker_files(wish.registries),
        },
        services=running,
        exclusions=[folder, runtime_files.DOCKER_DATA],
        puller={
            "runtime": "docker",
            "program": rf"{folder}\docker.exe",
            "pull": ["pull"],
            "environment": {},
        },
    )
