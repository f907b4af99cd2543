"""How the commands of ``bootstrap sandbox`` talk to the daemon that holds a world.

One Unix socket in the sandbox's folder; one JSON object on a line each way, one request per
connection. The socket is reached through ``/proc/self/fd`` because a Unix socket's path may have
only 107 bytes, and a user's state folder can be deeper than that.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bootstrap.errors import BootstrapError, ExitCode
from bootstrap.sandbox.errors import NoSandboxError

SOCKET_NAME = "control.sock"
Json = Mapping[str, object]
Handler = Callable[[Json], Json]


@contextlib.contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


class ControlServer:
    """Answers requests on the socket in ``folder`` until it is closed."""

    def __init__(self, folder: Path, handler: Handler) -> None:
        self._handler = handler
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        (folder / SOCKET_NAME).unlink(missing_ok=True)
        with _short_path(folder) as path:
            self._socket.bind(path)
        (folder / SOCKET_NAME).chmod(0o600)
        self._socket.listen(8)
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        # A client that went away is no matter of the world.
        with contextlib.suppress(OSError), connection, connection.makefile("rwb") as stream:
            answer = self._respond(stream.readline())
            stream.write(json.dumps(answer).encode() + b"\n")
            stream.flush()

    def _respond(self, line: bytes) -> Json:
        try:
            request = json.loads(line)
            return {"ok": True, "result": self._handler(request)}
        except BootstrapError as error:
            return _refusal(error.message, error.exit_code, error.command)
        except (ValueError, KeyError, TypeError) as error:
            return _refusal(f"bad request: {error!r}", ExitCode.USAGE, "")


def _refusal(message: str, code: ExitCode, command: str) -> Json:
    return {"ok": False, "error": message, "exitCode": int(code), "command": command}


def _exchange(folder: Path, request: Json, timeout_s: float) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        with _short_path(folder) as path:
            connection.connect(path)
        with connection.makefile("rwb") as stream:
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            return stream.readline()


def ask(folder: Path, request: Json, *, timeout_s: float = 30.0) -> dict[str, object]:
    """Send one request to the sandbox in ``folder``; NoSandboxError when nobody answers."""
    try:
        line = _exchange(folder, request, timeout_s)
    except OSError as error:
        raise NoSandboxError(
            f"no sandbox answers in {folder}",
            evidence=str(error),
            command="bootstrap sandbox up --store DIR --detach",
        ) from error
    if not line:
        raise NoSandboxError(f"the sandbox in {folder} went away while it was asked")
    answer = json.loads(line)
    if not answer["ok"]:
        refused = BootstrapError(answer["error"], command=answer["command"])
        refused.exit_code = ExitCode(answer["exitCode"])
        raise refused
    result = answer["result"]
    if not isinstance(result, dict):
        raise NoSandboxError("the sandbox gave no object", evidence=repr(result))
    return result
