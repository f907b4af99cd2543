"""What a simulated Windows host is made of: files, services, features, network, HNS, clock.

Everything here is data behind one lock; behaviour is in ``host`` (boot, services), ``modules``
(what Ansible sends), ``scripts`` and ``agents``. Paths and names are case-insensitive, as on
Windows.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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


def path_key(path: str) -> str:
    """Return a path in the one form that the file tree compares: back slashes, lower case."""
    text = path.replace("/", "\\").replace("\\.\\", "\\").removesuffix("\\.").rstrip("\\")
    if text.startswith("\\") and not text.startswith("\\\\"):
        text = "C:" + text
    return text.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualFile:
    """A file that is too big to hold: its size and the checksums that were published for it."""

    size: int
    checksums: Mapping[str, str]
    """Algorithm (``sha256``, ``sha512``) -> hex digest."""
    url: str = ""


@dataclass(slots=True, kw_only=True)
class File:
    """A file on the host."""

    path: str
    content: bytes | VirtualFile
    acl: tuple[str, ...] = ("BUILTIN\\Administrators", "NT AUTHORITY\\SYSTEM", "BUILTIN\\Users")
    written: float = field(default_factory=time.time)
    """Seconds since the epoch."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.content.size if isinstance(self.content, VirtualFile) else len(self.content)

    def checksum(self, algorithm: str) -> str:
        """Return the hex digest, '' for a virtual file of which none is known."""
        if isinstance(self.content, VirtualFile):
            return self.content.checksums.get(algorithm, "")
        return hashlib.new(algorithm, self.content).hexdigest()

    def digest(self, algorithm: str) -> str:
        """Return the hex digest; of a virtual file's unknown one, a value that only it has."""
        known = self.checksum(algorithm)
        if known or isinstance(self.content, bytes):
            return known
        seed = json.dumps([self.content.url, sorted(self.content.checksums.items())])
        return hashlib.new(algorithm, seed.encode()).hexdigest()


class FileTree:
    """The files of drive C; folders exist by themselves or through the files in them."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._files: dict[str, File] = {}
        self._folders: dict[str, str] = {}

    def get(self, path: str) -> File | None:
        """Return a file, None when there is none."""
        with self._lock:
            return self._files.get(path_key(path))

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, None when there is none; virtual files read as empty."""
        file = self.get(path)
        if file is None:
            return None
        return file.content if isinstance(file.content, bytes) else b""

    def write(self, path: str, content: bytes | VirtualFile, acl: tuple[str, ...] = ()) -> None:
        """Write a file; its folders are made."""
        with self._lock:
            file = File(path=path.replace("/", "\\"), content=content)
            if acl:
                file.acl = acl
            self._files[path_key(path)] = file
            self.make_folder(path.replace("/", "\\").rpartition("\\")[0])

    def make_folder(self, path: str) -> bool:
        """Make a folder with its parents; tells whether it is new."""
        with self._lock:
            if self.is_folder(path):
                return False
            parts = path.replace("/", "\\").split("\\")
            for count in range(1, len(parts) + 1):
                folder = "\\".join(parts[:count])
                self._folders.setdefault(path_key(folder), folder)
            return True

    def is_folder(self, path: str) -> bool:
        """Tell whether a folder is there."""
        with self._lock:
            return path_key(path) in self._folders

    def exists(self, path: str) -> bool:
        """Tell whether a file or folder is there."""
        return self.get(path) is not None or self.is_folder(path)

    def below(self, folder: str) -> list[File]:
        """List the files below a folder, at any depth."""
        with self._lock:
            start = path_key(folder) + "\\"
            return [file for key, file in sorted(self._files.items()) if key.startswith(start)]

    def names_in(self, folder: str) -> list[str]:
        """List names of files and folders directly in a folder."""
        start = path_key(folder) + "\\"
        with self._lock:
            paths = [(k, f.path) for k, f in self._files.items()] + list(self._folders.items())
        inside = {
            path[len(start) :] for key, path in paths if key.startswith(start) and key != start
        }
        return sorted(name for name in inside if name and "\\" not in name)

    def remove(self, path: str) -> bool:
        """Remove a file, or a folder with everything in it; tells whether something was there."""
        with self._lock:
            key = path_key(path)
            doomed = [k for k in self._files if k == key or k.startswith(key + "\\")]
            folders = [k for k in self._folders if k == key or k.startswith(key + "\\")]
            for item in doomed:
                del self._files[item]
            for item in folders:
                del self._folders[item]
            return bool(doomed or folders)


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
