"""``ansible.windows.win_wait_for`` of 3.3, by its own source: ports and files as the host has them.

Timeouts run with the host's time, so that a test does not wait as long as a user would.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments, Refused
from bootstrap.sandbox.windows_host.modules.paths import local_path

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_KNOWN = (
    "connect_timeout",
    "delay",
    "exclude_hosts",
    "host",
    "path",
    "port",
    "regex",
    "sleep",
    "state",
    "timeout",
)
_ALIASES = {"search_regex": "regex", "regexp": "regex"}
_STATES = ("present", "started", "stopped", "absent", "drained")
_POLL_S = 0.05
_SHORTEST_S = 0.3
_MODULE = "ansible.windows.win_wait_for"


def win_wait_for(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Wait for a port or a file to come or to go; without either, just wait."""
    arguments = Arguments(given, _KNOWN, _MODULE, aliases=_ALIASES)
    state = arguments.choice("state", _STATES, "started")
    _refuse_contradictions(arguments, state)
    time.sleep(arguments.number("delay") * host.spec.time_factor)
    if state == "drained":
        raise Refused("sandbox: state=drained is not imitated")
    is_gone = state in ("stopped", "absent")
    if arguments.has("path"):
        probe = _file_probe(host, arguments)
    elif arguments.has("port"):
        probe = _port_probe(host, arguments)
    else:
        time.sleep(arguments.number("timeout", 300) * host.spec.time_factor)
        return {"changed": False, "elapsed": arguments.number("timeout", 300), "wait_attempts": 0}
    return _wait(host, arguments, lambda: probe() is not is_gone, is_gone)


def _refuse_contradictions(arguments: Arguments, state: str) -> None:
    has_path, has_port = arguments.has("path"), arguments.has("port")
    if has_path and has_port:
        raise Refused("port and path parameter can not both be passed to win_wait_for")
    if arguments.has("exclude_hosts") and state != "drained":
        raise Refused("exclude_hosts should only be with state=drained")
    if has_path and state in ("stopped", "drained"):
        raise Refused(
            f"state={state} should only be used for checking a port in the win_wait_for module"
        )
    if has_port and arguments.has("regex"):
        raise Refused(
            "regex should by used when checking a string in a file in the win_wait_for module"
        )


def _port_probe(host: WindowsHost, arguments: Arguments) -> Callable[[], bool]:
    named, port = arguments.text("host", "127.0.0.1"), arguments.number("port")
    # A host's own programs listen on its address: 127.0.0.1 is that of all hosts here.
    address = host.spec.address if named.lower() in ("127.0.0.1", "localhost") else named
    timeout_s = float(arguments.number("connect_timeout", 5))

    def is_open() -> bool:
        try:
            socket.create_connection((address, port), timeout_s).close()
        except OSError:
            return False
        return True

    return is_open


def _file_probe(host: WindowsHost, arguments: Arguments) -> Callable[[], bool]:
    path, pattern = local_path(host, arguments.text("path")), arguments.text("regex")

    def matches() -> bool:
        if not host.state.files.exists(path):
            return False
        text = (host.state.files.read(path) or b"").decode("utf-8", errors="replace")
        # PowerShell's -match does not look at case.
        return not pattern or re.search(pattern, text, re.IGNORECASE) is not None

    return matches


def _wait(
    host: WindowsHost, arguments: Arguments, is_over: Callable[[], bool], is_gone: bool
) -> dict[str, Any]:
    began, attempts = time.monotonic(), 1
    limit_s = max(_SHORTEST_S, arguments.number("timeout", 300) * host.spec.time_factor)
    while not is_over():
        if time.monotonic() - began > limit_s:
            raise Refused(f"timeout while waiting for {_awaited(arguments, is_gone)}")
        attempts += 1
        time.sleep(_POLL_S)
    return {
        "changed": False,
        "elapsed": round(time.monotonic() - began, 3),
        "wait_attempts": attempts,
    }


def _awaited(arguments: Arguments, is_gone: bool) -> str:
    if arguments.has("port"):
        where = f"{arguments.text('host', '127.0.0.1')}:{arguments.text('port')}"
        return f"{where} to {'stop' if is_gone else 'start'} listening"
    path = arguments.text("path")
    if arguments.has("regex"):
        negation = "not " if is_gone else ""
        return f"string regex {arguments.text('regex')} in file {path} to {negation}match"
    return f"file {path} to be {'absent' if is_gone else 'present'}"
