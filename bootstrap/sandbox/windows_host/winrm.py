"""WinRM of one simulated host: WS-Management over TLS, Negotiate (NTLM) only, remote shells.

Real pywinrm and real ansible-core talk to it. The acceptor of NTLM is pyspnego's. There is no HTTP,
no Basic, and no message encryption, which over TLS nobody uses.
"""

from __future__ import annotations

import base64
import binascii
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import spnego
from spnego.exceptions import SpnegoError

from bootstrap.sandbox.windows_host import wsman
from bootstrap.sandbox.windows_host.powershell import Interpreter
from bootstrap.sandbox.windows_host.shells import Shells

PORT = 5986
_MAX_BODY = 500 * 1024
"""MaxEnvelopeSizekb of Windows; what is larger is answered with HTTP 413."""
# pyspnego finds an acceptor's accounts through one environment variable of the process.
_ACCOUNTS = threading.Lock()


@dataclass(slots=True)
class Counters:
    """What clients cost a host, for benchmarks."""

    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, received: int, sent: int) -> None:
        """Count one request."""
        with self.lock:
            self.requests += 1
            self.bytes_in += received
            self.bytes_out += sent


class WinRmServer:
    """The listener of one host. ``stop`` cuts every connection, as a reboot does."""

    def __init__(
        self,
        address: str,
        certificate: tuple[str, str],
        account: tuple[str, Callable[[], str]],
        interpreter: Interpreter,
        counters: Counters,
        latency_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._user, self._password = account
        self._counters = counters
        self._latency_s = latency_s
        self._shells = Shells(interpreter)
        self._context = _context(certificate)
        self._server = _Listener((address, PORT), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._connections: set[socket.socket] = set()
        self._deaf_until = 0.0
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name=f"winrm-{address}", daemon=True
        )

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and cut every connection."""
        self._server.shutdown()
        self._server.server_close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Cut every connection, as a new vSwitch on the adapter does."""
        with self._lock:
            connections = list(self._connections)
            self._connections.clear()
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def interrupt(self, seconds: float) -> None:
        """Cut every connection and take no new one for a while."""
        self._deaf_until = time.monotonic() + seconds
        self.drop_connections()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(_Handler):
            winrm = server

        return Handler

    # -- for handlers --
    def secured(self, connection: socket.socket) -> ssl.SSLSocket:
        """Do the TLS handshake and remember the connection."""
        if time.monotonic() < self._deaf_until:
            raise ConnectionAbortedError("the network is being interrupted")
        secured = self._context.wrap_socket(connection, server_side=True)
        with self._lock:
            self._connections.add(secured)
        return secured

    def forget(self, connection: socket.socket) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._connections.discard(connection)

    def authenticate(self, context: Any, token: bytes) -> bytes | None:
        """Take one step of NTLM; the account's password is that of this host."""
        with _ACCOUNTS, tempfile.NamedTemporaryFile("w", encoding="utf-8") as accounts:
            accounts.write(f":{self._user}:{self._password()}\n")
            accounts.flush()
            os.environ["NTLM_USER_FILE"] = accounts.name
            try:
                out: bytes | None = context.step(token)
            finally:
                del os.environ["NTLM_USER_FILE"]
        return out

    def new_context(self) -> Any:
        """Begin an NTLM exchange."""
        with _ACCOUNTS, tempfile.NamedTemporaryFile("w") as accounts:
            os.environ["NTLM_USER_FILE"] = accounts.name
            try:
                return spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
            finally:
                del os.environ["NTLM_USER_FILE"]

    def serve(self, body: bytes) -> tuple[int, bytes]:
        """Answer one authenticated message."""
        if latency := self._latency_s():
            time.sleep(latency)
        try:
            request = wsman.parse(body)
        except wsman.MalformedMessage:
            status, data = 400, b""
        else:
            status, data = self._shells.handle(request)
        self._counters.add(len(body), len(data))
        return status, data


class _Listener(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are ordinary."""


class _Handler(BaseHTTPRequestHandler):
    """One connection. NTLM authenticates the connection, not the request."""

    winrm: WinRmServer
    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-HTTPAPI/2.0"
    sys_version = ""
    timeout = 300
    # One write for head and body, sent at once: else every answer waits for a delayed ACK (40 ms).
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Do the TLS handshake in this connection's own thread."""
        self._context: Any = None
        self._is_authenticated = False
        self.request.settimeout(self.timeout)
        self.request = self.winrm.secured(self.request)
        super().setup()

    def finish(self) -> None:
        """Forget and close the connection; the server closes only the socket below TLS."""
        self.winrm.forget(self.request)
        try:
            super().finish()
        finally:
            self.request.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet."""

    def do_POST(self) -> None:  # noqa: N802
        """Take one message."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY:
            self.close_connection = True  # the body stays unread
            self._send(413, b"")
            return
        body = self.rfile.read(length)
        if self.path.split("?")[0] != "/wsman":
            self._send(404, b"")
        elif self._is_authenticated and not self.headers.get("Authorization"):
            self._send(*self.winrm.serve(body))
        else:
            self._negotiate(body)

    def _negotiate(self, body: bytes) -> None:
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in ("negotiate", "ntlm") or not encoded:
            self._refuse()
            return
        try:
            if self._context is None:
                self._context = self.winrm.new_context()
            out = self.winrm.authenticate(self._context, base64.b64decode(encoded, validate=True))
        except (SpnegoError, binascii.Error, ValueError, OSError):
            self._context = None
            self._refuse()
            return
        if not self._context.complete:
            token = base64.b64encode(out or b"").decode()
            self._send(401, b"", {"WWW-Authenticate": f"{scheme} {token}"})
            return
        self._is_authenticated, self._context = True, None
        self._send(*self.winrm.serve(body))

    def _refuse(self) -> None:
        self._is_authenticated = False
        self._send(401, b"", {"WWW-Authenticate": "Negotiate"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/soap+xml;charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _context(certificate: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pair.pem"
        path.touch(mode=0o600)
        path.write_text("\n".join(certificate), encoding="ascii")
        context.load_cert_chain(path)
    return context
