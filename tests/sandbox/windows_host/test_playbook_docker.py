"""Nodes with Docker: dockershim on an old Kubernetes, cri-dockerd on a newer one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from bootstrap.model.host import PlaybookEnded, PlaybookEvent
from bootstrap.model.node import Runtime, WindowsRelease
from bootstrap.planning.node_config import Inputs
from bootstrap.sandbox.control_plane import ControlPlane
from bootstrap.sandbox.windows_host.agents import AGENTS
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts import SCRIPTS
from bootstrap.sandbox.windows_host.state import VirtualFile
from tests.node_cases import ADAPTER, BEHIND_PROXY, ENTERPRISE, inputs
from tests.sandbox.windows_host.fake_machine import eventually
from tests.sandbox.windows_host.simulated import running_host
from tests.sandbox.windows_host.test_agents_cluster import approve_everything
from tests.sandbox.windows_host.test_playbook import (
    Cluster,
    done,
    node_inputs,
    play,
    playbook_run,
    tokens,
)

pytest.importorskip("ansible", reason="Ansible is not installed")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A node to join, and what it has to be like."""

    node: str
    given: Inputs
    services: list[str]
    version: str


CASES = {
    "dockershim": Case(
        node="ip-172-20-32-21.eu-west-1.compute.internal",
        given=inputs(
            "legacy-1.22-flannel", "1.21.14", WindowsRelease.WS2019, runtime=Runtime.DOCKER
        ),
        services=["docker"],
        version="docker://20.10.23",
    ),
    "cri-dockerd": Case(
        node="i-00000000000000d25",
        given=inputs(
            "mid-public-flannel",
            "1.25.16",
            WindowsRelease.WS2022,
            runtime=Runtime.DOCKER_EE,
            registries=BEHIND_PROXY,
        ),
        services=["cri-dockerd", "docker"],
        version="docker://25.0.8",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A host, its case, and two runs of the playbook on it."""

    case: Case
    host: WindowsHost
    first: list[PlaybookEvent]
    second: list[PlaybookEvent]


@pytest.fixture(scope="module", params=CASES)
def joined(
    request: pytest.FixtureRequest, plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Joined]:
    case = CASES[request.param]
    world = Cluster()
    world.plane = plane
    for artifact in (ADAPTER, ENTERPRISE):
        checksums = {artifact.algorithm: artifact.checksum}
        world.urls[artifact.url] = VirtualFile(size=1, checksums=checksums, url=artifact.url)
    made = tokens(plane, request.param)
    stop = threading.Event()
    approver = threading.Thread(target=approve_everything, args=(plane, stop))
    approver.start()
    logs = tmp_path_factory.mktemp("logs")
    release = case.given.windows.value
    with running_host(world, scripts=SCRIPTS, agents=AGENTS, release=release) as host:
        given = node_inputs(plane, host, made, case.given, case.node)
        run = playbook_run(host, world.passwords[0], given)
        yield Joined(case=case, host=host, first=play(run, logs), second=play(run, logs))
    stop.set()
    approver.join()
    plane.admin_client().delete(f"/api/v1/nodes/{case.node}")


def node_of(joined: Joined, plane: ControlPlane) -> dict[str, Any]:
    nodes = plane.admin_client().list("/api/v1/nodes")
    return next((item for item in nodes if item["metadata"]["name"] == joined.case.node), {})


def test_playbook_ends_well_and_changes_nothing_the_second_time(joined: Joined) -> None:
    for events in (joined.first, joined.second):
        ended = events[-1]
        assert isinstance(ended, PlaybookEnded), events[-3:]
        assert ended.failed == (), [*events[-4:], list(joined.host.state.events)[-8:]]
    assert [event.task for event in done(joined.second) if event.changed] == []


def test_services_of_the_runtime_run_before_the_kubelet(joined: Joined) -> None:
    names = {service.name for service in joined.host.state.running_services()}
    assert names == {*joined.case.services, "kubelet", "flanneld", "kube-proxy"}
    kubelet = joined.host.state.service("kubelet")
    assert kubelet is not None
    assert kubelet.dependencies == (joined.case.services[0],)


def test_node_is_ready_and_says_its_runtime(joined: Joined, plane: ControlPlane) -> None:
    def is_ready() -> bool:
        conditions = node_of(joined, plane).get("status", {}).get("conditions", [])
        return {"Ready": "True"} in [{item["type"]: item["status"]} for item in conditions]

    eventually(is_ready)
    node = node_of(joined, plane)
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"] == joined.case.version
    assert node["spec"]["providerID"].endswith(joined.host.spec.instance_id)
    assert {"os", "bootstrap.node/not-ready"} <= {taint["key"] for taint in node["spec"]["taints"]}


def test_pause_image_was_pulled_by_docker(joined: Joined) -> None:
    assert joined.case.given.pause_image in joined.host.state.images
