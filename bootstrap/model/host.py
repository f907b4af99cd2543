"""How a Windows host is reached, and what a playbook run on it looks like from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bootstrap.model.node import NodeName
from bootstrap.model.secret import Secret

WINRM_TLS_PORT = 5986
FINGERPRINT_MARK = "BOOTSTRAP-WINRM-CERT-SHA256"
"""User data prints ``<mark> <sha256 of the DER, 64 hex digits>`` on a line of the EC2 console."""
SCRIPT_LOADER = r"""$ProgressPreference = 'SilentlyContinue'
[Console]::OutputEncoding = New-Object -TypeName System.Text.UTF8Encoding -ArgumentList $false
try {
    $text = @($input) -join ''
    if (-not $text) { $text = [Console]::In.ReadToEnd() }
    $job = ConvertFrom-Json -InputObject $text
    & ([scriptblock]::Create($job.script)) -Request $job.request
}
catch {
    [Console]::Error.WriteLine($_.Exception.Message)
    exit 1
}
"""
"""PowerShell that runs a script of ours, given as JSON (``script``, ``request``) on standard input.

A command line of WinRM holds 8191 characters at most, which no script of ours fits in.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTarget:
    """A host that may be logged in to: its certificate is pinned.

    ``ca_pem`` is the host's own certificate, fetched by a handshake and compared with the
    fingerprint that the EC2 console shows; nothing else is trusted for this host.
    """

    node: NodeName
    host: str
    ca_pem: str
    user: str
    password: Secret
    port: int = WINRM_TLS_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookHost:
    """One host of a playbook run with its variables; values may hold Secrets at any depth."""

    target: HostTarget
    variables: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookRun:
    """One run of one of our playbooks over hosts that are reachable together."""

    playbook: str
    """File name below ``playbooks/``, for instance ``windows_node.yml``."""
    hosts: tuple[PlaybookHost, ...]
    check: bool = False
    forks: int = 20
    verbosity: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted:
    """A task began on one host; ``role`` is '' for tasks of the play itself."""

    node: NodeName
    role: str
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFinished:
    """A task ended well on one host."""

    node: NodeName
    role: str
    task: str
    changed: bool
    skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed:
    """A task failed on one host, or it could not be reached; the run goes on for the others."""

    node: NodeName
    role: str
    task: str
    message: str
    unreachable: bool = False
    result: Mapping[str, object] = field(default_factory=dict)
    """The module's result, secrets removed by ``no_log``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookEnded:
    """The run is over; ``failed`` are the hosts that did not come through."""

    ok: tuple[NodeName, ...]
    failed: tuple[NodeName, ...]
    log_path: str = ""


PlaybookEvent = TaskStarted | TaskFinished | TaskFailed | PlaybookEnded
