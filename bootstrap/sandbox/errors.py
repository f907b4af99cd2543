"""What can go wrong while a sandbox starts or is asked; exit codes are ``bootstrap.errors``'."""

from __future__ import annotations

from bootstrap.errors import BootstrapError, RemoteError, UsageError


class StoreError(UsageError):
    """The folder given with ``--store`` is missing, or is not a kops state store."""


class SandboxRunningError(UsageError):
    """A sandbox of that name runs already, on another store."""


class NoSandboxError(UsageError):
    """No sandbox of that name runs."""


class UnknownFaultError(UsageError):
    """There is no fault of that name, or it cannot be set on one node."""


class ProgramsError(RemoteError):
    """The control-plane programs are not at hand and could not be got."""


class StartError(RemoteError):
    """A part of the sandbox did not come up; the evidence is the end of its log."""


class UnsupportedBySandbox(BootstrapError):
    """Something asked the simulated world for what it does not imitate; never answered "ok"."""
