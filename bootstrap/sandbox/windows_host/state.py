"""What a simulated Windows host is made of: files, services, features, network, HNS, clock.

Everything here is data behind one lock; behaviour is in ``host`` (boot, services), ``modules``
(what Ansible sends), ``scripts`` and ``agents``. Paths and names are case-insensitive, as on
Windows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bootstrap.sandbox.windows_host.file_tree import File as File
from bootstrap.sandbox.windows_host.file_tree import FileTree as FileTree
from bootstrap.sandbox.windows_host.file_tree import VirtualFile as VirtualFile

BUILDS: Mapping[str, tuple[int, int, str]] = {
    # release -> build, update revision of an AMI of autumn 2026 (invented), product name
    "2019": (17763, 8000, "Windows Server 2019 Datacenter"),
    "2022": (20348, 4300, "Windows Server 2022 Datacenter"),
    "2025": (26100, 6900, "Windows Server 2025 Datacenter"),
}

_FOLDERS = (
    r"C:\Windows\System32\drivers\etc",
    r"C:\Program Files",
    r"C:\ProgramData",
    r"C:\Users\Administrator\AppData\Local\Temp",
)
"""What is there before anybody makes a folder."""


class FeatureState(StrEnum):
    """``InstallState`` of Get-WindowsFeature."""

    AVAILABLE = "Available"
    INSTALLED = "Installed"
    INSTALL_PENDING = "InstallPending"


class ServiceState(StrEnum):
    """States of a service that matter here."""

    STOPPED = "stopped"
    RUNNING = "running"
    START_PENDING = "start_pending"


class StartMode(StrEnum):
    """How a service starts."""

    AUTO = "auto"
    DELAYED = "delayed"
    MANUAL = "manual"
    DISABLED = "disabled"


@dataclass(slots=True, kw_only=True)
class Service:
    """A Windows service. ``recovery`` holds delays in milliseconds of restart actions."""

    name: str
    binary_path: str
    display_name: str = ""
    description: str = ""
    start_mode: StartMode = StartMode.AUTO
    state: ServiceState = ServiceState.STOPPED
    dependencies: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    recovery: tuple[int, ...] = ()
    recovery_reset_s: int = 0
    failure_flag: bool = False
    account: str = "LocalSystem"
    pid: int = 0
    exit_code: int = 0
    starts: int = 0
    started_at: float = 0.0
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A network adapter with its address."""

    name: str
    index: int
    address: str
    prefix_length: int
    gateway: str
    mac: str
    mtu: int = 9001


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An IPv4 route; persistent ones outlive a reboot."""

    destination: str
    next_hop: str
    interface: str
    persistent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRule:
    """An inbound rule of the firewall."""

    name: str
    protocol: str
    local_port: str
    action: str = "allow"
    remote: str = "any"
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledTask:
    """A scheduled task; ``at_startup`` ones run at every boot."""

    name: str
    script: str
    """Name of one of our scripts."""
    request: str
    """The JSON it is run with."""
    at_startup: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryValue:
    """A value of the registry; ``kind`` is a name of ``RegistryValueKind``, lower case."""

    kind: str
    data: str | int | bytes | tuple[str, ...]


@dataclass(slots=True)
class Hns:
    """Host Networking Service: objects as JSON documents, keyed by their id."""

    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    load_balancers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def network(self, name: str) -> dict[str, Any] | None:
        """Find a network by name."""
        return next((n for n in self.networks.values() if n.get("Name") == name), None)


class WindowsState:
    """All of a host's state. Take ``lock`` around what must be seen whole."""

    def __init__(self, *, release: str, computer_name: str, adapter: Adapter) -> None:
        self.lock = threading.RLock()
        self.release = release
        self.build, self.revision, self.product_name = BUILDS[release]
        self.computer_name = computer_name
        self.files = FileTree(self.lock)
        for folder in _FOLDERS:
            self.files.make_folder(folder)
        self.features: dict[str, FeatureState] = {
            "containers": FeatureState.AVAILABLE,
            "hyper-v-powershell": FeatureState.AVAILABLE,
        }
        self.services: dict[str, Service] = {}
        self.registry: dict[str, dict[str, RegistryValue]] = {}
        """Key (``hklm:\\software\\...``, lower case) -> value's name, lower case, -> value."""
        self.environment: dict[str, str] = {"path": r"C:\Windows\system32;C:\Windows"}
        self.firewall: dict[str, FirewallRule] = {}
        self.routes: list[Route] = []
        self.adapters: dict[str, Adapter] = {adapter.name: adapter}
        self.hns = Hns()
        self.tasks: dict[str, ScheduledTask] = {}
        self.pipes: dict[str, Any] = {}
        """Named pipe -> whatever listens on it."""
        self.images: set[str] = set()
        self.users: dict[str, str] = {}
        self.dynamic_ports = (49152, 16384)
        self.power_plan = "Balanced"
        self.defender_exclusions: set[str] = set()
        self.boot_time = 0.0
        self.reboot_pending = False
        self.boots = 0
        self.events: list[str] = []

    def service(self, name: str) -> Service | None:
        """Find a service by name."""
        with self.lock:
            return self.services.get(name.lower())

    def main_adapter(self) -> Adapter:
        """Return the adapter that holds the host's address now."""
        with self.lock:
            return next(iter(self.adapters.values()))

    def attach_switch(self) -> None:
        """Move the address to ``vEthernet (Ethernet)``, as making the first vSwitch does.

        Routes that were bound to the old interface and are not persistent are lost.
        """
        with self.lock:
            old = self.main_adapter()
            if old.name.startswith("vEthernet"):
                return
            new = Adapter(
                name=f"vEthernet ({old.name})",
                index=old.index + 10,
                address=old.address,
                prefix_length=old.prefix_length,
                gateway=old.gateway,
                mac=old.mac,
                mtu=old.mtu,
            )
            self.adapters = {new.name: new}
            self.routes = [route for route in self.routes if route.interface != old.name]

    def detach_switch(self) -> None:
        """Give the address back to the adapter: HNS networks do not outlive a boot."""
        with self.lock:
            current = self.main_adapter()
            if not current.name.startswith("vEthernet"):
                return
            name = current.name.removeprefix("vEthernet (").removesuffix(")")
            back = Adapter(
                name=name,
                index=current.index - 10,
                address=current.address,
                prefix_length=current.prefix_length,
                gateway=current.gateway,
                mac=current.mac,
                mtu=current.mtu,
            )
            self.adapters = {name: back}

    def running_services(self) -> Iterator[Service]:
        """Yield services that run, in no order."""
        with self.lock:
            found = [s for s in self.services.values() if s.state is ServiceState.RUNNING]
        yield from found
