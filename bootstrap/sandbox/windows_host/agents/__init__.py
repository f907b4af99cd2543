"""The programs of a node, run when their service starts, with the very files that lie there.

A service's executable is looked up here by its base name. Each program is a function over a
``Machine``; ``kube-log-runner.exe`` runs any of the others.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from bootstrap.errors import BootstrapError
from bootstrap.sandbox.windows_host.agents import (
    containerd,
    cri_dockerd,
    dockerd,
    flanneld,
    kube_proxy,
    kubelet,
    log_runner,
)
from bootstrap.sandbox.windows_host.agents.host_machine import HostMachine
from bootstrap.sandbox.windows_host.agents.machine import Invocation, Program
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.services import AgentFactory
from bootstrap.sandbox.windows_host.state import Service

_KEPT_EVENTS = 500
_CRASHED = 1

_WRAPPED: Mapping[str, Program] = {
    "containerd.exe": containerd.run,
    "dockerd.exe": dockerd.run,
    "cri-dockerd.exe": cri_dockerd.run,
    "kubelet.exe": kubelet.run,
    "flanneld.exe": flanneld.run,
    "kube-proxy.exe": kube_proxy.run,
}


def _service_host(invocation: Invocation) -> int:
    """Be New-ServiceHost's program: kube-log-runner's command line, and no good end by itself."""
    code = log_runner.run(invocation, programs=_WRAPPED)
    return code or (0 if invocation.stop.is_set() else _CRASHED)


PROGRAMS: Mapping[str, Program] = {
    **_WRAPPED,
    "kube-log-runner.exe": partial(log_runner.run, programs=_WRAPPED),
    "service-host.exe": _service_host,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProcess:
    """The process of a service; the host runs it in a thread."""

    host: WindowsHost
    service: Service
    words: tuple[str, ...]
    program: Program

    def run(self, stop: threading.Event) -> int:
        """Run until the program ends or is told to stop; returns its exit code."""
        invocation = Invocation(
            machine=HostMachine(self.host),
            executable=self.words[0],
            arguments=self.words[1:],
            stop=stop,
            log=self._log,
            environment={
                name.upper(): value
                for name, value in (self.host.state.environment | self.service.environment).items()
            },
        )
        try:
            return self.program(invocation)
        except BootstrapError as error:
            # What the sandbox does not imitate has to be seen, not taken for a running service.
            self._log(f"sandbox: {error.message}")
            return _CRASHED

    def _log(self, line: str) -> None:
        events = self.host.state.events
        events.append(f"{self.service.name}: {line}")
        del events[:-_KEPT_EVENTS]


def _factory(program: Program) -> AgentFactory:
    def make(host: WindowsHost, service: Service, words: tuple[str, ...]) -> ServiceProcess:
        return ServiceProcess(host=host, service=service, words=words, program=program)

    return make


AGENTS: Mapping[str, AgentFactory] = {name: _factory(program) for name, program in PROGRAMS.items()}
