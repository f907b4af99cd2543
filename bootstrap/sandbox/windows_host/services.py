"""The service control manager of a simulated host: dependencies, start, stop, recovery."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Protocol

from bootstrap.sandbox.windows_host.state import Service, ServiceState, StartMode

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_STOP_S = 10.0


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
    """Starts and stops services of one host."""

    def __init__(self, host: WindowsHost, agents: Mapping[str, AgentFactory] | None) -> None:
        self._host = host
        self._agents = agents
        self._lock = threading.RLock()
        self._runs: dict[str, _Run] = {}
        self._failures: dict[str, int] = {}

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
            for dependency in service.dependencies:
                self.start(dependency)
            words = split_command(service.binary_path)
            base = PureWindowsPath(words[0]).name.lower() if words else ""
            factory = self.agents.get(base)
            if factory is None:
                raise ServiceError(f"sandbox: no program {base!r} is imitated")
            if self._host.state.files.get(words[0]) is None:
                raise ServiceError(
                    f"Service '{service.display_name or service.name} ({service.name})' cannot be"
                    f" started: {words[0]}: The system cannot find the file specified"
                )
            self._launch(service, factory(self._host, service, words))

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
            if stop.is_set():
                return
        self._recover(service)

    def _recover(self, service: Service) -> None:
        """Restart a service that ended by itself, after the delay of its recovery action."""
        if not service.recovery:
            return
        count = self._failures.get(service.name.lower(), 0)
        self._failures[service.name.lower()] = count + 1
        delay_ms = service.recovery[min(count, len(service.recovery) - 1)]
        pause = max(0.05, delay_ms / 1000 * self._host.spec.time_factor)
        timer = threading.Timer(pause, self._restart_after_failure, (service.name,))
        timer.daemon = True
        timer.start()

    def _restart_after_failure(self, name: str) -> None:
        try:
            self.start(name)
        except ServiceError as error:
            self._host.state.events.append(str(error))

    def stop(self, name: str) -> None:
        """Stop a service, those that depend on it first."""
        with self._lock:
            key = name.lower()
            for other in list(self._host.state.services.values()):
                if key in (item.lower() for item in other.dependencies):
                    self.stop(other.name)
            run = self._runs.pop(key, None)
            service = self._host.state.service(name)
        if run is not None:
            run.stop.set()
            if run.thread is not threading.current_thread():
                run.thread.join(timeout=_STOP_S)
        if service is not None:
            service.state = ServiceState.STOPPED
            service.pid = 0

    def restart(self, name: str) -> None:
        """Stop and start a service, and start again what depended on it and ran."""
        running = [
            service.name
            for service in self._host.state.running_services()
            if name.lower() in (item.lower() for item in service.dependencies)
        ]
        self.stop(name)
        self.start(name)
        for dependent in running:
            self.start(dependent)

    def stop_all(self) -> None:
        """Stop everything, as a shutdown does."""
        for service in list(self._host.state.services.values()):
            self.stop(service.name)

    def start_automatic(self, epoch: int) -> None:
        """Start what starts with the host, and its startup tasks."""
        for task in list(self._host.state.tasks.values()):
            if task.at_startup:
                threading.Thread(target=self._run_task, args=(task.name,), daemon=True).start()
        for service in list(self._host.state.services.values()):
            if service.start_mode in (StartMode.AUTO, StartMode.DELAYED):
                if not self._host.is_current(epoch):
                    return
                self._restart_after_failure(service.name)

    def _run_task(self, name: str) -> None:
        import json

        task = self._host.state.tasks[name]
        rendering = self._host.scripts.get(task.script)
        if rendering is not None:
            rendering(self._host, json.loads(task.request) | {"detached": True}, False)

    def _get(self, name: str) -> Service:
        service = self._host.state.service(name)
        if service is None:
            raise ServiceError(f"Cannot find any service with service name '{name}'.")
        if service.start_mode is StartMode.DISABLED:
            raise ServiceError(f"Service '{name}' cannot be started: it is disabled")
        return service


def split_command(line: str) -> tuple[str, ...]:
    """Split a command line as CommandLineToArgvW does: blanks, double quotes, back slashes."""
    words: list[str] = []
    word, quoted, begun, slashes = "", False, False, 0
    for char in line:
        if char == "\\":
            slashes += 1
            continue
        if char == '"':
            word += "\\" * (slashes // 2)
            if slashes % 2:
                word += '"'
            else:
                quoted, begun = not quoted, True
            slashes = 0
            continue
        word += "\\" * slashes
        slashes = 0
        if char in " \t" and not quoted:
            if word or begun:
                words.append(word)
            word, begun = "", False
        else:
            word += char
    word += "\\" * slashes
    if word or begun:
        words.append(word)
    return tuple(words)
