"""The Linux half of the cluster: a kubelet stand-in for each kops instance, with flannel on it.

Stand-ins of our own rather than kwok: the same code is the simulated Windows kubelet, flannel's
behaviour (it reads its ConfigMap when its pod starts, then announces itself on the Node) is what
the tool has to wait for, and nodes use their own certificates, so that rights are tried as well.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from bootstrap.sandbox.cluster_client import ApiClient, ApiError, ApiUnreachable
from bootstrap.sandbox.control_plane import ControlPlane
from bootstrap.sandbox.kubelet import ContainerStatus, KubeletStandIn, NodeSpec, Readiness
from bootstrap.sandbox.store import StoreDirectory

Json = dict[str, Any]
_POLL_S = 1.0
_FLANNEL = "flannel.alpha.coreos.com"
_DEFAULT_VNI = 1
_MOUNT_TRIES, _MOUNT_PAUSE_S = 50, 0.1
_INSTANCE_GROUP = "kops.k8s.io/instancegroup"


class LinuxInstance(Protocol):
    """An EC2 instance, as far as its Node depends on it."""

    @property
    def instance_id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def private_ip(self) -> str: ...
    @property
    def private_dns(self) -> str: ...
    @property
    def zone(self) -> str: ...
    @property
    def is_windows(self) -> bool: ...
    @property
    def is_control_plane(self) -> bool: ...
    @property
    def is_bastion(self) -> bool: ...
    @property
    def tags(self) -> Any: ...


class LinuxNodes:
    """Runs a node for every Linux instance of the cluster that is up; follows the instances."""

    def __init__(
        self,
        plane: ControlPlane,
        store: StoreDirectory,
        instances: Callable[[], Iterable[LinuxInstance]],
    ) -> None:
        self._plane = plane
        self._store = store
        self._instances = instances
        self._stop = threading.Event()
        self._running: dict[str, threading.Event] = {}
        self._labelled: set[str] = set()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the nodes that there are, then follow changes."""
        self._sync()
        follower = threading.Thread(target=self._follow, name="linux-nodes", daemon=True)
        follower.start()
        self._threads.append(follower)

    def stop(self) -> None:
        """Stop all nodes; their Node objects stay behind."""
        self._stop.set()
        for stop in self._running.values():
            stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _follow(self) -> None:
        while not self._stop.wait(_POLL_S):
            self._sync()

    def _sync(self) -> None:
        up = {
            item.instance_id: item
            for item in self._instances()
            if not item.is_windows
            and not item.is_bastion
            and item.state == "running"
            and item.tags.get("KubernetesCluster") == self._store.cluster_name
        }
        for instance_id in set(self._running) - set(up):
            self._running.pop(instance_id).set()
        for instance_id in sorted(set(up) - set(self._running)):
            self._running[instance_id] = threading.Event()
            self._launch(up[instance_id], self._running[instance_id])
        for instance_id in sorted(set(up) - self._labelled):
            self._label(up[instance_id])

    def _label(self, instance: LinuxInstance) -> None:
        """Set what kops-controller sets on a new Node: instance group and role."""
        role = "control-plane" if instance.is_control_plane else "node"
        labels = {f"node-role.kubernetes.io/{role}": ""}
        if group := instance.tags.get(_INSTANCE_GROUP):
            labels[_INSTANCE_GROUP] = str(group)
        name = node_spec(instance, self._store).name
        body = {"metadata": {"labels": labels}}
        try:
            self._plane.admin_client().patch(f"/api/v1/nodes/{name}", body)
            self._labelled.add(instance.instance_id)
        except (ApiError, ApiUnreachable):
            return  # Not registered yet; the next look is soon.

    def _launch(self, instance: LinuxInstance, stop: threading.Event) -> None:
        spec = node_spec(instance, self._store)
        pair = self._plane.issue(f"system:node:{spec.name}", ("system:nodes",))
        client = self._plane.client(pair)
        runtime = LinuxRuntime(client, spec, has_flannel=has_flannel(self._store))
        kubelet = KubeletStandIn(client, spec, runtime, stop, runtime.readiness)
        thread = threading.Thread(target=kubelet.run, name=f"linux-{spec.name}", daemon=True)
        thread.start()
        self._threads.append(thread)


def has_flannel(store: StoreDirectory) -> bool:
    """Tell whether the cluster's pod network is flannel's."""
    return "flannel" in (store.spec.get("networking") or {})


