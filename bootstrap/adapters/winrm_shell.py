"""WinRM over TLS with pywinrm, as far as it is needed outside a playbook.

A host is trusted by its own certificate, which the caller has compared with the EC2 console, and by
nothing else: no system store, no proxy, no variable of the environment, never an unchecked login.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import requests
from winrm import exceptions
from winrm.protocol import Protocol

from bootstrap.errors import AccessError, RemoteError
from bootstrap.model.host import SCRIPT_LOADER, HostTarget

CONNECT_TIMEOUT_S: Final = 5.0
# Windows answers one operation within 20 s, or says that it has timed out (MS-WSMV).
OPERATION_TIMEOUT_S: Final = 20
READ_TIMEOUT_S: Final = OPERATION_TIMEOUT_S + 10
# A first login makes the user's profile; the slowest seen took some tens of seconds.
LOGIN_TIMEOUT_S: Final = 120.0
SCRIPT_TIMEOUT_S: Final = 300.0
# A message holds 500 KB at most (MaxEnvelopeSizekb of WinRM); base64 takes a third more.
_CHUNK: Final = 128 * 1024
_UTF_8: Final = 65001


class WinRmShell:
    """Implement ``ports.RemoteShell``; holds no connection between calls."""

    def is_reachable(self, host: str, port: int) -> bool:
        """Tell whether TCP connects within five seconds."""
        try:
            socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
        except OSError:
            return False
        return True

    def certificate(self, host: str, port: int) -> str:
        """Fetch the certificate (PEM) of a TLS handshake, trusting nothing and sending nothing."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with (
                socket.create_connection((host, port), CONNECT_TIMEOUT_S) as plain,
                context.wrap_socket(plain, server_hostname=host) as secured,
            ):
                shown = secured.getpeercert(binary_form=True)
        except OSError as exc:  # ssl.SSLError is one, too
            raise RemoteError(
                f"no TLS handshake with {host}:{port}",
                name="WinRmUnreachable",
                target=host,
                evidence=f"{type(exc).__name__}: {exc}",
                fix="look whether the host is up, and whether its security group lets you in",
            ) from exc
        if not shown:
            raise RemoteError(f"{host}:{port} showed no certificate", target=host)
        return ssl.DER_cert_to_PEM_cert(shown)

    def check_login(self, target: HostTarget) -> str:
        """Run ``hostname`` over the pinned certificate and return the computer name."""
        with _pinned(target) as trust, _translated(target):
            client = _client(target, trust)
            try:
                return _hostname(client)
            finally:
                client.transport.close_session()

    def run_script(
        self, target: HostTarget, script: str, request: Mapping[str, object]
    ) -> dict[str, object]:
        """Run a script of ours in one command and return its answer."""
        job = {"script": script, "request": json.dumps(request)}
        with _pinned(target) as trust, _translated(target):
            client = _client(target, trust)
            try:
                output, errors, code = _powershell(client, json.dumps(job).encode("ascii"))
            finally:
                client.transport.close_session()
        return _answer(target, output, errors, code)


def _answer(target: HostTarget, output: bytes, errors: bytes, code: int) -> dict[str, object]:
    lines = output.decode("utf-8", errors="replace").strip().splitlines()
    try:
        found = json.loads(lines[-1]) if code == 0 and lines else None
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    shown = errors.decode("utf-8", errors="replace").strip()
    raise RemoteError(
        f"a script failed on {target.host}",
        name="NodeScriptFailed",
        target=target.host,
        evidence=(shown or f"it ended with {code} and no answer")[:2000],
        fix="see the table of codes in scripts/README.md",
    )


