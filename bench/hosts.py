"""Simulated hosts in a process of their own: their CPU is not the controller's."""

from __future__ import annotations

import multiprocessing
import os
import resource
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from bench.state import snapshot
from bootstrap.planning.userdata import user_data
from bootstrap.resources import data_path
from bootstrap.sandbox.windows_host.host import HostSpec, WindowsHost
from bootstrap.sandbox.windows_host.winrm import PORT, Counters
from bootstrap.sandbox.world_artifacts import published

BOOT_LIMIT_S = 60
POLL_S = 0.05
TIME_FACTOR = 1.0
"""A shutdown takes the 2 s that win_reboot gives it, as in life. Without them a host with latency
is gone before the answer is read, and win_reboot fails."""
PROGRAMS = ("containerd.exe", "kube-log-runner.exe")
"""What the measured services run; nothing in the measured part asks them anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """How a simulated host is reached."""

    name: str
    address: str
    password: str
    certificate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What all hosts together have been asked, and what answering took them."""

    requests: int
    bytes: int
    cpu_s: float


@dataclass(slots=True)
class TimedCounters(Counters):
    """Counters that also remember when each request was answered and how big it was."""

    log: list[tuple[float, int]] = field(default_factory=list)

    def add(self, received: int, sent: int) -> None:
        """Count one request."""
        Counters.add(self, received, sent)
        self.log.append((time.monotonic(), received + sent))


class _Idle:
    """A program that runs until it is stopped."""

    def run(self, stop: threading.Event) -> int:
        stop.wait()
        return 0


class _Hooks:
    """A world that has the published artifacts and no faults."""

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


class _Machines:
    """The hosts, as the process that runs them sees them."""

    def __init__(self, count: int, latency_s: float, block: str) -> None:
        data = user_data((data_path("scripts") / "Enable-WinRmTls.ps1").read_text())
        urls = published()
        self._hosts = [_machine(number, block, data, _Hooks(urls)) for number in range(count)]
        for host in self._hosts:
            host.latency_s = latency_s
            host.boot()

    def reached(self) -> list[Host]:
        """Wait for every host's WinRM."""
        deadline = time.monotonic() + BOOT_LIMIT_S + len(self._hosts)
        return [_reached(number, host, deadline) for number, host in enumerate(self._hosts)]

    def spent(self) -> Spent:
        counters = [host.counters for host in self._hosts]
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return Spent(
            requests=sum(item.requests for item in counters),
            bytes=sum(item.bytes_in + item.bytes_out for item in counters),
            cpu_s=usage.ru_utime + usage.ru_stime,
        )

    def log(self) -> list[tuple[float, int]]:
        """Return when the first host answered what (clock of ``time.monotonic``, bytes)."""
        counters = self._hosts[0].counters
        assert isinstance(counters, TimedCounters)
        return list(counters.log)

    def state(self) -> dict[str, str]:
        """Return what the first host looks like."""
        return snapshot(self._hosts[0].state)

    def stop(self) -> None:
        for host in self._hosts:
            host.power_off()


def _machine(number: int, block: str, data: str, hooks: _Hooks) -> WindowsHost:
    spec = HostSpec(
        instance_id=f"i-{number:017x}",
        address=f"{block}.{number + 10}",
        prefix_length=16,
        gateway=f"{block}.1",
        private_dns=f"host-{number}.example.internal",
        zone="eu-west-1a",
        release="2019",
        user_data=data,
        boot_s=0.0,
        time_factor=TIME_FACTOR,
    )
    host = WindowsHost(spec, hooks, agents={name: lambda *_: _Idle() for name in PROGRAMS})
    host.counters = TimedCounters()
    return host


def _reached(number: int, host: WindowsHost, deadline: float) -> Host:
    address = host.spec.address
    while time.monotonic() < deadline:
        with suppress(OSError):
            certificate = ssl.get_server_certificate((address, PORT))
            return Host(
                name=f"bench-{number + 1}",
                address=address,
                password=host.hooks.password,
                certificate=certificate,
            )
        time.sleep(POLL_S)
    raise TimeoutError(f"no WinRM on {address}")


def _serve(count: int, latency_s: float, block: str, pipe: Connection) -> None:
    machines = _Machines(count, latency_s, block)
    pipe.send(machines.reached())
    # The questions are the names of what answers them.
    while (question := pipe.recv()) != "stop":
        pipe.send(getattr(machines, question)())
    machines.stop()


class Fleet:
    """Hosts that are up, and what they tell about themselves."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.hosts: list[Host] = pipe.recv()

    def spent(self) -> Spent:
        """Return what the hosts have been asked so far."""
        answer: Spent = self._ask("spent")
        return answer

    def log(self) -> list[tuple[float, int]]:
        """Return the first host's requests: when they were answered, and their bytes."""
        answer: list[tuple[float, int]] = self._ask("log")
        return answer

    def state(self) -> dict[str, str]:
        """Return what the first host looks like now."""
        answer: dict[str, str] = self._ask("state")
        return answer

    def _ask(self, question: str) -> object:
        self._pipe.send(question)
        return self._pipe.recv()


@contextmanager
def fleet(count: int, latency_s: float) -> Iterator[Fleet]:
    """Run fresh hosts for one measurement, on loopback addresses of this process's own."""
    block = f"127.{250 + os.getpid() % 4}.{os.getpid() // 4 % 250}"
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(count, latency_s, block, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Fleet(ours)
    finally:
        with suppress(OSError):
            ours.send("stop")
        process.join(20)
        process.kill()
        process.join()
