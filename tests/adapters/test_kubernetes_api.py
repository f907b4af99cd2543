"""The port ClusterApi: one contract for a real API server and the fake, then what only one can."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from bootstrap.adapters import kubernetes_api
from bootstrap.adapters.kubernetes_api import KubernetesApi, client_from_kubeconfig
from bootstrap.errors import AccessError, ConflictError, NotFoundError, RemoteError
from bootstrap.model.certificates import RequestState
from bootstrap.model.kubernetes import DaemonSetFacts, FlannelConfig, LeaseFacts, NodeEvent
from bootstrap.model.node import MANAGED_BY, NAMESPACE, KubeNodeName, Taint
from bootstrap.planning.csr import BOOTSTRAP_ACCOUNT, BOOTSTRAP_REQUESTER, CLIENT_SIGNER
from bootstrap.planning.kube_objects import request_from
from bootstrap.planning.validation import Placement, ProbePod
from bootstrap.ports import ClusterApi
from bootstrap.sandbox import programs
from bootstrap.sandbox.control_plane import ControlPlane
from bootstrap.sandbox.store import StoreDirectory
from tests.fakes.cluster_api import FakeClusterApi
from tests.sandbox.windows_host.fake_machine import eventually
from tests.stores import any_store
from tests.unit.planning import builders as make

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
DAEMON_SETS = "/apis/apps/v1/namespaces/{}/daemonsets"
NET_CONF = {"Network": "100.64.0.0/10", "Backend": {"Type": "vxlan"}}
TIMES = {
    "acquired_at": "2026-11-23T10:00:00.000000Z",
    "renewed_at": "2026-11-23T10:00:15.000000Z",
}


class Cluster(Protocol):
    """A cluster that tests put things into by another way than the port."""

    api: ClusterApi

    def add_node(self, name: str, *taints: Taint) -> KubeNodeName: ...
    def add_event(self, node: str, reason: str, at: str) -> None: ...
    def add_request(self, name: str) -> None: ...
    def add_flannel(self, namespace: str) -> None: ...
    def add_daemon_set(self, namespace: str, name: str) -> None: ...


@dataclass(kw_only=True)
class FakeCluster:
    """The fake, filled by its fields."""

    api: FakeClusterApi

    def add_node(self, name: str, *taints: Taint) -> KubeNodeName:
        node = make.kube_node(1, name=KubeNodeName(name), taints=taints, labels={"a": "1"})
        self.api.by_name[node.name] = node
        return node.name

    def add_event(self, node: str, reason: str, at: str) -> None:
        event = NodeEvent(reason=reason, message="why", at=at)
        self.api.events.setdefault(KubeNodeName(node), []).append(event)

    def add_request(self, name: str) -> None:
        item = request_json(name)
        item["metadata"]["uid"] = f"uid-of-{name}"
        item["spec"]["username"] = BOOTSTRAP_REQUESTER
        self.api.requests[name] = request_from(item)

    def add_flannel(self, namespace: str) -> None:
        self.api.config = FlannelConfig(
            namespace=namespace,
            config_map="kube-flannel-cfg",
            daemon_set="kube-flannel-ds",
            net_conf=NET_CONF,
            cni_network_name="cbr0",
        )

    def add_daemon_set(self, namespace: str, name: str) -> None:
        self.api.sets[namespace, name] = DaemonSetFacts(
            namespace=namespace,
            name=name,
            node_selector={"a": "1"},
            required_os=(),
            tolerates_all=False,
            tolerated_keys=(),
            priority_class="",
            generation=1,
            observed_generation=1,
            desired=0,
            updated=0,
            available=0,
        )


@dataclass(kw_only=True)
class RealCluster:
    """A real API server, filled by a client of its own."""

    api: KubernetesApi
    plane: ControlPlane

    def add_node(self, name: str, *taints: Taint) -> KubeNodeName:
        spec = {"taints": [{"key": t.key, "value": t.value, "effect": t.effect} for t in taints]}
        metadata = {"name": name, "labels": {"a": "1"}}
        self.plane.admin_client().post("/api/v1/nodes", {"metadata": metadata, "spec": spec})
        return KubeNodeName(name)

    def add_event(self, node: str, reason: str, at: str) -> None:
        event = {
            "metadata": {"generateName": f"{node}."},
            "involvedObject": {"kind": "Node", "name": node},
            "reason": reason,
            "message": "why",
            "lastTimestamp": at,
        }
        self.plane.admin_client().post("/api/v1/namespaces/default/events", event)

    def add_request(self, name: str) -> None:
        self.api.ensure_join_identity()
        token = self.api.token(BOOTSTRAP_ACCOUNT, seconds=600).reveal()
        self.as_account(token).post(CSRS, request_json(name))

    def as_account(self, token: str) -> Any:
        from bootstrap.sandbox.cluster_client import ApiClient

        return ApiClient(
            ("127.0.0.1", self.plane.port),
            self.plane.api_name,
            StoreDirectory(any_store()).ca.certificate_pem,
            token=token,
        )

    def add_flannel(self, namespace: str) -> None:
        data = {"net-conf.json": json.dumps(NET_CONF), "cni-conf.json": '{"name": "cbr0"}'}
        self.put_flannel(namespace, data)

    def put_flannel(self, namespace: str, data: dict[str, str]) -> None:
        self.api.ensure_namespace(namespace, {})
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        self.plane.admin_client().post(
            path, {"metadata": {"name": "kube-flannel-cfg"}, "data": data}
        )

    def add_daemon_set(self, namespace: str, name: str) -> None:
        self.api.ensure_namespace(namespace, {})
        labels = {"app": name}
        pod = {
            "nodeSelector": {"a": "1"},
            "containers": [{"name": "pause", "image": "registry.k8s.io/pause:3.10.1"}],
        }
        body = {
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
        self.plane.admin_client().post(DAEMON_SETS.format(namespace), body)


def request_json(name: str) -> dict[str, Any]:
    """A certificate request as a joining kubelet makes it."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{name}"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(made.public_bytes(Encoding.PEM)).decode(),
            "signerName": CLIENT_SIGNER,
            "usages": ["digital signature", "client auth"],
        },
    }


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A running control plane on the store that ships; a test gets and builds no programs."""
    cached = any(programs.cache_root().glob("*/kube-apiserver"))
    if not cached and not os.environ.get("KUBEBUILDER_ASSETS"):
        pytest.skip("no control-plane programs at hand: make demo gets them")
    binaries = programs.find("1.36.0", "", print)
    plane = ControlPlane(StoreDirectory(any_store()), binaries, tmp_path_factory.mktemp("plane"))
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def api_of(plane: ControlPlane, folder: Path, text: str = "") -> KubernetesApi:
    path = folder / "kubeconfig.yaml"
    path.write_text(text or plane.kubeconfig(f"https://127.0.0.1:{plane.port}"))
    return KubernetesApi(client_from_kubeconfig(str(path), ""))


@pytest.fixture
def real(plane: ControlPlane, tmp_path: Path) -> Iterator[RealCluster]:
    """The real server, cleared of what the port's objects are made of."""
    yield RealCluster(api=api_of(plane, tmp_path), plane=plane)
    admin = plane.admin_client()
    for path in ("/api/v1/nodes", CSRS):
        for item in admin.list(path):
            admin.delete(f"{path}/{item['metadata']['name']}")
    for namespace in ("kube-system", "kube-flannel"):
        for path in (DAEMON_SETS.format(namespace), f"/api/v1/namespaces/{namespace}/configmaps"):
            for item in admin.list(path):
                if item["metadata"]["name"] != "kube-root-ca.crt":
                    admin.delete(f"{path}/{item['metadata']['name']}")


