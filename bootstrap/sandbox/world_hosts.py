"""The Windows hosts of a world: one for each Windows instance, through launch, reboot and end."""

from __future__ import annotations

import ipaddress
import re
import threading
from concurrent.futures import ThreadPoolExecutor

from bootstrap.sandbox.aws import AwsWorld, EventKind, Instance, InstanceEvent
from bootstrap.sandbox.faults import Fault, FaultBoard
from bootstrap.sandbox.windows_host.host import HostSpec, WindowsHost
from bootstrap.sandbox.windows_host.state import BUILDS, VirtualFile
from bootstrap.sandbox.world_artifacts import published, tampered
from bootstrap.sandbox.world_options import WorldOptions
from bootstrap.sandbox.world_view import ClusterNetwork

NODE_TAG = "bootstrap/node"
_RELEASE = re.compile(r"Windows_Server-(\d{4})")


class HostFleet:
    """Follows the instances of AWS and has a host for each one that runs Windows."""

    def __init__(
        self, aws: AwsWorld, network: ClusterNetwork, faults: FaultBoard, options: WorldOptions
    ) -> None:
        self._aws = aws
        self._network = network
        self._faults = faults
        self._options = options
        self._published = published()
        self._lock = threading.Lock()
        self._hosts: dict[str, WindowsHost] = {}
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin to follow."""
        self._aws.on_instance(self._happened)
        self._faults.listen(self._changed)

    def stop(self) -> None:
        """Switch every host off."""
        self._stopping.set()
        with self._lock:
            hosts = list(self._hosts.values())
        # Each waits for its programs; fifty hosts one after another would take a minute.
        with ThreadPoolExecutor(max(1, len(hosts)), "power-off") as pool:
            list(pool.map(WindowsHost.power_off, hosts))

    def rows(self) -> list[dict[str, str]]:
        """List the hosts for people and checks."""
        with self._lock:
            hosts = dict(self._hosts)
        return [self._row(instance_id, host) for instance_id, host in hosts.items()]

    def _row(self, instance_id: str, host: WindowsHost) -> dict[str, str]:
        running = sorted(service.name for service in host.state.running_services())
        return {
            "node": self._aws.instance(instance_id).tags.get(NODE_TAG, ""),
            "instance": instance_id,
            "address": host.spec.address,
            "windows": host.spec.release,
            "boots": str(host.state.boots),
            "services": ",".join(running),
        }

    def events(self, instance_id: str) -> list[str]:
        """List what the programs of a host said last; empty for a host that is gone."""
        with self._lock:
            host = self._hosts.get(instance_id)
        return list(host.state.events) if host is not None else []

    def _happened(self, event: InstanceEvent) -> None:
        if not event.instance.is_windows or self._stopping.is_set():
            return
        if event.kind is EventKind.LAUNCHED:
            self._launch(event.instance)
            return
        with self._lock:
            host = self._hosts.get(event.instance.instance_id)
        if host is None:
            return
        match event.kind:
            case EventKind.STARTED:
                host.boot()
            case EventKind.REBOOTED:
                host.reboot()
            case EventKind.STOPPED:
                host.power_off()
            case EventKind.TERMINATED:
                host.power_off()
                with self._lock:
                    self._hosts.pop(event.instance.instance_id, None)

    def _changed(self, fault: Fault, node: str, is_set: bool) -> None:
        """Open the listeners that a fault kept shut; other faults end where they are asked for."""
        if fault.name != "winrm-refused" or is_set:
            return
        with self._lock:
            hosts = list(self._hosts.values())
        for host in hosts:
            host.listen()

    def _launch(self, instance: Instance) -> None:
        hooks = _Hooks(self, instance.instance_id, instance.tags.get(NODE_TAG, ""))
        host = WindowsHost(self._spec(instance), hooks)
        with self._lock:
            self._hosts[instance.instance_id] = host
        if hooks.has_fault("instance-dies-while-booting"):
            half_way = threading.Timer(
                self._options.boot_s / 2, self._aws.fail_instance, (instance.instance_id,)
            )
            half_way.daemon = True
            half_way.start()
        host.boot()

    def _spec(self, instance: Instance) -> HostSpec:
        subnet = ipaddress.IPv4Network(self._network.subnet_of(instance.private_ip))
        named = _RELEASE.search(instance.image_name)
        release = named[1] if named and named[1] in BUILDS else self._options.windows
        return HostSpec(
            instance_id=instance.instance_id,
            address=instance.private_ip,
            prefix_length=subnet.prefixlen,
            gateway=str(subnet.network_address + 1),
            private_dns=instance.private_dns,
            zone=instance.zone,
            release=release,
            user_data=instance.user_data,
            boot_s=self._options.boot_s,
            time_factor=self._options.time_factor,
        )

    # -- what hosts ask the world --
    def console(self, instance_id: str, text: str) -> None:
        """Append to an instance's console."""
        self._aws.append_console(instance_id, text)

    def password_ready(self, instance_id: str, password: str) -> None:
        """Let EC2 know an instance's password."""
        self._aws.set_password(instance_id, password)

    def has_fault(self, name: str, node: str) -> bool:
        """Tell whether a fault holds for a node."""
        return self._faults.is_set(name, node)

    def internet(self, url: str, node: str) -> VirtualFile | None:
        """Return what a URL serves to a node."""
        found = self._published.get(url)
        if found is not None and self._faults.is_set("wrong-checksum", node):
            return tampered(found)
        return found

    def network(self) -> ClusterNetwork:
        """Return the network that all hosts are in."""
        return self._network

    def shut_off(self, instance_id: str) -> None:
        """A host went down by itself: it is off until somebody starts it."""
        with self._lock:
            host = self._hosts.get(instance_id)
        if host is not None:
            host.power_off()


class _Hooks:
    """The world as one host sees it: ``HostHooks``, and the network for its programs."""

    def __init__(self, fleet: HostFleet, instance_id: str, node: str) -> None:
        self._fleet = fleet
        self._instance_id = instance_id
        self._node = node

    def console(self, text: str) -> None:
        self._fleet.console(self._instance_id, text)

    def password_ready(self, password: str) -> None:
        self._fleet.password_ready(self._instance_id, password)

    def has_fault(self, name: str) -> bool:
        return self._fleet.has_fault(name, self._node)

    def internet(self, url: str) -> VirtualFile | bytes | None:
        return self._fleet.internet(url, self._node)

    def shut_off(self) -> None:
        self._fleet.shut_off(self._instance_id)

    def resolve(self, name: str, hosts_file: str) -> str:
        return self._fleet.network().resolve(name, hosts_file)

    def endpoint(self, address: str, port: int) -> tuple[str, int] | None:
        return self._fleet.network().endpoint(address, port)
