"""Our playbook, run by the real Ansible on a simulated host that joins a real API server."""

from __future__ import annotations

import base64
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.adapters.playbooks import AnsiblePlaybookRunner
from bootstrap.adapters.processes import LocalProcesses
from bootstrap.engine.joining import PHASE_OF_ROLE, REBOOT_TASK
from bootstrap.model.host import (
    HostTarget,
    PlaybookEnded,
    PlaybookEvent,
    PlaybookHost,
    PlaybookRun,
    TaskFinished,
)
from bootstrap.model.node import KubeNodeName, NodeName, WindowsRelease
from bootstrap.model.secret import Secret
from bootstrap.planning import hostvars, node_config
from bootstrap.planning.node_config import Inputs, Placed
from bootstrap.resources import data_path
from bootstrap.sandbox.control_plane import ControlPlane
from bootstrap.sandbox.windows_host.agents import AGENTS
from bootstrap.sandbox.windows_host.host import ADMINISTRATOR, WindowsHost
from bootstrap.sandbox.windows_host.scripts import SCRIPTS
from bootstrap.sandbox.windows_host.state import VirtualFile
from bootstrap.sandbox.world_artifacts import published
from tests.node_cases import inputs
from tests.sandbox.windows_host.fake_machine import eventually
from tests.sandbox.windows_host.simulated import World, running_host
from tests.sandbox.windows_host.test_agents_cluster import approve_everything

pytest.importorskip("ansible", reason="Ansible is not installed")

NODE = "i-0fedcba9876543210"
API_ADDRESS = "127.20.0.5"
ACCOUNTS = ("bootstrap", "flannel", "kube-proxy")
MOST_TASKS = 20
"""Of ours, on a fresh host; each is at least one round trip, and most are many."""


class Cluster(World):
    """The world of one host with a cluster in it."""

    plane: ControlPlane

    def internet(self, url: str) -> VirtualFile | bytes | None:
        return self.urls.get(url) or published().get(url)

    def resolve(self, name: str, hosts_file: str) -> str:
        return API_ADDRESS if name == self.plane.api_name else ""

    def endpoint(self, address: str, port: int) -> tuple[str, int] | None:
        return ("127.0.0.1", self.plane.port) if (address, port) == (API_ADDRESS, 443) else None


@dataclass(frozen=True, kw_only=True)
class Tokens:
    bootstrap: Secret
    flannel: Secret
    kube_proxy: Secret


@dataclass(frozen=True, kw_only=True)
class Join:
    """A host and two runs of the playbook on it."""

    host: WindowsHost
    first: list[PlaybookEvent]
    second: list[PlaybookEvent]
    log: str
    tokens: Tokens


def tokens(plane: ControlPlane, prefix: str = "playbook") -> Tokens:
    """Make accounts that may do everything: what they need is not the matter here."""
    client = plane.admin_client()
    made = []
    for name in ACCOUNTS:
        meta = {"name": f"{prefix}-{name}", "namespace": "default"}
        client.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": meta})
        subject = {"kind": "ServiceAccount", **meta}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
        binding = {
            "metadata": {"name": meta["name"]},
            "roleRef": role | {"name": "cluster-admin"},
            "subjects": [subject],
        }
        client.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
        path = f"/api/v1/namespaces/default/serviceaccounts/{meta['name']}/token"
        answer = client.post(path, {"spec": {"expirationSeconds": 3600}})
        made.append(Secret(answer["status"]["token"]))
    return Tokens(bootstrap=made[0], flannel=made[1], kube_proxy=made[2])


def ca_of(plane: ControlPlane) -> str:
    cluster = yaml.safe_load(plane.kubeconfig("https://unused"))["clusters"][0]["cluster"]
    return base64.b64decode(cluster["certificate-authority-data"]).decode()


def node_inputs(
    plane: ControlPlane, host: WindowsHost, made: Tokens, base: Inputs, node: str
) -> Inputs:
    """Move a node of a recorded cluster into this one."""
    api = replace(base.facts.api, host=plane.api_name)
    subnet = ipaddress.ip_network(f"{host.spec.address}/{host.spec.prefix_length}", strict=False)
    placed = Placed(
        node_name=KubeNodeName(node),
        address=host.spec.address,
        provider_id=f"aws:///{host.spec.zone}/{host.spec.instance_id}",
        subnet_cidr=str(subnet),
    )
    facts = replace(base.facts, api=api, ca_bundle=ca_of(plane))
    return replace(base, facts=facts, placed=placed, tokens=made)


