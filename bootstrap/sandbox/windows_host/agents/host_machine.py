"""A simulated host behind the view that its programs have of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from bootstrap.sandbox.cluster_client import ApiClient
from bootstrap.sandbox.errors import UnsupportedBySandbox
from bootstrap.sandbox.windows_host.agents import hns
from bootstrap.sandbox.windows_host.agents.files import Kubeconfig
from bootstrap.sandbox.windows_host.agents.machine import (
    AdapterView,
    Balancer,
    LookupFailed,
    OverlayNetwork,
    RemoteRoute,
)
from bootstrap.sandbox.windows_host.agents.runtime import RuntimeView
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.state import VirtualFile

_HOSTS_FILE = r"C:\Windows\System32\drivers\etc\hosts"
_VERSION = re.compile(r"(?<![\d.])v?(\d+\.\d+\.\d+)(?![\d])")


@runtime_checkable
class NetworkHooks(Protocol):
    """What a host's hooks must know beside ``HostHooks`` for its programs to reach a cluster."""

    def resolve(self, name: str, hosts_file: str) -> str:
        """Return the address of a name, '' when there is none."""

    def endpoint(self, address: str, port: int) -> tuple[str, int] | None:
        """Return where a connection really goes, None when nothing answers there."""


class HostMachine:
    """Implements ``Machine`` on a ``WindowsHost``."""

    def __init__(self, host: WindowsHost) -> None:
        self._host = host
        self._state = host.state

    @property
    def computer_name(self) -> str:
        """The NetBIOS name."""
        return self._state.computer_name

    @property
    def build(self) -> int:
        """The Windows build."""
        return self._state.build

    @property
    def revision(self) -> int:
        """The update revision."""
        return self._state.revision

    @property
    def product_name(self) -> str:
        """``ProductName`` of the registry."""
        return self._state.product_name

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, None when there is none."""
        return self._state.files.read(path) if path else None

    def write(self, path: str, content: bytes) -> None:
        """Write a file."""
        self._state.files.write(path, content)

    def names_in(self, folder: str) -> list[str]:
        """List the names in a folder."""
        return self._state.files.names_in(folder)

    def program_version(self, path: str) -> str:
        """Return an executable's version by the address it was downloaded from."""
        file = self._state.files.get(path)
        content = file.content if file is not None else b""
        text = content.url if isinstance(content, VirtualFile) else content.decode("latin-1")
        found = _VERSION.search(text)
        if found is None:
            raise UnsupportedBySandbox(f"nothing tells the version of {path}: {text[:200]!r}")
        return found[1]

    def adapters(self) -> list[AdapterView]:
        """List the adapters with an address."""
        with self._state.lock:
            return [
                AdapterView(name=a.name, address=a.address, mtu=a.mtu, mac=a.mac)
                for a in self._state.adapters.values()
            ]

    def overlay_networks(self) -> list[OverlayNetwork]:
        """List overlay networks."""
        return hns.networks_of(self._host)

    def create_overlay_network(self, network: OverlayNetwork, adapter: str) -> None:
        """Make a network."""
        hns.add_network(self._host, network)

    def set_remote_routes(self, network: str, routes: Sequence[RemoteRoute]) -> None:
        """Replace the routes to peers."""
        hns.set_routes(self._host, network, routes)

    def ensure_source_vip(self, network: str, address: str) -> None:
        """Make the endpoint of the source VIP."""
        hns.set_source_vip(self._host, network, address)

    def set_balancers(self, balancers: Sequence[Balancer]) -> None:
        """Replace all load balancers."""
        hns.set_balancers(self._host, balancers)

    def listening(self, pipe: str) -> RuntimeView | None:
        """Return what listens on a pipe."""
        found = self._state.pipes.get(pipe.lower())
        return found if isinstance(found, RuntimeView) else None

    def listen(self, pipe: str, config: RuntimeView | None) -> None:
        """Open or close a pipe."""
        with self._state.lock:
            if config is None:
                self._state.pipes.pop(pipe.lower(), None)
            else:
                self._state.pipes[pipe.lower()] = config

    def connect(self, kubeconfig: Kubeconfig) -> ApiClient:
        """Make a client that goes where this host would go."""
        hooks = self._host.hooks
        if not isinstance(hooks, NetworkHooks):
            raise LookupFailed("this host has no network")
        hosts_file = (self.read(_HOSTS_FILE) or b"").decode("ascii", errors="replace")
        address = hooks.resolve(kubeconfig.host, hosts_file)
        if not address:
            raise LookupFailed(f"dial tcp: lookup {kubeconfig.host}: no such host")
        target = hooks.endpoint(address, kubeconfig.port)
        if target is None:
            raise LookupFailed(
                f"dial tcp {address}:{kubeconfig.port}: connectex: No connection could be made "
                "because the target machine actively refused it."
            )
        pair = (kubeconfig.certificate_pem, kubeconfig.key_pem)
        return ApiClient(
            target,
            kubeconfig.server_name,
            kubeconfig.ca_pem,
            token=kubeconfig.token,
            certificate=pair if pair[0] and pair[1] else None,
        )

    def is_broken(self, fault: str) -> bool:
        """Tell whether a fault is set for this host."""
        return self._host.hooks.has_fault(fault)

    def scaled(self, seconds: float) -> float:
        """Scale a delay of real programs."""
        return seconds * self._host.spec.time_factor