def _powershell(client: Protocol, data: bytes) -> tuple[bytes, bytes, int]:
    """Run the loader of ``model.host`` with its input."""
    encoded = base64.b64encode(SCRIPT_LOADER.encode("utf-16-le")).decode("ascii")
    line = f"powershell.exe -NoProfile -NonInteractive -EncodedCommand {encoded}"
    shell = client.open_shell(codepage=_UTF_8)
    try:
        command = client.run_command(shell, line)
        for start in range(0, len(data), _CHUNK):
            is_last = start + _CHUNK >= len(data)
            client.send_command_input(shell, command, data[start : start + _CHUNK], end=is_last)
        ended = _output(client, shell, command, SCRIPT_TIMEOUT_S)
        client.cleanup_command(shell, command)
    finally:
        with contextlib.suppress(exceptions.WinRMError, exceptions.WinRMTransportError, OSError):
            client.close_shell(shell, close_session=False)
    return ended


@contextlib.contextmanager
def _pinned(target: HostTarget) -> Iterator[Path]:
    """Put the certificate into a file that only this user can read, since requests wants a path."""
    with tempfile.TemporaryDirectory(prefix="bootstrap-winrm-") as folder:
        path = Path(folder) / "host.pem"
        path.write_text(target.ca_pem, encoding="ascii")
        yield path


def _client(target: HostTarget, trust: Path) -> Protocol:
    return Protocol(
        f"https://{target.host}:{target.port}/wsman",
        transport="ntlm",
        username=target.user,
        password=target.password.reveal(),
        server_cert_validation="validate",
        ca_trust_path=str(trust),
        operation_timeout_sec=OPERATION_TIMEOUT_S,
        read_timeout_sec=READ_TIMEOUT_S,
        proxy=None,
    )


def _hostname(client: Protocol) -> str:
    shell = client.open_shell()
    try:
        command = client.run_command(shell, "hostname")
        output, errors, code = _output(client, shell, command)
        client.cleanup_command(shell, command)
    finally:
        # What went wrong before says more than a shell that cannot be closed.
        with contextlib.suppress(exceptions.WinRMError, exceptions.WinRMTransportError, OSError):
            client.close_shell(shell, close_session=False)
    if code != 0:
        raise RemoteError(f"hostname ended with {code}", evidence=errors.decode(errors="replace"))
    return output.decode("utf-8", errors="replace").strip()


def _output(
    client: Protocol, shell: str, command: str, timeout_s: float = LOGIN_TIMEOUT_S
) -> tuple[bytes, bytes, int]:
    """Collect output; pywinrm's own loop would wait for ever."""
    output, errors = b"", b""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(exceptions.WinRMOperationTimeoutError):
            part, wrong, code, done = client.get_command_output_raw(shell, command)
            output, errors = output + part, errors + wrong
            if done:
                return output, errors, code
    raise RemoteError(f"a command gave no answer in {timeout_s:.0f} s")


@contextlib.contextmanager
def _translated(target: HostTarget) -> Iterator[None]:
    try:
        yield
    except exceptions.InvalidCredentialsError as exc:
        raise _refused_login(target, "HTTP 401") from exc
    except requests.exceptions.SSLError as exc:
        raise AccessError(
            f"{target.host} does not show the certificate that was pinned for it",
            name="WinRmCertificateMismatch",
            target=target.host,
            evidence=str(exc),
            fix="something else answers on that address; do not log in",
        ) from exc
    except exceptions.WinRMTransportError as exc:
        if exc.code in (401, 403):
            raise _refused_login(target, f"HTTP {exc.code}") from exc
        raise _failed(target, f"HTTP {exc.code}: {exc.message}") from exc
    except (exceptions.WinRMError, exceptions.WinRMOperationTimeoutError, OSError) as exc:
        # requests' exceptions are OSErrors.
        raise _failed(target, f"{type(exc).__name__}: {exc}") from exc


def _refused_login(target: HostTarget, evidence: str) -> AccessError:
    return AccessError(
        f"{target.host} refused the login of {target.user}",
        name="WinRmLoginRefused",
        target=target.host,
        evidence=evidence,
        fix="the password that EC2 gave is not, or no longer, the account's; replace the node",
    )


def _failed(target: HostTarget, evidence: str) -> RemoteError:
    return RemoteError(
        f"WinRM on {target.host}:{target.port} failed",
        name="WinRmFailed",
        target=target.host,
        evidence=evidence,
        fix="run the command again: it continues where it was",
    )