@pytest.fixture(scope="module")
def join(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Join]:
    logs = tmp_path_factory.mktemp("logs")
    world = Cluster()
    world.plane = plane
    made = tokens(plane)
    stop = threading.Event()
    approver = threading.Thread(target=approve_everything, args=(plane, stop))
    approver.start()
    with running_host(world, scripts=SCRIPTS, agents=AGENTS) as host:
        base = inputs("modern-public-flannel", "1.34.5", WindowsRelease.WS2019)
        given = node_inputs(plane, host, made, base, NODE)
        run = playbook_run(host, world.passwords[0], given)
        with pytest.MonkeyPatch.context() as patch:
            # Nothing listens there; WinRM has to go around it.
            patch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
            first, second = play(run, logs), play(run, logs)
        log = "".join(path.read_text() for path in logs.glob("*"))
        yield Join(host=host, first=first, second=second, log=log, tokens=made)
    stop.set()
    approver.join()
    plane.admin_client().delete(f"/api/v1/nodes/{NODE}")


def playbook_run(host: WindowsHost, password: str, given: Inputs) -> PlaybookRun:
    target = HostTarget(
        node=NodeName("game-1"),
        host=host.spec.address,
        ca_pem=ssl.get_server_certificate((host.spec.address, 5986)),
        user=ADMINISTRATOR,
        password=Secret(password),
    )
    # The simulated vSwitch cuts connections 1.5 s after its task began; look again only then.
    variables = hostvars.host_variables(node_config.build(given)) | {"network_prepare_delay": 2}
    hosts = (PlaybookHost(target=target, variables=variables),)
    return PlaybookRun(playbook="windows_node.yml", hosts=hosts)


def play(run: PlaybookRun, logs: Path) -> list[PlaybookEvent]:
    processes = LocalProcesses()
    runner = AnsiblePlaybookRunner(
        data_path("playbooks"), logs, identity=processes.me(), is_alive=processes.is_alive
    )
    return list(runner.run(run, should_stop=lambda: False))


def done(events: list[PlaybookEvent]) -> list[TaskFinished]:
    """Tasks of ours that did something on the host; Ansible's own check of arguments is none."""
    return [
        event
        for event in events
        if isinstance(event, TaskFinished)
        and not event.skipped
        and not event.task.startswith("Validating arguments")
    ]


def test_playbook_ends_well(join: Join) -> None:
    ended = join.first[-1]
    assert isinstance(ended, PlaybookEnded), join.first[-3:]
    assert (ended.ok, ended.failed) == (("game-1",), ()), join.first[-3:]


def test_roles_come_in_the_order_of_the_phases(join: Join) -> None:
    roles = list(dict.fromkeys(event.role for event in done(join.first)))
    assert roles == list(PHASE_OF_ROLE)


def test_fresh_host_takes_few_tasks(join: Join) -> None:
    assert len(done(join.first)) <= MOST_TASKS


def test_host_reboots_once_by_a_task_that_says_so(join: Join) -> None:
    reboots = [event.role for event in done(join.first) if REBOOT_TASK in event.task]
    assert reboots == ["windows_base"]
    assert join.host.state.boots == 2


def test_services_of_a_node_run(join: Join) -> None:
    names = [service.name for service in join.host.state.running_services()]
    assert sorted(names) == ["containerd", "flanneld", "kube-proxy", "kubelet"]


def test_node_registers_with_its_name_address_and_taints(join: Join, plane: ControlPlane) -> None:
    def node() -> dict[str, Any]:
        nodes = plane.admin_client().list("/api/v1/nodes")
        return next((item for item in nodes if item["metadata"]["name"] == NODE), {})

    eventually(lambda: bool(node()))
    spec = node()["spec"]
    assert spec["providerID"] == f"aws:///eu-west-1a/{join.host.spec.instance_id}"
    assert {"os", "bootstrap.node/not-ready"} <= {taint["key"] for taint in spec["taints"]}


def test_kube_proxy_has_a_source_vip_and_its_template_none(join: Join) -> None:
    files = join.host.state.files
    config = files.read(r"C:\k\kube-proxy.conf") or b""
    template = files.read(r"C:\k\kube-proxy.template.conf") or b""
    assert b"sourceVip: ''" in template
    assert b"sourceVip: '100." in config


def test_second_run_changes_nothing(join: Join) -> None:
    ended = join.second[-1]
    assert isinstance(ended, PlaybookEnded)
    assert ended.failed == ()
    assert [event.task for event in done(join.second) if event.changed] == []


def test_log_holds_no_credential(join: Join) -> None:
    assert "PLAY RECAP" in join.log
    for token in (join.tokens.bootstrap, join.tokens.flannel, join.tokens.kube_proxy):
        assert token.reveal() not in join.log
