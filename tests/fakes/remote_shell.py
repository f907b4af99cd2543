"""WinRM without a network: hosts are rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bootstrap.errors import AccessError, BootstrapError, RemoteError
from bootstrap.model.host import HostTarget


@dataclass(kw_only=True)
class FakeHost:
    """One host that answers."""

    certificate: str
    password: str
    computer_name: str = "EC2AMAZ-0000001"
    answers: list[dict[str, object] | BootstrapError] = field(default_factory=list)
    """What scripts answer or fail with, in their order."""


@dataclass(kw_only=True)
class FakeRemoteShell:
    """Implements ``ports.RemoteShell``; ``failure`` is raised by every call while it is set."""

    hosts: dict[str, FakeHost] = field(default_factory=dict)
    failure: BootstrapError | None = None
    logins: list[str] = field(default_factory=list)

    def is_reachable(self, host: str, port: int) -> bool:
        return host in self.hosts

    def certificate(self, host: str, port: int) -> str:
        return self._host(host, port).certificate

    def check_login(self, target: HostTarget) -> str:
        host = self._host(target.host, target.port)
        if host.certificate.strip() != target.ca_pem.strip():
            raise AccessError(
                f"{target.host} shows another certificate",
                name="WinRmCertificateMismatch",
                target=target.host,
            )
        if host.password != target.password.reveal():
            raise AccessError(
                f"{target.host} refused the login of {target.user}",
                name="WinRmLoginRefused",
                target=target.host,
            )
        self.logins.append(target.host)
        return host.computer_name

    def run_script(
        self, target: HostTarget, script: str, request: Mapping[str, object]
    ) -> dict[str, object]:
        self.check_login(target)
        answer = self.hosts[target.host].answers.pop(0)
        if isinstance(answer, BootstrapError):
            raise answer
        return answer

    def _host(self, host: str, port: int) -> FakeHost:
        if self.failure is not None:
            raise self.failure
        if host not in self.hosts:
            raise RemoteError(f"no TLS handshake with {host}:{port}", target=host)
        return self.hosts[host]
