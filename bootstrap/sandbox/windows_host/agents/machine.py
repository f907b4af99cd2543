"""What a program sees of the Windows host it runs on, and how it is run.

Programs know nothing of the host simulator but this: a file system, adapters, HNS, the network.
``agents/__init__.py`` puts the simulated host behind it; tests put a small fake there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bootstrap.sandbox.cluster_client import ApiClient
from bootstrap.sandbox.windows_host.agents.files import Kubeconfig
from bootstrap.sandbox.windows_host.agents.runtime import RuntimeView


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterView:
    """A network adapter with an address."""

    name: str
    address: str
    mtu: int
    mac: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayNetwork:
    """An overlay network of HNS."""

    name: str
    vsid: int
    subnet: str
    gateway: str
    management_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteRoute:
    """A RemoteSubnetRoute policy: a peer's pods are behind its address."""

    destination: str
    provider_address: str
    router_mac: str
    isolation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancer:
    """A load balancer of HNS, as kube-proxy makes one per service port."""

    service: str
    vip: str
    protocol: str
    port: int
    target_port: int
    backends: tuple[str, ...]
    source_vip: str
    is_dsr: bool


class LookupFailed(Exception):
    """A host name does not resolve here, or its address leads nowhere."""


class Machine(Protocol):
    """The host as its programs see it."""

    @property
    def computer_name(self) -> str:
        """The NetBIOS name, as Windows reports it."""

    @property
    def build(self) -> int:
        """The Windows build, for instance 17763."""

    @property
    def revision(self) -> int:
        """The update revision (UBR)."""

    @property
    def product_name(self) -> str:
        """``ProductName`` of the registry, without "Microsoft"."""

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, None when there is none."""

    def write(self, path: str, content: bytes) -> None:
        """Write a file, folders made as needed."""

    def names_in(self, folder: str) -> list[str]:
        """List the names in a folder; empty when there is none."""

    def program_version(self, path: str) -> str:
        """Return the version of an executable (``1.34.5``) by the file that lies there."""

    def adapters(self) -> list[AdapterView]:
        """List the adapters that are up and have an address."""

    def overlay_networks(self) -> list[OverlayNetwork]:
        """List HNS networks of type Overlay."""

    def create_overlay_network(self, network: OverlayNetwork, adapter: str) -> None:
        """Make a network; the first one on an adapter interrupts its connections."""

    def set_remote_routes(self, network: str, routes: Sequence[RemoteRoute]) -> None:
        """Replace the RemoteSubnetRoute policies of a network."""

    def ensure_source_vip(self, network: str, address: str) -> None:
        """Make the HNS endpoint of kube-proxy's source VIP."""

    def set_balancers(self, balancers: Sequence[Balancer]) -> None:
        """Replace all load balancers."""

    def listening(self, pipe: str) -> RuntimeView | None:
        """Return what listens on a named pipe, None when nothing does."""

    def listen(self, pipe: str, config: RuntimeView | None) -> None:
        """Open a named pipe, or close it with None."""

    def connect(self, kubeconfig: Kubeconfig) -> ApiClient:
        """Make a client that goes where this host would go; LookupFailed when it cannot."""

    def is_broken(self, fault: str) -> bool:
        """Tell whether a fault is set for this host."""

    def scaled(self, seconds: float) -> float:
        """Return how long a delay of real programs takes in this world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One run of a program: what it was started with, and how it is told to stop."""

    machine: Machine
    executable: str
    arguments: tuple[str, ...]
    stop: threading.Event
    log: Callable[[str], None]
    """Takes a line for the program's stderr."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def pause(self, seconds: float) -> bool:
        """Wait as long as the program would (scaled); True when it was told to stop."""
        return self.stop.wait(self.machine.scaled(seconds))

    def fail(self, message: str) -> int:
        """Log an error as Kubernetes' programs do when they end; returns exit code 1."""
        text = message.replace("\\", "\\\\").replace('"', '\\"')
        self.log(f'E1101 00:00:00.000000    4200 run.go:72] "command failed" err="{text}"')
        return 1


Program = Callable[[Invocation], int]
"""Runs until it ends by itself or is told to stop; returns the exit code."""


def missing_file(path: str) -> str:
    """Return Go's text for a file that is not there, on Windows."""
    return f"open {path}: The system cannot find the file specified."


def windows_path(path: str) -> str:
    """Return a path with a drive, as Windows resolves ``/etc/x`` on drive C."""
    text = path.replace("/", "\\")
    return f"C:{text}" if text.startswith("\\") and not text.startswith("\\\\") else text
