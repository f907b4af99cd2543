"""A small Kubernetes client of JSON documents, for everything in the sandbox that is a client.

A simulated node connects to another address than its kubeconfig says (the VPC is on loopback),
which urllib3 can: connect to ``address``, expect ``server_name``. Fifty nodes share one process, so
there are no generated models and no caches.
"""

from __future__ import annotations

import json
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3

Json = dict[str, Any]

PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
_PAGE = 500
_TIMEOUT = urllib3.Timeout(connect=5, read=30)
# The server closes a watch after this; the client then begins another one.
_WATCH_S = 300


class ApiError(Exception):
    """The API server said no."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class ApiUnreachable(Exception):
    """Nothing answered, or its certificate was refused."""


class ApiClient:
    """Talk to one API server; may be used from several threads."""

    def __init__(
        self,
        address: tuple[str, int],
        server_name: str,
        ca_pem: str,
        *,
        token: str = "",
        certificate: tuple[str, str] | None = None,
    ) -> None:
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.HTTPSConnectionPool(
            address[0],
            address[1],
            maxsize=4,
            server_hostname=server_name,
            assert_hostname=server_name,
            ssl_context=_context(ca_pem, certificate),
            timeout=_TIMEOUT,
            retries=False,
        )

    def get(self, path: str, **query: object) -> Json:
        """Read one object, or one whole list."""
        return self._call("GET", path, query=query)

    def list(self, path: str, **query: object) -> list[Json]:
        """Read all items of a collection, paged."""
        items: list[Json] = []
        follow = ""
        while True:
            paging = {"limit": _PAGE} | ({"continue": follow} if follow else {})
            page = self._call("GET", path, query={**query, **paging})
            items += page.get("items") or []
            follow = str((page.get("metadata") or {}).get("continue") or "")
            if not follow:
                return items

    def post(self, path: str, body: Mapping[str, Any]) -> Json:
        """Create an object."""
        return self._call("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> Json:
        """Replace an object."""
        return self._call("PUT", path, body)

    def patch(self, path: str, body: object, *, kind: str = "merge", **query: object) -> Json:
        """Patch an object; ``apply`` is server-side apply, forced."""
        if kind == "apply":
            query = {"fieldManager": "kops", "force": "true"} | query
        return self._call("PATCH", path, body, query=query, content=PATCH_TYPES[kind])

    def delete(self, path: str, body: Mapping[str, Any] | None = None, **query: object) -> Json:
        """Delete an object."""
        return self._call("DELETE", path, body, query=query)

    def watch(
        self, path: str, *, resource_version: str, stop: threading.Event, **query: object
    ) -> Iterator[Json]:
        """Yield events from a version on; ends when the server does, or with ``stop``.

        ApiError 410 when the version is too old: list again. The read times out each second to look
        at ``stop``.
        """
        asked = {"watch": "true", "resourceVersion": resource_version, "timeoutSeconds": _WATCH_S}
        response = self._open("GET", f"{path}?{urlencode({**query, **asked})}", read_s=None)
        connection = response.connection
        if response.status >= 400:
            raise _error(response.status, response.read())
        with _closing_on(stop, connection):
            try:
                yield from _events(response, stop)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
                if not stop.is_set():
                    raise ApiUnreachable(str(exc)) from exc
            finally:
                response.close()

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()

    def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        content: str = "application/json",
    ) -> Json:
        url = f"{path}?{urlencode(query)}" if query else path
        response = self._open(method, url, body, content)
        data = response.read()
        response.release_conn()
        if response.status >= 400:
            raise _error(response.status, data)
        parsed = json.loads(data or b"{}")
        return parsed if isinstance(parsed, dict) else {}

    def _open(
        self,
        method: str,
        url: str,
        body: object = None,
        content: str = "application/json",
        *,
        read_s: float | None = 30,
    ) -> urllib3.HTTPResponse:
        headers = self._headers | ({"Content-Type": content} if body is not None else {})
        try:
            response = self._pool.urlopen(
                method,
                url,
                body=json.dumps(body).encode() if body is not None else None,
                headers=headers,
                preload_content=False,
                timeout=urllib3.Timeout(connect=5, read=read_s),
            )
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise ApiUnreachable(str(exc)) from exc
        assert isinstance(response, urllib3.HTTPResponse)
        return response


def _events(response: urllib3.HTTPResponse, stop: threading.Event) -> Iterator[Json]:
    buffer = b""
    for chunk in response.stream(amt=None, decode_content=True):
        buffer += chunk
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            if stop.is_set():
                return
            if not line.strip():
                continue
            event = json.loads(line)
            if event["type"] == "ERROR":
                status = event["object"]
                raise ApiError(
                    int(status.get("code") or 500),
                    str(status.get("reason", "")),
                    str(status.get("message", "")),
                )
            yield event


class _closing_on:  # noqa: N801 - used as a function
    """Shut a watch's socket when ``stop`` is set, so that a blocked read ends at once."""

    def __init__(self, stop: threading.Event, connection: object) -> None:
        self._stop = stop
        self._sock: socket.socket | None = getattr(connection, "sock", None)
        self._over = threading.Event()

    def __enter__(self) -> None:
        _watchdog.add(self._stop, self)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        _watchdog.remove(self)

    def cut(self) -> None:
        """Shut the socket down."""
        if self._sock is not None and not self._over.is_set():
            try:
                self._sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


class _Watchdog:
    """One thread for all watches of the process that looks at their ``stop`` events."""

    _INTERVAL_S = 0.1

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[_closing_on, threading.Event] = {}
        self._thread: threading.Thread | None = None

    def add(self, stop: threading.Event, watch: _closing_on) -> None:
        with self._lock:
            self._watched[watch] = stop
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()

    def remove(self, watch: _closing_on) -> None:
        with self._lock:
            self._watched.pop(watch, None)

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._INTERVAL_S):
            with self._lock:
                stopped = [watch for watch, stop in self._watched.items() if stop.is_set()]
            for watch in stopped:
                watch.cut()
                self.remove(watch)


_watchdog = _Watchdog()


def _context(ca_pem: str, certificate: tuple[str, str] | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=ca_pem)
    except ssl.SSLError as exc:
        raise ApiUnreachable(f"the CA bundle cannot be read: {exc}") from exc
    if certificate is not None:
        # OpenSSL loads key pairs from files only; the file is gone when it has.
        with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pem") as file:
            file.write(certificate[0] + "\n" + certificate[1])
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _error(status: int, data: bytes) -> ApiError:
    try:
        answer = json.loads(data)
        return ApiError(status, str(answer.get("reason", "")), str(answer.get("message", "")))
    except (ValueError, AttributeError):
        return ApiError(status, "", data[:300].decode(errors="replace"))
