"""Remote shells of one host and the commands that run in them (MS-WSMV, section 3.1.4)."""

from __future__ import annotations

import threading
import uuid

from bootstrap.sandbox.windows_host import wsman
from bootstrap.sandbox.windows_host.powershell import Execution, Interpreter

MAX_SHELLS = 30
"""MaxShellsPerUser of Windows."""


class Shells:
    """The shells that are open, by id."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._lock = threading.Lock()
        self._shells: dict[str, dict[str, Execution]] = {}

    def handle(self, request: wsman.Request) -> tuple[int, bytes]:
        """Carry out one message; returns HTTP status and answer."""
        if request.action == wsman.CREATE:
            return self._create(request)
        commands = self._shells.get(request.shell_id)
        if commands is None:
            return 500, wsman.fault(request, wsman.UNKNOWN_SHELL)
        match request.action:
            case wsman.COMMAND:
                return self._command(request, commands)
            case wsman.SEND:
                return self._send(request, commands)
            case wsman.RECEIVE:
                return self._receive(request, commands)
            case wsman.SIGNAL:
                commands.pop(request.attribute("rsp:Signal", "CommandId"), None)
                return 200, wsman.answer(request, "<rsp:SignalResponse/>")
            case wsman.DELETE:
                with self._lock:
                    self._shells.pop(request.shell_id, None)
                return 200, wsman.answer(request, "")
            case _:
                return 500, wsman.fault(request, wsman.UNSUPPORTED)

    def _send(self, request: wsman.Request, commands: dict[str, Execution]) -> tuple[int, bytes]:
        data, last = request.stdin()
        command = commands.get(request.attribute("rsp:Send/rsp:Stream", "CommandId"))
        if command is None:
            return 500, wsman.fault(request, wsman.UNKNOWN_SHELL)
        command.feed(data, last)
        return 200, wsman.answer(request, "<rsp:SendResponse/>")

    def _create(self, request: wsman.Request) -> tuple[int, bytes]:
        with self._lock:
            if len(self._shells) >= MAX_SHELLS:
                return 500, wsman.fault(request, wsman.TOO_MANY_SHELLS)
            shell_id = str(uuid.uuid4()).upper()
            self._shells[shell_id] = {}
        return 200, wsman.created(request, shell_id)

    def _command(self, request: wsman.Request, commands: dict[str, Execution]) -> tuple[int, bytes]:
        command_id = str(uuid.uuid4()).upper()
        line = f"{request.text('rsp:CommandLine/rsp:Command')} {request.arguments()}".strip()
        commands[command_id] = self._interpreter.start(line)
        return 200, wsman.started(request, command_id)

    def _receive(self, request: wsman.Request, commands: dict[str, Execution]) -> tuple[int, bytes]:
        command_id = request.attribute("rsp:Receive/rsp:DesiredStream", "CommandId")
        command = commands.get(command_id)
        if command is None:
            return 500, wsman.fault(request, wsman.UNKNOWN_SHELL)
        if not command.wait(request.timeout_s):
            return 500, wsman.fault(request, wsman.TIMED_OUT)
        output = command.output
        streams = {"stdout": output.stdout, "stderr": output.stderr}
        return 200, wsman.received(request, command_id, streams, output.exit_code)
