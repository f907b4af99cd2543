"""One whole world: AWS, control plane, Linux nodes, and a Windows host for each Windows instance.

Started by ``world_daemon``; one per process. AWS and the control plane start side by side, since
both take seconds and neither needs the other.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bootstrap.sandbox import addons, programs
from bootstrap.sandbox.addresses import AddressMap, claim_slot
from bootstrap.sandbox.cloud_controller import CloudController
from bootstrap.sandbox.cluster_client import ApiError, ApiUnreachable
from bootstrap.sandbox.control_plane import ControlPlane
from bootstrap.sandbox.errors import StartError, UnknownFaultError
from bootstrap.sandbox.faults import FaultBoard, find_fault
from bootstrap.sandbox.linux_nodes import LinuxNodes
from bootstrap.sandbox.store import StoreDirectory
from bootstrap.sandbox.world_folder import Running
from bootstrap.sandbox.world_options import WorldOptions
from bootstrap.sandbox.world_pods import PodHistory

if TYPE_CHECKING:
    from bootstrap.sandbox.aws import AwsWorld
    from bootstrap.sandbox.world_hosts import HostFleet

Progress = Callable[[str], None]
_CREDENTIAL = "sandbox"
_READY_TIMEOUT_S = 60.0


class World:
    """Everything ``sandbox up`` starts; ``start`` and ``stop`` are called once each."""

    def __init__(self, store: Path, options: WorldOptions, folder: Path) -> None:
        self.faults = FaultBoard()
        self._store = StoreDirectory(store)
        self._options = options
        self._folder = folder
        self._closing = ExitStack()
        self._stopping = threading.Event()
        self._aws: AwsWorld | None = None
        self._hosts: HostFleet | None = None
        self._pods: PodHistory | None = None
        self._plane: ControlPlane | None = None

    def start(self, progress: Progress, stop: threading.Event) -> Running:
        """Bring everything up and return when the world can be used; stops early on ``stop``."""
        began = time.monotonic()
        binaries = programs.find(
            self._store.kubernetes_version, self._options.control_plane_version, progress
        )
        progress(f"control plane {binaries.note}")
        with ThreadPoolExecutor(1, "aws") as pool:
            aws_ready = pool.submit(self._start_aws)
            # In this thread: children are tied to the thread that started them.
            plane = self._start_control_plane(binaries)
            addons.apply(plane.admin_client(), self._store)
            self._aws = aws_ready.result()
        progress(f"AWS at {self._aws.url}, Kubernetes API on port {plane.port}")
        if not stop.is_set():
            self._fill_cluster(plane, self._aws, progress, stop)
        running = self._describe(plane, self._aws, binaries.note)
        progress(f"usable after {time.monotonic() - began:.1f} s")
        return running

    def stop(self) -> None:
        """Take everything down, newest first; a second call does nothing."""
        self._stopping.set()
        self._closing.close()

    def answer(self, request: Mapping[str, object], stop: threading.Event) -> dict[str, object]:
        """Answer one request of the control socket."""
        try:
            return self._respond(request, stop)
        except (ApiError, ApiUnreachable) as error:
            raise StartError(f"the Kubernetes API refused: {error}") from error

    def _respond(self, request: Mapping[str, object], stop: threading.Event) -> dict[str, object]:
        match request.get("request"):
            case "status":
                return self._status()
            case "down":
                stop.set()
                return {}
            case "fault-set":
                self.faults.set(str(request["name"]), str(request.get("node") or ""))
                return {}
            case "fault-clear":
                self.faults.clear(str(request["name"]), str(request.get("node") or ""))
                return {}
            case other:
                raise UnknownFaultError(f"the sandbox knows no request {other!r}")

    def _start_aws(self) -> AwsWorld:
        # moto takes seconds to import, in which the control plane can start already.
        from bootstrap.sandbox.aws import AwsWorld

        claim = claim_slot(self._store.vpc_cidr)
        self._closing.callback(claim.release)
        key_pem = _private_key(self._key_path)
        self._addresses = AddressMap(self._store.vpc_cidr, claim.number)
        aws = AwsWorld(self._store, self._addresses, key_pem)
        aws.start()
        self._closing.callback(aws.stop)
        return aws

    def _start_control_plane(self, binaries: programs.Binaries) -> ControlPlane:
        plane = ControlPlane(self._store, binaries, self._folder / "control-plane")
        self._closing.callback(plane.stop)
        plane.start()
        self._plane = plane
        return plane

    @property
    def _key_path(self) -> Path:
        return self._folder / "id_rsa"

    def _fill_cluster(
        self, plane: ControlPlane, aws: AwsWorld, progress: Progress, stop: threading.Event
    ) -> None:
        from bootstrap.sandbox.world_faults import WorldFaults
        from bootstrap.sandbox.world_hosts import HostFleet
        from bootstrap.sandbox.world_view import ClusterNetwork

        client = plane.admin_client()
        nodes = LinuxNodes(plane, self._store, aws.instances)
        self._closing.callback(nodes.stop)
        nodes.start()
        controller = CloudController(client, aws.instances)
        self._closing.callback(controller.stop)
        controller.start()
        self._pods = PodHistory(client, self._stopping)
        network = ClusterNetwork(aws, self._subnets(), lambda: plane.port)
        self._hosts = HostFleet(aws, network, self.faults, self._options)
        self._closing.callback(self._hosts.stop)
        self._hosts.start()
        world_faults = WorldFaults(aws=aws, control_plane=plane, store=self._store)
        self._closing.callback(world_faults.close)
        _await_ready(plane, stop)
        progress("Linux nodes are Ready")
        # A whole world first: it could not come up with its API server down.
        for name, node in self.faults.active():
            world_faults.changed(find_fault(name), node, True)
        self.faults.listen(world_faults.changed)

    def _subnets(self) -> list[str]:
        entries = self._store.spec.get("subnets") or []
        return [self._addresses.move(str(entry["cidr"])) for entry in entries if entry.get("cidr")]

    def _describe(self, plane: ControlPlane, aws: AwsWorld, note: str) -> Running:
        server = f"https://127.0.0.1:{plane.port}"
        kubeconfig = self._folder / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(plane.kubeconfig(server), encoding="utf-8")
        return Running(
            name=self._options.name,
            store=str(self._store.path),
            cluster=self._store.cluster_name,
            state=self._store.state_url,
            kubeconfig=str(kubeconfig),
            pid=os.getpid(),
            endpoints={"aws": aws.url, "kubernetes": server},
            control_plane={"note": note, "asked": self._store.kubernetes_version},
            windows=self._options.windows,
            env={
                "AWS_ENDPOINT_URL": aws.url,
                "AWS_ACCESS_KEY_ID": _CREDENTIAL,
                "AWS_SECRET_ACCESS_KEY": _CREDENTIAL,
                "AWS_REGION": self._store.region,
                "AWS_DEFAULT_REGION": self._store.region,
                "AWS_EC2_METADATA_DISABLED": "true",
                "KOPS_STATE_STORE": self._store.state_url,
                "KOPS_CLUSTER_NAME": self._store.cluster_name,
                "KUBECONFIG": str(kubeconfig),
                "BOOTSTRAP_PRIVATE_KEY": str(self._key_path),
            },
        )

    def _status(self) -> dict[str, object]:
        plane, pods, hosts = self._plane, self._pods, self._hosts
        if plane is None or pods is None or hosts is None:
            raise StartError("the sandbox is not up yet")
        nodes, problem = _nodes(plane)
        systems = {row["node"]: row["os"] for row in nodes}
        return {
            "kubernetes": problem or "answers",
            "nodes": nodes,
            "pods": pods.rows(systems),
            "windowsHosts": hosts.rows(),
            "faults": [{"name": name, "node": node} for name, node in self.faults.active()],
            "memoryBytes": _memory_bytes(),
        }


def _private_key(path: Path) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    path.touch(mode=0o600)
    path.write_text(pem, encoding="ascii")
    return pem


def _await_ready(plane: ControlPlane, stop: threading.Event) -> None:
    """Wait until every Linux node is Ready and no longer waits for the cloud provider."""
    client = plane.admin_client()
    deadline = time.monotonic() + _READY_TIMEOUT_S
    rows: list[dict[str, str]] = []
    while time.monotonic() < deadline and not stop.wait(0.1):
        rows = [_node_row(node) for node in client.list("/api/v1/nodes")]
        if rows and all(row["status"] == "Ready" and row["waits"] == "" for row in rows):
            return
    if not stop.is_set():
        raise StartError("the Linux nodes did not become Ready", evidence=str(rows))


def _nodes(plane: ControlPlane) -> tuple[list[dict[str, str]], str]:
    """List the nodes; or none, and why the API server gave none."""
    try:
        return [_node_row(node) for node in plane.admin_client().list("/api/v1/nodes")], ""
    except (ApiError, ApiUnreachable) as error:
        return [], f"does not answer: {error}"


def _node_row(node: Mapping[str, Any]) -> dict[str, str]:
    status, labels = node.get("status") or {}, node["metadata"].get("labels") or {}
    conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or []}
    taints = [entry["key"] for entry in (node.get("spec") or {}).get("taints") or []]
    info = status.get("nodeInfo") or {}
    return {
        "node": str(node["metadata"]["name"]),
        "status": "Ready" if conditions.get("Ready") == "True" else "NotReady",
        "os": str(labels.get("kubernetes.io/os", "")),
        "kubelet": str(info.get("kubeletVersion", "")),
        "image": str(info.get("osImage", "")),
        "podCIDR": str((node.get("spec") or {}).get("podCIDR") or ""),
        "waits": ", ".join(key for key in taints if key.startswith("node.cloudprovider")),
    }


def _memory_bytes() -> int:
    """Resident memory of this process and its children, from /proc."""
    total = 0
    page = os.sysconf("SC_PAGE_SIZE")
    children = Path(f"/proc/{os.getpid()}/task")
    pids = [str(os.getpid())]
    for task in children.iterdir():
        try:
            pids += (task / "children").read_text().split()
        except OSError:
            continue
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        except OSError:
            continue
    return total