def is_external_cloud(store: StoreDirectory) -> bool:
    """Tell whether the cluster runs AWS' cloud controller manager."""
    return (store.spec.get("kubelet") or {}).get("cloudProvider") == "external"


def node_spec(instance: LinuxInstance, store: StoreDirectory) -> NodeSpec:
    """Return the node that kops' Linux instance would register."""
    external = is_external_cloud(store)
    name = instance.instance_id if external else instance.private_dns
    labels = {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
    }
    version = f"v{store.kubernetes_version}"
    # kops-controller sets group and role labels; NodeRestriction forbids them to the kubelet.
    return NodeSpec(
        name=name,
        labels=labels,
        node_info={
            "osImage": "Ubuntu 24.04 LTS",
            "kernelVersion": "6.8.0-aws",
            "kubeletVersion": version,
            "kubeProxyVersion": version,
        },
        address=instance.private_ip,
        taints=_taints(instance),
        provider_id=f"aws:///{instance.zone}/{instance.instance_id}",
        external_cloud=external,
    )


def _taints(instance: LinuxInstance) -> Sequence[dict[str, str]]:
    if not instance.is_control_plane:
        return ()
    return ({"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},)


class LinuxRuntime:
    """Runs every pod; the flannel pod makes the node's network ready."""

    def __init__(self, client: ApiClient, spec: NodeSpec, *, has_flannel: bool = True) -> None:
        self._client = client
        self._spec = spec
        self._has_network = threading.Event()
        if not has_flannel:
            # Other networks are not imitated; their nodes are Ready without.
            self._has_network.set()

    def readiness(self) -> Readiness:
        """Ready once flannel has written its CNI configuration."""
        if self._has_network.is_set():
            return Readiness(ready=True)
        return Readiness(
            ready=False,
            reason="KubeletNotReady",
            message="container runtime network not ready: NetworkReady=false "
            "reason:NetworkPluginNotReady message:Network plugin returns error: "
            "cni plugin not initialized",
        )

    def start(self, pod: Json) -> Sequence[ContainerStatus]:
        """Start a pod; all containers run."""
        if pod["metadata"]["name"].startswith("kube-flannel-ds"):
            self._start_flannel(pod)
        return [
            ContainerStatus(name=str(item["name"]), image=str(item.get("image", "")))
            for item in pod["spec"].get("containers") or []
        ]

    def stop(self, pod: Json) -> None:
        """Stop a pod; nothing outlives it, and the network stays as it was."""

    def _start_flannel(self, pod: Json) -> None:
        """Do what flanneld does at its start: read the mounted net-conf, announce the node.

        The Node authorizer learns of a new pod's ConfigMap a moment after the pod is bound; a real
        kubelet tries the mount again, too.
        """
        namespace = pod["metadata"]["namespace"]
        path = f"/api/v1/namespaces/{namespace}/configmaps/kube-flannel-cfg"
        for _ in range(_MOUNT_TRIES):
            try:
                conf = json.loads(self._client.get(path)["data"]["net-conf.json"])
                self._announce(conf.get("Backend") or {})
                self._has_network.set()
                return
            except (KeyError, ValueError):
                return  # flanneld would crash on it; the node stays without network.
            except (ApiError, ApiUnreachable):
                time.sleep(_MOUNT_PAUSE_S)

    def _announce(self, backend: Json) -> None:
        values = {key.lower(): value for key, value in backend.items()}
        data = {"VNI": int(values.get("vni") or _DEFAULT_VNI), "VtepMAC": _mac(self._spec.name)}
        annotations = {
            f"{_FLANNEL}/backend-type": str(values.get("type") or "vxlan"),
            f"{_FLANNEL}/backend-data": json.dumps(data, separators=(",", ":")),
            f"{_FLANNEL}/public-ip": self._spec.address,
            f"{_FLANNEL}/kube-subnet-manager": "true",
        }
        condition = {
            "type": "NetworkUnavailable",
            "status": "False",
            "reason": "FlannelIsUp",
            "message": "Flannel is running on this node",
        }
        body = {"metadata": {"annotations": annotations}, "status": {"conditions": [condition]}}
        self._client.patch(f"/api/v1/nodes/{self._spec.name}/status", body, kind="strategic")


def _mac(name: str) -> str:
    """Return a stable, locally administered MAC."""
    digest = hashlib.sha256(name.encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (digest[0] & 0xFE | 0x02, *digest[1:6]))
