"""One process that holds one world: how it is started, tells that it is usable, and is ended.

``serve`` runs in the daemon (or in the foreground); ``launch`` starts a daemon and waits for it.
The two talk over a pipe, one JSON object a line: ``{"progress": text}``, then ``{"ready": true}``
or ``{"error": {...}}``. When the pipe ends without either, the daemon died, and its log says why.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.errors import BootstrapError, ExitCode
from bootstrap.sandbox.control import ControlServer, ask
from bootstrap.sandbox.errors import NoSandboxError, SandboxRunningError, StartError
from bootstrap.sandbox.faults import find_fault
from bootstrap.sandbox.world_folder import Running, SandboxFolder
from bootstrap.sandbox.world_options import WorldOptions

if TYPE_CHECKING:
    from bootstrap.sandbox.world import World

Progress = Callable[[str], None]
LOG_NAME = "daemon.log"
_DOWN_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpRequest:
    """What ``sandbox up`` was asked for."""

    store: Path
    options: WorldOptions
    faults: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The sandbox's name."""
        return self.options.name


def already_running(request: UpRequest) -> Running | None:
    """Return the running sandbox of that name if it is on the same store, None if none runs.

    SandboxRunningError when it is on another store.
    """
    folder = SandboxFolder(request.name)
    try:
        running = folder.running()
    except NoSandboxError:
        if folder.is_alive():
            raise SandboxRunningError(
                f"a sandbox {request.name!r} is just starting",
                command=f"bootstrap sandbox status --name {request.name}",
            ) from None
        return None
    if Path(running.store) != request.store.resolve():
        raise SandboxRunningError(
            f"a sandbox {request.name!r} runs already on the store {running.store}",
            target=str(request.store),
            fix="take it down first, or give this one another --name",
            command=f"bootstrap sandbox down --name {request.name}",
        )
    return running


def serve(request: UpRequest, *, progress: Progress, ready: Callable[[Running], None]) -> None:
    """Hold a world until a signal or ``sandbox down`` ends it; blocks, main thread only."""
    for fault in request.faults:
        find_fault(fault)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    folder = SandboxFolder(request.name)
    lock = folder.lock()
    if lock is None:
        raise SandboxRunningError(f"a sandbox {request.name!r} runs already")
    with lock:
        folder.clear()
        world = _world(request, folder)
        try:
            _hold(world, folder, request, stop, progress, ready)
        finally:
            world.stop()
            folder.remove()


def _world(request: UpRequest, folder: SandboxFolder) -> World:
    # Only the daemon pays for moto and its relations, and they are an optional part.
    try:
        from bootstrap.sandbox.world import World
    except ModuleNotFoundError as error:
        raise StartError(
            f"the sandbox needs {error.name}, which is not installed",
            command="pip install 'kops-windows-bootstrap[sandbox]'",
        ) from error
    return World(request.store, request.options, folder.path)


def _hold(
    world: World,
    folder: SandboxFolder,
    request: UpRequest,
    stop: threading.Event,
    progress: Progress,
    ready: Callable[[Running], None],
) -> None:
    for fault in request.faults:
        world.faults.set(fault)
    running = world.start(progress, stop)
    if stop.is_set():
        return
    control = ControlServer(folder.path, lambda body: world.answer(body, stop))
    try:
        folder.publish(running)
        ready(running)
        stop.wait()
    finally:
        control.close()


def launch(request: UpRequest, *, progress: Progress) -> Running:
    """Start a daemon in a session of its own and return when its world can be used."""
    folder = SandboxFolder(request.name)
    folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    read_end, write_end = os.pipe()
    log = folder.path.parent / f"{request.name}.log"
    with log.open("w") as log_file:
        process = subprocess.Popen(
            [*_command(request), "--report-to", str(write_end)],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            pass_fds=(write_end,),
            start_new_session=True,
        )
    os.close(write_end)
    try:
        _await_report(read_end, progress, log)
    except BaseException:
        # A half-started world is of no use to anyone; its own handler takes it down.
        process.terminate()
        process.wait(timeout=_DOWN_TIMEOUT_S)
        log.unlink(missing_ok=True)
        raise
    log.rename(folder.path / LOG_NAME)
    return folder.running()


def _command(request: UpRequest) -> list[str]:
    options = request.options
    command = [sys.executable, "-m", "bootstrap", "sandbox", "up"]
    command += ["--store", str(request.store.resolve()), "--name", options.name]
    command += ["--windows", options.windows, "--boot-seconds", str(options.boot_s)]
    if options.control_plane_version:
        command += ["--control-plane", options.control_plane_version]
    for fault in request.faults:
        command += ["--fault", fault]
    return command


def _await_report(read_end: int, progress: Progress, log: Path) -> None:
    with os.fdopen(read_end, encoding="utf-8") as reports:
        for line in reports:
            report = json.loads(line)
            if "progress" in report:
                progress(report["progress"])
            elif "error" in report:
                raise _error(report["error"])
            else:
                return
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
    raise StartError("the sandbox's process ended while it started", evidence=tail)


def _error(report: dict[str, str]) -> BootstrapError:
    error = BootstrapError(
        report["message"],
        target=report.get("target", ""),
        evidence=report.get("evidence", ""),
        fix=report.get("fix", ""),
        command=report.get("command", ""),
    )
    error.exit_code = ExitCode(int(report["exitCode"]))
    return error


class PipeReport:
    """The daemon's side of the pipe; a parent that went away is no matter."""

    def __init__(self, descriptor: int) -> None:
        self._stream = os.fdopen(descriptor, "w", encoding="utf-8")

    def progress(self, text: str) -> None:
        """Tell how far it is."""
        self._send({"progress": text})

    def ready(self, running: Running) -> None:
        """Tell that the world can be used, and end the talk."""
        self._send({"ready": True, "pid": running.pid})
        self._close()

    def error(self, error: BootstrapError) -> None:
        """Tell why there will be no world, and end the talk."""
        self._send(
            {
                "error": {
                    "message": error.message,
                    "target": error.target,
                    "evidence": error.evidence,
                    "fix": error.fix,
                    "command": error.command,
                    "exitCode": int(error.exit_code),
                }
            }
        )
        self._close()

    def _send(self, report: dict[str, object]) -> None:
        try:
            self._stream.write(json.dumps(report) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return

    def _close(self) -> None:
        try:
            self._stream.close()
        except OSError:
            return


def take_down(name: str) -> None:
    """End the sandbox and wait until nothing of it is left; NoSandboxError when none is up."""
    folder = SandboxFolder(name)
    if not folder.is_alive():
        left_over = folder.path.exists()
        folder.remove()
        if left_over:
            return
        raise NoSandboxError(f"no sandbox {name!r} is up")
    pid = folder.running().pid
    ask(folder.path, {"request": "down"})
    deadline = time.monotonic() + _DOWN_TIMEOUT_S
    while folder.is_alive() or _runs(pid):
        if time.monotonic() > deadline:
            raise StartError(
                f"the sandbox {name!r} did not end within {_DOWN_TIMEOUT_S:.0f} s",
                evidence=str(folder.path / LOG_NAME),
            )
        time.sleep(0.05)
    folder.remove()


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    # A zombie has ended; it only waits for whoever started it.
    return status.rpartition(")")[2].split()[0] != "Z"
