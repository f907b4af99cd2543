"""How a kubelet comes by its client certificate: TLS bootstrap, or what an earlier run stored.

Source: Kubernetes ``pkg/kubelet/certificate/bootstrap``; the order of what wins is that seen on the
real kubelet.exe: a certificate store in ``--cert-dir`` beats the kubeconfig.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import yaml

from bootstrap.sandbox.cluster_client import ApiClient, ApiError, ApiUnreachable
from bootstrap.sandbox.windows_host.agents.certificates import (
    StoredPair,
    new_request,
    split_pair,
)
from bootstrap.sandbox.windows_host.agents.files import FileRefused, Kubeconfig, load_kubeconfig
from bootstrap.sandbox.windows_host.agents.kubelet_config import KubeletSettings
from bootstrap.sandbox.windows_host.agents.machine import Invocation, LookupFailed

_REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
_RETRY_S = 0.5
_POLL_S = 0.15
_SIGNING_TIMEOUT_S = 900.0
"""After 15 minutes a kubelet gives a request up and makes a new one."""


class Stopped(Exception):
    """The service was told to stop meanwhile."""


def client_identity(invocation: Invocation, settings: KubeletSettings) -> Kubeconfig:
    """Return the kubeconfig with which this kubelet speaks; asks for a certificate if need be.

    FileRefused when neither a kubeconfig nor a bootstrap kubeconfig can be used.
    """
    existing = _existing(invocation, settings)
    if existing is not None:
        return existing
    content = invocation.machine.read(settings.bootstrap_kubeconfig)
    if content is None:
        raise FileRefused(
            "failed to run Kubelet: unable to load bootstrap kubeconfig: stat "
            f"{settings.bootstrap_kubeconfig}: The system cannot find the file specified."
        )
    bootstrap = load_kubeconfig(content, invocation.machine.read)
    stored = _stored(invocation, settings)
    if stored is None:
        stored = _request_certificate(invocation, settings, bootstrap)
        _store(invocation, settings, stored)
    _write_kubeconfig(invocation, settings, bootstrap)
    return _with_pair(bootstrap, stored)


def _current(settings: KubeletSettings) -> str:
    return settings.cert_dir.rstrip("\\/") + r"\kubelet-client-current.pem"


def _stored(invocation: Invocation, settings: KubeletSettings) -> StoredPair | None:
    content = invocation.machine.read(_current(settings))
    return split_pair(content) if content is not None else None


def _existing(invocation: Invocation, settings: KubeletSettings) -> Kubeconfig | None:
    content = invocation.machine.read(settings.kubeconfig)
    if content is None:
        return None
    kubeconfig = load_kubeconfig(content, invocation.machine.read)
    stored = _stored(invocation, settings) if settings.rotate_certificates else None
    if stored is not None:
        return _with_pair(kubeconfig, stored)
    pair = split_pair((kubeconfig.certificate_pem + kubeconfig.key_pem).encode())
    if pair is None and settings.bootstrap_kubeconfig:
        invocation.log("I1101 bootstrap.go:265] Part of the existing bootstrap certificate expired")
        return None
    return kubeconfig


def _with_pair(kubeconfig: Kubeconfig, pair: StoredPair) -> Kubeconfig:
    return Kubeconfig(
        host=kubeconfig.host,
        port=kubeconfig.port,
        server_name=kubeconfig.server_name,
        ca_pem=kubeconfig.ca_pem,
        certificate_pem=pair.certificate_pem,
        key_pem=pair.key_pem,
    )


def _request_certificate(
    invocation: Invocation, settings: KubeletSettings, bootstrap: Kubeconfig
) -> StoredPair:
    """Ask until a certificate comes; wrong tokens and a silent API only make it ask again."""
    asked = new_request(settings.name)
    while not invocation.stop.is_set():
        try:
            client = invocation.machine.connect(bootstrap)
            name = str(client.post(_REQUESTS, asked.body())["metadata"]["name"])
            invocation.log(f"I1101 csr.go:261] certificate signing request {name} was created")
            certificate = _await_certificate(invocation, client, name)
        except (ApiError, ApiUnreachable, LookupFailed) as error:
            invocation.log(
                f"E1101 bootstrap.go:266] cannot create certificate signing request: {error}"
            )
            invocation.stop.wait(_RETRY_S)
            continue
        if certificate:
            return StoredPair(certificate_pem=certificate, key_pem=asked.key_pem)
        asked = new_request(settings.name)
    raise Stopped


def _await_certificate(invocation: Invocation, client: ApiClient, name: str) -> str:
    """Wait for the certificate; '' when the request was denied, failed, or waited for too long."""
    waited = 0.0
    while waited < _SIGNING_TIMEOUT_S:
        status = client.get(f"{_REQUESTS}/{name}").get("status") or {}
        if status.get("certificate"):
            return base64.b64decode(status["certificate"]).decode()
        if refused := _refusal(status):
            invocation.log(
                f"E1101 certificate_manager.go:562] certificate request {name} was not signed: "
                f"{refused}"
            )
            invocation.stop.wait(_RETRY_S * 4)
            return ""
        if invocation.stop.wait(_POLL_S):
            raise Stopped
        waited += _POLL_S
    invocation.log(f"E1101 csr.go:300] timed out waiting for {name}")
    return ""


def _refusal(status: dict[str, Any]) -> str:
    for condition in status.get("conditions") or []:
        if condition.get("type") in ("Denied", "Failed"):
            return f"{condition['type']}: {condition.get('reason')} {condition.get('message')}"
    return ""


def _store(invocation: Invocation, settings: KubeletSettings, pair: StoredPair) -> None:
    content = (pair.certificate_pem.rstrip() + "\n" + pair.key_pem).encode()
    stamp = f"{datetime.now(UTC):%Y-%m-%d-%H-%M-%S}"
    folder = settings.cert_dir.rstrip("\\/")
    invocation.machine.write(rf"{folder}\kubelet-client-{stamp}.pem", content)
    invocation.machine.write(_current(settings), content)


def _write_kubeconfig(
    invocation: Invocation, settings: KubeletSettings, bootstrap: Kubeconfig
) -> None:
    current = _current(settings)
    cluster = {
        "server": f"https://{bootstrap.host}:{bootstrap.port}",
        "certificate-authority-data": base64.b64encode(bootstrap.ca_pem.encode()).decode(),
    }
    if bootstrap.server_name != bootstrap.host:
        cluster["tls-server-name"] = bootstrap.server_name
    user = {"client-certificate": current, "client-key": current}
    context = {"cluster": "default-cluster", "namespace": "default", "user": "default-auth"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default-cluster", "cluster": cluster}],
        "contexts": [{"name": "default-context", "context": context}],
        "current-context": "default-context",
        "users": [{"name": "default-auth", "user": user}],
    }
    text = yaml.safe_dump(document, sort_keys=False)
    invocation.machine.write(settings.kubeconfig, text.encode())
