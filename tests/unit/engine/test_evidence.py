"""Evidence of one node, with every source failing in its turn."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass, field, replace

import pytest

from bootstrap.engine.evidence import Collector
from bootstrap.engine.waiting import Waiter
from bootstrap.errors import AccessError, BootstrapError, RemoteError, UsageError
from bootstrap.model.cluster import ClusterName
from bootstrap.model.host import FINGERPRINT_MARK
from bootstrap.model.node import InstanceId, InstanceState, KubeNodeName, ObservedInstance
from bootstrap.model.secret import Secret
from bootstrap.planning.bundle import Missing
from tests.fakes.clock import FakeClock
from tests.fakes.cluster_api import FakeClusterApi
from tests.fakes.instance_store import FakeInstanceStore
from tests.fakes.remote_shell import FakeHost, FakeRemoteShell
from tests.unit.planning.builders import kube_node

CLUSTER = "games.example.com"
I_1 = InstanceId("i-1")
PEM = ssl.DER_cert_to_PEM_cert(b"a certificate")
CONSOLE = f"{FINGERPRINT_MARK} {hashlib.sha256(b'a certificate').hexdigest()}\n"
INSTANCE = ObservedInstance(
    instance_id=I_1,
    state=InstanceState.RUNNING,
    private_ip="172.20.32.5",
    private_dns="ip-172-20-32-5.eu-west-1.compute.internal",
    zone="eu-west-1a",
    subnet_id="subnet-1",
    image_id="ami-1",
    instance_type="m5.xlarge",
    launched_at="2026-11-23T10:00:00Z",
    tags={
        "KubernetesCluster": CLUSTER,
        "bootstrap/owned": "true",
        "bootstrap/node": "x-1",
        "bootstrap/pool": "x",
    },
)


@dataclass(kw_only=True)
class World:
    store: FakeInstanceStore = field(
        default_factory=lambda: FakeInstanceStore(
            found={I_1: INSTANCE}, consoles={I_1: CONSOLE}, passwords={I_1: "pw"}
        )
    )
    api: FakeClusterApi = field(default_factory=FakeClusterApi)
    host: FakeHost = field(
        default_factory=lambda: FakeHost(
            certificate=PEM,
            password="pw",
            answers=[{"disk": [{"drive": "C:", "bytes": 100, "freeBytes": 1}], "errors": []}],
        )
    )
    key: str = "right key"

    def collector(self) -> Collector:
        return Collector(
            cluster=ClusterName(CLUSTER),
            instances=self.store,
            api=self.api,
            shell=FakeRemoteShell(hosts={"172.20.32.5": self.host}),
            waiter=Waiter(clock=FakeClock()),
            private_key=Secret(self.key),
            script="a script",
        )


def test_a_node_that_kubernetes_does_not_know_is_read() -> None:
    found = World().collector().collect("x-1", tail_lines=5)
    assert (found.node.kube, found.host_error, found.missing) == (None, None, [])
    assert [finding.name for finding in found.findings] == ["NodeDiskFull"]
    assert found.console == CONSOLE
    assert found.secrets == [Secret("pw")]


@pytest.mark.parametrize("name", ["x-1", "i-1", "ip-172-20-32-5.eu-west-1.compute.internal"])
def test_a_node_has_three_names(name: str) -> None:
    world = World()
    kube = kube_node(
        name=KubeNodeName("ip-172-20-32-5.eu-west-1.compute.internal"),
        provider_id="aws:///eu-west-1a/i-1",
    )
    world.api = FakeClusterApi(by_name={kube.name: kube})
    found = world.collector().collect(name, tail_lines=5)
    assert (found.node.name, found.node.kube) == ("x-1", kube)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        World().collector().collect("x-l", tail_lines=5)
    assert caught.value.fix == "did you mean 'x-1'?"


def test_a_node_of_somebody_else_is_not_logged_in_to() -> None:
    world = World()
    foreign = replace(INSTANCE, tags={"KubernetesCluster": CLUSTER})
    world.store.found = {I_1: foreign}
    kube = kube_node(name=KubeNodeName("linux-1"), provider_id="aws:///eu-west-1a/i-1")
    world.api = FakeClusterApi(by_name={kube.name: kube})
    with pytest.raises(UsageError, match="no living instance that bootstrap launched"):
        world.collector().collect("linux-1", tail_lines=5)


def test_a_cluster_that_does_not_answer_is_named_and_the_host_is_read() -> None:
    world = World()
    world.api.failures["nodes"] = RemoteError("connection refused")
    found = world.collector().collect("x-1", tail_lines=5)
    assert found.missing == [Missing(source="kubernetes", reason="connection refused")]
    assert found.state is not None


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"key": "wrong key"}, AccessError, "the private key is not the one of key pair"),
        (
            {"host": FakeHost(certificate=ssl.DER_cert_to_PEM_cert(b"another"), password="pw")},
            AccessError,
            "WinRmCertificateMismatch",
        ),
        (
            {
                "host": FakeHost(
                    certificate=PEM,
                    password="pw",
                    answers=[RemoteError("a script failed", name="NodeScriptFailed")],
                )
            },
            RemoteError,
            "NodeScriptFailed: a script failed",
        ),
        (
            {"host": FakeHost(certificate=PEM, password="pw", answers=[{"services": 1}])},
            RemoteError,
            "NodeStateUnreadable",
        ),
        (
            {"store": FakeInstanceStore(found={I_1: INSTANCE})},
            BootstrapError,
            "waited 30 s for the certificate's fingerprint",
        ),
        (
            {
                "store": FakeInstanceStore(
                    found={I_1: replace(INSTANCE, state=InstanceState.STOPPED)}
                )
            },
            RemoteError,
            "InstanceNotRunning: instance i-1 is stopped",
        ),
    ],
)
def test_a_host_that_cannot_be_read_is_named_and_the_rest_is_there(
    change: dict[str, object], error: type[BootstrapError], reason: str
) -> None:
    found = World(**change).collector().collect("x-1", tail_lines=5)  # type: ignore[arg-type]
    assert isinstance(found.host_error, error)
    (missing,) = found.missing
    assert missing.source == "node" and reason in missing.reason
    assert found.node.name == "x-1"
