"""Simulated hosts in a process of their own: their CPU is not the controller's."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

ADDRESS = "127.250.{}.{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """How a simulated host is reached."""

    name: str
    address: str
    password: str
    certificate: str


class _Idle:
    """A program that runs until it is stopped."""

    def run(self, stop: threading.Event) -> int:
        stop.wait()
        return 0


class _Hooks:
    def __init__(self, urls: dict) -> None:
        self.password = ""
        self._urls = urls

    def console(self, text: str) -> None:
        pass

    def password_ready(self, password: str) -> None:
        self.password = password

    def has_fault(self, name: str) -> bool:
        return False

    def internet(self, url: str) -> object:
        return self._urls.get(url)

    def shut_off(self) -> None:
        pass


def _serve(count: int, latency_s: float, pipe: Connection) -> None:
    import ssl

    from bootstrap.planning.userdata import user_data
    from bootstrap.resources import data_path
    from bootstrap.sandbox.windows_host.host import HostSpec, WindowsHost
    from bootstrap.sandbox.world_artifacts import published

    data = user_data((data_path("scripts") / "Enable-WinRmTls.ps1").read_text())
    agents = {name: lambda *_: _Idle() for name in ("containerd.exe", "kube-log-runner.exe")}
    urls = published()
    hosts = []
    for number in range(count):
        spec = HostSpec(
            instance_id=f"i-{number:017x}",
            address=ADDRESS.format(number // 200, number % 200 + 10),
            prefix_length=16,
            gateway="127.250.0.1",
            private_dns=f"host-{number}.example.internal",
            zone="eu-west-1a",
            release="2019",
            user_data=data,
            boot_s=0.0,
            time_factor=0.0,
        )
        hooks = _Hooks(urls)
        host = WindowsHost(spec, hooks, agents=agents)
        host.latency_s = latency_s
        host.boot()
        hosts.append((host, hooks))
    reached = []
    for number, (host, hooks) in enumerate(hosts):
        while True:
            with suppress(OSError):
                pem = ssl.get_server_certificate((host.spec.address, 5986))
                if hooks.password:
                    break
            time.sleep(0.05)
        reached.append(
            Host(
                name=f"bench-{number + 1}",
                address=host.spec.address,
                password=hooks.password,
                certificate=pem,
            )
        )
    pipe.send(reached)
    while pipe.recv() == "counters":
        pipe.send(
            (
                sum(host.counters.requests for host, _ in hosts),
                sum(host.counters.bytes_in + host.counters.bytes_out for host, _ in hosts),
            )
        )
    for host, _ in hosts:
        host.power_off()


class Fleet:
    """Hosts that are up, and what they have been asked so far."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.hosts: list[Host] = pipe.recv()

    def counters(self) -> tuple[int, int]:
        """Return requests and bytes of all hosts together."""
        self._pipe.send("counters")
        found: tuple[int, int] = self._pipe.recv()
        return found


@contextmanager
def fleet(count: int, latency_s: float) -> Iterator[Fleet]:
    """Run hosts for one measurement."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(count, latency_s, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Fleet(ours)
    finally:
        with suppress(OSError):
            ours.send("stop")
        process.join(20)
        process.kill()
