"""``reset_node.yml`` by the real Ansible: join, reset, nothing left, join again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from bootstrap.model.host import PlaybookEnded, PlaybookEvent, PlaybookRun
from bootstrap.model.node import WindowsRelease
from bootstrap.sandbox.control_plane import ControlPlane
from bootstrap.sandbox.windows_host.agents import AGENTS
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts import SCRIPTS
from tests.node_cases import inputs
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

NODE = "i-0fedcba9876543777"


@dataclass(frozen=True, kw_only=True)
class Left:
    """What of a node is on a host."""

    services: list[str]
    networks: int
    endpoints: int
    balancers: int
    rules: list[str]
    routes: int
    tasks: list[str]
    exclusions: int
    files: list[str]
    adapter: str


NOTHING = Left(
    services=[],
    networks=0,
    endpoints=0,
    balancers=0,
    rules=[],
    routes=0,
    tasks=[],
    exclusions=0,
    files=[],
    adapter="Ethernet",
)


@dataclass(frozen=True, kw_only=True)
class Story:
    """The runs on one host, and what was left after the reset."""

    join: list[PlaybookEvent]
    joined: Left
    power_plan: str
    reset: list[PlaybookEvent]
    after: Left
    again: list[PlaybookEvent]
    power_plan_after: str
    rejoin: list[PlaybookEvent]
    rejoined: Left


def left_on(host: WindowsHost) -> Left:
    state = host.state
    with state.lock:
        return Left(
            services=sorted(state.services),
            networks=len(state.hns.networks),
            endpoints=len(state.hns.endpoints),
            balancers=len(state.hns.load_balancers),
            rules=sorted(name for name in state.firewall if name.startswith("bootstrap-")),
            # EC2Launch adds routes of its own at every boot, to the adapter beneath.
            routes=sum(route.interface.startswith("vEthernet") for route in state.routes),
            tasks=sorted(state.tasks),
            exclusions=len(state.defender_exclusions),
            files=[
                file.path
                for folder in (r"C:\k", r"C:\etc", r"C:\run", r"C:\var", r"C:\Program Files")
                for file in state.files.below(folder)
            ],
            adapter=state.main_adapter().name,
        )


def reset_run(run: PlaybookRun) -> PlaybookRun:
    hosts = tuple(replace(host, variables={"reset_delay": 2}) for host in run.hosts)
    return replace(run, playbook="reset_node.yml", hosts=hosts)


@pytest.fixture(scope="module")
def story(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    logs = tmp_path_factory.mktemp("logs")
    world = Cluster()
    world.plane = plane
    made = tokens(plane, "reset")
    stop = threading.Event()
    approver = threading.Thread(target=approve_everything, args=(plane, stop))
    approver.start()
    with running_host(world, scripts=SCRIPTS, agents=AGENTS) as host:
        base = inputs("modern-public-flannel", "1.34.5", WindowsRelease.WS2019)
        given = node_inputs(plane, host, made, base, NODE)
        run = playbook_run(host, world.passwords[0], given)
        join, joined, plan = play(run, logs), left_on(host), host.state.power_plan
        reset, after = play(reset_run(run), logs), left_on(host)
        again, plan_after = play(reset_run(run), logs), host.state.power_plan
        rejoin = play(run, logs)
        yield Story(
            join=join,
            joined=joined,
            power_plan=plan,
            reset=reset,
            after=after,
            again=again,
            power_plan_after=plan_after,
            rejoin=rejoin,
            rejoined=left_on(host),
        )
    stop.set()
    approver.join()
    plane.admin_client().delete(f"/api/v1/nodes/{NODE}")


def ended_well(events: list[PlaybookEvent]) -> bool:
    ended = events[-1]
    return isinstance(ended, PlaybookEnded) and ended.ok == ("game-1",) and ended.failed == ()


def test_join_leaves_its_marks(story: Story) -> None:
    assert ended_well(story.join), story.join[-3:]
    assert story.joined.services == ["containerd", "flanneld", "kube-proxy", "kubelet"]
    assert story.joined.networks and story.joined.files and story.joined.rules


def test_reset_leaves_nothing(story: Story) -> None:
    assert ended_well(story.reset), story.reset[-3:]
    assert story.after == NOTHING


def test_settings_of_the_machine_stay(story: Story) -> None:
    assert story.power_plan_after == story.power_plan


def test_second_reset_changes_nothing(story: Story) -> None:
    assert ended_well(story.again), story.again[-3:]
    assert [event.task for event in done(story.again) if event.changed] == []


def test_host_joins_again(story: Story) -> None:
    assert ended_well(story.rejoin), story.rejoin[-3:]
    assert story.rejoined.services == story.joined.services
    assert story.rejoined.networks == story.joined.networks