@pytest.fixture(params=["real", "fake"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    if request.param == "real":
        found: RealCluster = request.getfixturevalue("real")
        return found
    return FakeCluster(api=FakeClusterApi())


# -- the contract: nodes --
def test_the_cluster_tells_who_it_is(cluster: Cluster) -> None:
    who = cluster.api.identity()
    assert who.uid
    assert who.version.startswith("v1.")
    assert who.minor >= 33
    assert who.server.startswith("https://")
    assert cluster.api.identity() == who


def test_a_node_that_is_not_there_is_none(cluster: Cluster) -> None:
    assert cluster.api.node(KubeNodeName("i-0")) is None
    assert cluster.api.nodes() == ()


def test_a_node_is_listed_as_it_is_read(cluster: Cluster) -> None:
    name = cluster.add_node("i-1", Taint(key="os", value="windows"))
    listed = {node.name: node for node in cluster.api.nodes()}
    read = cluster.api.node(name)
    assert read is not None
    assert (read.uid, read.labels["a"]) == (listed[name].uid, "1")
    assert Taint(key="os", value="windows") in read.taints


def test_a_change_of_a_node_leaves_the_rest_alone(cluster: Cluster) -> None:
    name = cluster.add_node("i-2", Taint(key="a"), Taint(key="b"), Taint(key="c"))
    for _ in range(2):
        cluster.api.update_node(
            name,
            labels={"pool": "games"},
            annotations={"hash": "1"},
            add_taints=[Taint(key="b", value="new", effect="NoExecute")],
            remove_taint_keys=["a", "never-there"],
        )
    node = cluster.api.node(name)
    assert node is not None
    assert (node.labels["a"], node.labels["pool"], node.annotations["hash"]) == ("1", "games", "1")
    ours = [str(taint) for taint in node.taints if "/" not in taint.key]
    assert ours == ["c:NoSchedule", "b=new:NoExecute"]


def test_a_node_that_is_not_there_cannot_be_changed(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError):
        cluster.api.update_node(KubeNodeName("i-0"), labels={"a": "b"})


def test_a_node_is_cordoned_and_uncordoned_any_number_of_times(cluster: Cluster) -> None:
    name = cluster.add_node("i-3", Taint(key="a"))
    for wanted in (True, True, False, False):
        cluster.api.set_unschedulable(name, wanted)
        node = cluster.api.node(name)
        assert node is not None
        assert node.unschedulable is wanted
        assert Taint(key="a") in node.taints


def test_a_node_that_is_not_there_cannot_be_cordoned(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError):
        cluster.api.set_unschedulable(KubeNodeName("i-0"), True)


# -- flannel and DaemonSets --
def test_a_cluster_without_flannel_has_none(cluster: Cluster) -> None:
    assert cluster.api.flannel() is None


@pytest.mark.parametrize("namespace", ["kube-flannel", "kube-system"])
def test_flannel_is_found_where_kops_puts_it(cluster: Cluster, namespace: str) -> None:
    cluster.add_flannel(namespace)
    found = cluster.api.flannel()
    assert found is not None
    assert (found.namespace, found.daemon_set) == (namespace, "kube-flannel-ds")
    assert (found.net_conf, found.cni_network_name) == (NET_CONF, "cbr0")


def test_flannels_net_conf_is_replaced(cluster: Cluster) -> None:
    cluster.add_flannel("kube-flannel")
    found = cluster.api.flannel()
    assert found is not None
    cluster.api.set_flannel_net_conf(found, {"Network": "10.0.0.0/8"})
    changed = cluster.api.flannel()
    assert changed == replace(found, net_conf={"Network": "10.0.0.0/8"})


def test_flannels_net_conf_that_somebody_changed_is_left_alone(cluster: Cluster) -> None:
    cluster.add_flannel("kube-flannel")
    found = cluster.api.flannel()
    assert found is not None
    cluster.api.set_flannel_net_conf(found, {"Network": "10.0.0.0/8"})
    with pytest.raises(ConflictError):
        cluster.api.set_flannel_net_conf(found, {"Network": "11.0.0.0/8"})


def daemon_set(cluster: Cluster) -> DaemonSetFacts:
    (found,) = cluster.api.daemon_sets()
    return found


def test_a_daemon_set_is_restarted_once_for_each_moment(cluster: Cluster) -> None:
    cluster.add_daemon_set("kube-system", "logs")
    for at in ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"):
        cluster.api.restart_daemon_set("kube-system", "logs", at=at)
    assert daemon_set(cluster).generation == 2
    cluster.api.restart_daemon_set("kube-system", "logs", at="2026-11-23T11:00:00Z")
    assert daemon_set(cluster).generation == 3
    eventually(lambda: daemon_set(cluster).observed_generation == 3)


def test_a_daemon_sets_node_selector_grows(cluster: Cluster) -> None:
    cluster.add_daemon_set("kube-system", "logs")
    for _ in range(2):
        cluster.api.set_daemon_set_node_selector("kube-system", "logs", {"kubernetes.io/os": "x"})
    found = daemon_set(cluster)
    assert (found.node_selector, found.generation) == ({"a": "1", "kubernetes.io/os": "x"}, 2)


def test_a_daemon_set_that_is_not_there_cannot_be_changed(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError):
        cluster.api.restart_daemon_set("kube-system", "none", at="2026-11-23T10:00:00Z")
    with pytest.raises(NotFoundError):
        cluster.api.set_daemon_set_node_selector("kube-system", "none", {"a": "b"})


def test_events_of_a_node_are_read_the_oldest_first(cluster: Cluster) -> None:
    cluster.add_event("i-2", "Other", "2026-11-23T10:00:00Z")
    cluster.add_event("i-1", "DeletingNode", "2026-11-23T10:00:02Z")
    cluster.add_event("i-1", "Starting", "2026-11-23T10:00:01Z")
    found = cluster.api.node_events(KubeNodeName("i-1"))
    assert [(event.reason, event.message) for event in found] == [
        ("Starting", "why"),
        ("DeletingNode", "why"),
    ]


# -- certificates and credentials --
def test_a_request_is_read_with_who_asked(cluster: Cluster) -> None:
    cluster.add_request("i-1")
    (found,) = cluster.api.certificate_requests()
    assert (found.name, found.state) == ("i-1", RequestState.PENDING)
    assert (found.requester, found.common_name) == (BOOTSTRAP_REQUESTER, "system:node:i-1")


def test_an_approved_request_is_approved(cluster: Cluster) -> None:
    cluster.add_request("i-1")
    (found,) = cluster.api.certificate_requests()
    cluster.api.approve(found, reason="Test", message="m")
    (after,) = cluster.api.certificate_requests()
    assert after.state in (RequestState.APPROVED, RequestState.ISSUED)


@pytest.mark.parametrize(
    "change", [{"uid": "another"}, {"common_name": "system:node:i-2"}, {"usages": frozenset()}]
)
def test_a_request_that_is_not_the_one_read_is_not_approved(
    cluster: Cluster, change: dict[str, Any]
) -> None:
    cluster.add_request("i-1")
    (found,) = cluster.api.certificate_requests()
    with pytest.raises(ConflictError):
        cluster.api.approve(replace(found, **change), reason="Test", message="m")
    (after,) = cluster.api.certificate_requests()
    assert after.state is RequestState.PENDING


def test_a_request_that_is_gone_is_not_approved(cluster: Cluster) -> None:
    cluster.add_request("i-1")
    (found,) = cluster.api.certificate_requests()
    with pytest.raises(NotFoundError):
        cluster.api.approve(replace(found, name="i-0"), reason="Test", message="m")


def test_the_join_identity_is_made_once_and_gives_tokens(cluster: Cluster) -> None:
    for _ in range(2):
        cluster.api.ensure_join_identity()
    token = cluster.api.token(BOOTSTRAP_ACCOUNT, seconds=600)
    assert len(token.reveal()) > 10
    assert token.reveal() not in f"{token} {token!r}"


def test_an_account_that_is_not_there_gets_no_token(cluster: Cluster) -> None:
    cluster.api.ensure_join_identity()
    with pytest.raises(NotFoundError):
        cluster.api.token("nobody", seconds=600)


# -- leases --
@pytest.fixture
def lease(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[LeaseFacts]:
    """A Lease that is written; taken away again after the test."""
    cluster.api.ensure_namespace(NAMESPACE, MANAGED_BY)
    wanted = LeaseFacts(
        name="lock",
        holder="me",
        duration_s=60,
        resource_version="",
        annotations={"a": "b"},
        **TIMES,
    )
    yield cluster.api.write_lease(wanted)
    if left := cluster.api.lease("lock"):
        cluster.api.delete_lease("lock", resource_version=left.resource_version)


def test_a_lease_is_read_as_it_was_written(cluster: Cluster, lease: LeaseFacts) -> None:
    assert cluster.api.lease("lock") == lease
    assert (lease.holder, lease.duration_s, lease.annotations) == ("me", 60, {"a": "b"})
    assert {"acquired_at": lease.acquired_at, "renewed_at": lease.renewed_at} == TIMES
    assert cluster.api.lease("none") is None


def test_a_lease_that_exists_is_not_made_again(cluster: Cluster, lease: LeaseFacts) -> None:
    with pytest.raises(ConflictError):
        cluster.api.write_lease(replace(lease, holder="other", resource_version=""))


def test_a_lease_is_replaced_by_who_read_it_last(cluster: Cluster, lease: LeaseFacts) -> None:
    second = cluster.api.write_lease(replace(lease, holder="second"))
    assert second.resource_version != lease.resource_version
    with pytest.raises(ConflictError):
        cluster.api.write_lease(replace(lease, holder="late"))
    assert cluster.api.lease("lock") == second


def test_a_lease_is_deleted_by_who_read_it_last(cluster: Cluster, lease: LeaseFacts) -> None:
    second = cluster.api.write_lease(replace(lease, holder="second"))
    with pytest.raises(ConflictError):
        cluster.api.delete_lease("lock", resource_version=lease.resource_version)
    cluster.api.delete_lease("lock", resource_version=second.resource_version)
    assert cluster.api.lease("lock") is None
    cluster.api.delete_lease("lock", resource_version=second.resource_version)


def test_a_lease_that_was_deleted_is_not_renewed(cluster: Cluster, lease: LeaseFacts) -> None:
    cluster.api.delete_lease("lock", resource_version=lease.resource_version)
    with pytest.raises(ConflictError):
        cluster.api.write_lease(lease)
    assert cluster.api.lease("lock") is None


# -- namespaces and pods --
PROBE = ProbePod(name="probe", expected=Placement.WINDOWS)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    """A namespace of this test alone: a real one goes away slowly."""
    name = f"probe-{abs(hash(request.node.name)) % 10**8}"
    cluster.api.ensure_namespace(name, {"probe": name})
    return name


def test_a_namespace_is_found_by_its_label_until_it_is_deleted(
    cluster: Cluster, namespace: str
) -> None:
    cluster.api.ensure_namespace(namespace, {"probe": namespace})
    assert cluster.api.namespaces(f"probe={namespace}") == (namespace,)
    assert cluster.api.namespaces("probe=other") == ()
    cluster.api.delete_namespace(namespace)
    eventually(lambda: cluster.api.namespaces(f"probe={namespace}") == ())
    cluster.api.delete_namespace(namespace)


def test_a_pod_is_made_once_in_a_namespace_that_was_just_made(
    cluster: Cluster, namespace: str
) -> None:
    for _ in range(2):
        cluster.api.create_pod(namespace, PROBE.manifest())
    (pod,) = cluster.api.pods(namespace)
    assert (pod.name, pod.phase, pod.node) == ("probe", "Pending", "")
    assert pod.node_selector == {"kubernetes.io/os": "windows"}
    assert pod.labels == {"bootstrap.node/probe": "true"}


def test_a_pod_that_fits_nowhere_is_unschedulable(cluster: Cluster, namespace: str) -> None:
    cluster.api.create_pod(namespace, PROBE.manifest())
    eventually(lambda: [p.reason for p in cluster.api.pods(namespace)] == ["Unschedulable"])


def test_pods_are_listed_of_one_namespace_or_all_or_one_node(
    cluster: Cluster, namespace: str
) -> None:
    cluster.api.create_pod(namespace, PROBE.manifest())
    assert cluster.api.pods("another") == ()
    assert (namespace, "probe") in {(p.namespace, p.name) for p in cluster.api.pods()}
    assert cluster.api.pods(namespace, field_selector="spec.nodeName=i-1") == ()


def test_a_deleted_pod_is_gone_at_once(cluster: Cluster, namespace: str) -> None:
    cluster.api.create_pod(namespace, PROBE.manifest())
    for _ in range(2):
        cluster.api.delete_pod(namespace, "probe")
    assert cluster.api.pods(namespace) == ()


def test_a_pod_needs_its_namespace(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError):
        cluster.api.create_pod("never-made", PROBE.manifest())


# -- what only a real server shows --
def test_the_ca_is_the_clusters(real: RealCluster) -> None:
    expected = StoreDirectory(any_store()).ca.certificate_pem
    eventually(lambda: real.api.identity().ca_pem.strip() == expected.strip())


def test_two_who_change_a_node_at_once_both_succeed(real: RealCluster) -> None:
    name = real.add_node("i-1")
    errors: list[Exception] = []

    def change(letter: str) -> None:
        try:
            for number in range(5):
                real.api.update_node(name, add_taints=[Taint(key=f"{letter}{number}")])
        except RemoteError as error:
            errors.append(error)

    threads = [threading.Thread(target=change, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    node = real.api.node(name)
    assert node is not None
    wanted = {f"{letter}{number}" for letter in "ab" for number in range(5)}
    assert (errors, wanted - {taint.key for taint in node.taints}) == ([], set())


def test_lists_are_read_page_by_page(real: RealCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_api, "PAGE", 2)
    for number in range(5):
        real.add_node(f"i-{number}")
    assert [node.name for node in real.api.nodes()] == [f"i-{number}" for number in range(5)]


def test_what_a_token_gives_may_ask_for_a_certificate_and_nothing_else(real: RealCluster) -> None:
    from bootstrap.sandbox.cluster_client import ApiError

    real.api.ensure_join_identity()
    client = real.as_account(real.api.token(BOOTSTRAP_ACCOUNT, seconds=600).reveal())
    client.post(CSRS, request_json("i-1"))
    for path in ("/api/v1/nodes", "/api/v1/secrets", "/api/v1/pods"):
        with pytest.raises(ApiError) as caught:
            client.get(path)
        assert caught.value.status == 403
    with pytest.raises(ApiError):
        client.put(f"{CSRS}/i-1/approval", client.get(f"{CSRS}/i-1"))


def test_a_broken_net_conf_is_told_with_its_place(real: RealCluster) -> None:
    real.put_flannel("kube-flannel", {"net-conf.json": "{"})
    with pytest.raises(RemoteError) as caught:
        real.api.flannel()
    assert caught.value.target == "kube-flannel/kube-flannel-cfg"


def test_someone_without_rights_is_refused_as_such(plane: ControlPlane, tmp_path: Path) -> None:
    certificate, key = plane.issue("eve", ())
    api = api_of(plane, tmp_path, with_pair(plane, certificate, key))
    with pytest.raises(AccessError) as caught:
        api.nodes()
    assert "403" in caught.value.message
    assert "eve" in caught.value.evidence


def with_pair(plane: ControlPlane, certificate: str, key: str) -> str:
    text = plane.kubeconfig(f"https://127.0.0.1:{plane.port}")
    lines = []
    for line in text.splitlines():
        name, _, _ = line.partition(":")
        new = {"client-certificate-data": certificate, "client-key-data": key}.get(name.strip())
        lines.append(f"{name}: {base64.b64encode(new.encode()).decode()}" if new else line)
    return "\n".join(lines)


def test_an_unknown_token_is_refused_as_such(plane: ControlPlane, tmp_path: Path) -> None:
    text = plane.kubeconfig(f"https://127.0.0.1:{plane.port}")
    kept = [line for line in text.splitlines() if "client-" not in line]
    api = api_of(plane, tmp_path, "\n".join(kept) + "\n    token: wrong\n")
    with pytest.raises(AccessError, match="401"):
        api.nodes()


def test_another_clusters_ca_is_told_as_such(plane: ControlPlane, tmp_path: Path) -> None:
    text = plane.kubeconfig(f"https://127.0.0.1:{plane.port}")
    certificate, _ = plane.issue("someone", ())
    other = base64.b64encode(certificate.encode()).decode()
    changed = [
        f"    certificate-authority-data: {other}" if "authority-data" in line else line
        for line in text.splitlines()
    ]
    with pytest.raises(AccessError, match="does not fit the kubeconfig's CA"):
        api_of(plane, tmp_path, "\n".join(changed)).nodes()


# -- without any server --
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:%d"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
"""


def test_a_server_that_is_away_is_told_as_such(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = tmp_path / "config"
    path.write_text(KUBECONFIG % port)
    api = KubernetesApi(client_from_kubeconfig(str(path), ""))
    with pytest.raises(RemoteError, match="cannot be reached") as caught:
        api.nodes()
    assert caught.value.target == f"https://127.0.0.1:{port}"


@pytest.mark.parametrize("text", ["", "[]", "{", "a: b", "clusters: 3", "current-context: x"])
def test_a_kubeconfig_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(AccessError, match="cannot be used"):
        client_from_kubeconfig(str(path), "")


def test_a_kubeconfig_that_is_missing_or_lacks_the_context_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="cannot be used"):
        client_from_kubeconfig(str(tmp_path / "none"), "")
    path = tmp_path / "config"
    path.write_text(KUBECONFIG % 1)
    with pytest.raises(AccessError, match="cannot be used"):
        client_from_kubeconfig(str(path), "other")
