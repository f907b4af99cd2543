"""The service control manager of a simulated host: dependencies, start, stop, recovery.

Behaviour and texts: https://learn.microsoft.com/windows/win32/services/service-control-manager and
``System.ServiceProcess``, which PowerShell's cmdlets speak through. A process that ends unasked
has failed, whatever its exit code; recovery actions follow
https://learn.microsoft.com/windows/win32/api/winsvc/ns-winsvc-service_failure_actionsw
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Protocol

from bootstrap.sandbox.windows_host.state import Service, ServiceState, StartMode

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_STOP_S = 10.0
"""A program that has not ended by then is left behind, as a killed process would be."""
_SHORTEST_RECOVERY_S = 0.05
_AUTOMATIC = (StartMode.AUTO, StartMode.DELAYED)


class Agent(Protocol):
    """A program that a service runs. ``run`` blocks and returns the exit code."""

    def run(self, stop: threading.Event) -> int:
        """Run until done or told to stop."""


AgentFactory = Callable[["WindowsHost", Service, tuple[str, ...]], Agent]
"""Takes the host, the service and its command line, split."""


class ServiceError(Exception):
    """A service cannot be started; the text is that of the service control manager."""


@dataclass(slots=True)
class _Run:
    stop: threading.Event
    thread: threading.Thread


class ServiceManager:
    """Starts and stops services of one host. While the host is off, nothing starts."""

    def __init__(self, host: WindowsHost, agents: Mapping[str, AgentFactory] | None) -> None:
        self._host = host
        self._agents = agents
        # Held for a decision, never while waiting for a program to end.
        self._lock = threading.RLock()
        self._runs: dict[str, _Run] = {}
        self._failures: dict[str, int] = {}
        self._epoch = -1

    @property
    def agents(self) -> Mapping[str, AgentFactory]:
        """Executable's base name, lower case -> agent."""
        if self._agents is None:
            from bootstrap.sandbox.windows_host.agents import AGENTS

            self._agents = AGENTS
        return self._agents

    def start(self, name: str) -> None:
        """Start a service with what it depends on; ServiceError when it cannot."""
        with self._lock:
            service = self._get(name)
            if service.name.lower() in self._runs:
                return
            if service.start_mode is StartMode.DISABLED:
                raise self._refused(service, "The service cannot be started (1058): disabled")
            for dependency in service.dependencies:
                if self._host.state.service(dependency) is None:
                    raise self._refused(
                        service, "The dependency service does not exist or has been marked (1075)"
                    )
                self.start(dependency)
            self._launch(service, self._agent(service))

    def _agent(self, service: Service) -> Agent:
        # The agents know the host, so that the host cannot import them first.
        from bootstrap.sandbox.windows_host.agents.command_line import split_command_line

        words = tuple(split_command_line(service.binary_path))
        if not words or self._host.state.files.get(words[0]) is None:
            raise self._refused(service, "The system cannot find the file specified (2)")
        factory = self.agents.get(PureWindowsPath(words[0]).name.lower())
        if factory is None:
            raise self._refused(service, f"sandbox: the program {words[0]} is not imitated (1053)")
        return factory(self._host, service, words)

    def _launch(self, service: Service, agent: Agent) -> None:
        stop = threading.Event()
        thread = threading.Thread(
            target=self._run,
            args=(service, agent, stop),
            name=f"{service.name}-{self._host.spec.address}",
            daemon=True,
        )
        self._runs[service.name.lower()] = _Run(stop, thread)
        service.state = ServiceState.RUNNING
        service.starts += 1
        service.started_at = time.time()
        service.pid = 1000 + 4 * service.starts
        service.exit_code = 0
        thread.start()

    def _run(self, service: Service, agent: Agent, stop: threading.Event) -> None:
        code = agent.run(stop)
        with self._lock:
            current = self._runs.get(service.name.lower())
            if current is None or current.stop is not stop:
                return
            del self._runs[service.name.lower()]
            service.state = ServiceState.STOPPED
            service.exit_code = code
            service.pid = 0
            self._record(f"The {service.name} service terminated unexpectedly, exit code {code}.")
            self._recover(service)

    def _recover(self, service: Service) -> None:
        """Restart a service that ended by itself; the last action holds for all later failures."""
        if not service.recovery:
            return
        count = self._failures.get(service.name.lower(), 0)
        self._failures[service.name.lower()] = count + 1
        delay_ms = service.recovery[min(count, len(service.recovery) - 1)]
        pause = max(_SHORTEST_RECOVERY_S, delay_ms / 1000 * self._host.spec.time_factor)
        timer = threading.Timer(pause, self._start_again, (service.name, self._epoch))
        timer.daemon = True
        timer.start()

    def _start_again(self, name: str, epoch: int) -> None:
        if not self._host.is_current(epoch):
            return
        try:
            self.start(name)
        except ServiceError as error:
            self._record(str(error))

    def stop(self, name: str) -> None:
        """Stop a service, those that depend on it first; one that is stopped is fine."""
        for dependent in self._dependents(name):
            self.stop(dependent.name)
        with self._lock:
            run = self._runs.pop(name.lower(), None)
            service = self._host.state.service(name)
        if run is not None:
            run.stop.set()
            if run.thread is not threading.current_thread():
                run.thread.join(timeout=_STOP_S)
        if service is not None:
            service.state = ServiceState.STOPPED
            service.pid = 0

    def _dependents(self, name: str) -> list[Service]:
        with self._host.state.lock:
            services = list(self._host.state.services.values())
        key = name.lower()
        return [s for s in services if key in (other.lower() for other in s.dependencies)]

    def restart(self, name: str) -> None:
        """Stop and start a service, and what depended on it and ran, as Restart-Service -Force."""
        running = [s.name for s in self._dependents(name) if s.state is ServiceState.RUNNING]
        self.stop(name)
        self.start(name)
        for dependent in running:
            self.start(dependent)

    def stop_all(self) -> None:
        """Stop everything, as a shutdown does."""
        for service in list(self._host.state.services.values()):
            self.stop(service.name)
        self._failures.clear()

    def start_automatic(self, epoch: int) -> None:
        """Run the startup tasks and start what starts with the host."""
        self._epoch = epoch
        for task in list(self._host.state.tasks.values()):
            if task.at_startup:
                self.run_task(task.name)
        for service in list(self._host.state.services.values()):
            if service.start_mode in _AUTOMATIC:
                self._start_again(service.name, epoch)

    def run_task(self, name: str) -> None:
        """Run a scheduled task in the background; KeyError when there is none."""
        task = self._host.state.tasks[name]
        thread = threading.Thread(
            target=self._run_task, args=(task.script, task.request), name=name, daemon=True
        )
        thread.start()

    def _run_task(self, script: str, request: str) -> None:
        rendering = self._host.scripts.get(script)
        if rendering is None:
            self._record(f"sandbox: the script {script} of a task is not imitated")
            return
        outcome = rendering(self._host, json.loads(request) | {"detached": True}, False)
        if outcome.error:
            self._record(f"{script}: {outcome.error}")

    def _get(self, name: str) -> Service:
        service = self._host.state.service(name)
        if service is None:
            raise ServiceError(f"Cannot find any service with service name '{name}'.")
        return service

    def _record(self, text: str) -> None:
        self._host.state.events.append(text)

    @staticmethod
    def _refused(service: Service, reason: str) -> ServiceError:
        shown = service.display_name or service.name
        return ServiceError(
            f"Service '{shown} ({service.name})' cannot be started due to the following error:"
            f" {reason}"
        )
