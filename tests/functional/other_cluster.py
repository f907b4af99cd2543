"""An API server that is somebody else's: it answers, but its CA and its nodes are other ones."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CA = "-----BEGIN CERTIFICATE-----\nc29tZWJvZHkgZWxzZQ==\n-----END CERTIFICATE-----\n"
ANSWERS: dict[str, object] = {
    "/version": {"gitVersion": "v1.36.3"},
    "/api/v1/namespaces/kube-system": {"metadata": {"name": "kube-system", "uid": "other"}},
    "/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt": {"data": {"ca.crt": CA}},
    "/api/v1/nodes": {"items": []},
    "/apis/apps/v1/daemonsets": {"items": []},
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        answer = ANSWERS.get(self.path.partition("?")[0])
        body = json.dumps(answer or {"kind": "Status", "code": 404}).encode()
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def other_cluster() -> Iterator[str]:
    """Serve it; gives its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
