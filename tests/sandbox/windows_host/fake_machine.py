"""A Windows host as its programs see it, in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bootstrap.sandbox.cluster_client import ApiClient
from bootstrap.sandbox.windows_host.agents.files import Kubeconfig
from bootstrap.sandbox.windows_host.agents.machine import (
    AdapterView,
    Balancer,
    Invocation,
    LookupFailed,
    OverlayNetwork,
    Program,
    RemoteRoute,
)
from bootstrap.sandbox.windows_host.agents.runtime import RuntimeView


@dataclass
class FakeMachine:
    """Implements ``Machine``; tests read and write its fields."""

    computer_name: str = "EC2AMAZ-1"
    build: int = 17763
    revision: int = 8000
    product_name: str = "Windows Server 2019 Datacenter"
    version: str = "1.34.5"
    files: dict[str, bytes] = field(default_factory=dict)
    networks: list[OverlayNetwork] = field(default_factory=list)
    routes: dict[str, list[RemoteRoute]] = field(default_factory=dict)
    source_vips: list[str] = field(default_factory=list)
    balancers: list[Balancer] = field(default_factory=list)
    pipes: dict[str, RuntimeView] = field(default_factory=dict)
    client_of: Callable[[Kubeconfig], ApiClient] | None = None
    address: str = "127.20.0.9"

    def read(self, path: str) -> bytes | None:
        return self.files.get(path.lower())

    def write(self, path: str, content: bytes) -> None:
        self.files[path.lower()] = content

    def names_in(self, folder: str) -> list[str]:
        prefix = folder.lower().rstrip("\\") + "\\"
        return [path.removeprefix(prefix) for path in self.files if path.startswith(prefix)]

    def program_version(self, path: str) -> str:
        return self.version

    def adapters(self) -> list[AdapterView]:
        return [
            AdapterView(name="Ethernet", address=self.address, mtu=1500, mac="02-00-00-00-00-01")
        ]

    def overlay_networks(self) -> list[OverlayNetwork]:
        return list(self.networks)

    def create_overlay_network(self, network: OverlayNetwork, adapter: str) -> None:
        self.networks.append(network)

    def set_remote_routes(self, network: str, routes: Sequence[RemoteRoute]) -> None:
        self.routes[network] = list(routes)

    def ensure_source_vip(self, network: str, address: str) -> None:
        self.source_vips = [address]

    def set_balancers(self, balancers: Sequence[Balancer]) -> None:
        self.balancers = list(balancers)

    def listening(self, pipe: str) -> RuntimeView | None:
        return self.pipes.get(pipe)

    def listen(self, pipe: str, config: RuntimeView | None) -> None:
        if config is None:
            self.pipes.pop(pipe, None)
        else:
            self.pipes[pipe] = config

    def connect(self, kubeconfig: Kubeconfig) -> ApiClient:
        if self.client_of is None:
            raise LookupFailed(f"dial tcp: lookup {kubeconfig.host}: no such host")
        return self.client_of(kubeconfig)

    def is_broken(self, fault: str) -> bool:
        return False

    def scaled(self, seconds: float) -> float:
        return 0.0


class Running:
    """A program that runs on a fake machine in a thread."""

    def __init__(
        self, machine: FakeMachine, program: Program, command: list[str], **environment: str
    ) -> None:
        self.lines: list[str] = []
        self.stop = threading.Event()
        self.exit_code: int | None = None
        invocation = Invocation(
            machine=machine,
            executable=command[0],
            arguments=tuple(command[1:]),
            stop=self.stop,
            log=self.lines.append,
            environment=environment,
        )
        self._thread = threading.Thread(target=self._run, args=(program, invocation), daemon=True)
        self._thread.start()

    def _run(self, program: Program, invocation: Invocation) -> None:
        self.exit_code = program(invocation)

    def ended(self) -> int:
        """Wait for the program to end by itself; returns its exit code."""
        self._thread.join(10)
        assert self.exit_code is not None, self.lines
        return self.exit_code

    def stopped(self) -> int:
        """Stop the program; returns its exit code."""
        self.stop.set()
        return self.ended()

    @property
    def log(self) -> str:
        """All that it logged."""
        return "\n".join(self.lines)


def eventually(check: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Poll until ``check`` is true."""
    pause = threading.Event()
    for _ in range(int(timeout_s / 0.02)):
        if check():
            return
        pause.wait(0.02)
    raise AssertionError("did not come true")
