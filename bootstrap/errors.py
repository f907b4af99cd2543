"""The errors that a user of ``bootstrap`` can meet, and the exit code of each.

The tree::

    BootstrapError          70  a bug, unless a child says otherwise
      UsageError            64  the command line or the configuration
      RefusedError           3  preflight or validation said no; carries findings
      SafetyStop             5  a limit or circuit breaker
      DeadlineError          6  a deadline passed
      RemoteError           69  AWS, Kubernetes, WinRM or SSH unreachable, or said no
        NotFoundError       69  ... because the thing is not there
      LockedError           75  another run holds the lock
      AccessError           77  credentials, permission, host key or certificate refused
      Interrupted          130  SIGINT (or 143, SIGTERM)

Adapters turn library errors into these at the call; ``cli.main`` turns these into text and exit
code.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What ``bootstrap`` ends with. The table for users is in docs/architecture.md."""

    OK = 0
    CHANGES_PENDING = 2
    REFUSED = 3
    PARTIAL = 4
    SAFETY_STOP = 5
    DEADLINE = 6
    USAGE = 64
    REMOTE = 69
    BUG = 70
    LOCKED = 75
    ACCESS = 77
    INTERRUPTED = 130
    TERMINATED = 143


class BootstrapError(Exception):
    """Say what failed, where, with which evidence, and what to type next."""

    exit_code: ExitCode = ExitCode.BUG

    def __init__(
        self,
        message: str,
        *,
        target: str = "",
        evidence: str = "",
        fix: str = "",
        command: str = "",
        name: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.target = target
        self.evidence = evidence
        self.fix = fix
        self.command = command
        self.name = name
        """The finding's CamelCase name, where the error is one that users quote."""


class UsageError(BootstrapError):
    """The command line or the configuration is wrong."""

    exit_code = ExitCode.USAGE


class RefusedError(BootstrapError):
    """Preflight or validation said no."""

    exit_code = ExitCode.REFUSED


class SafetyStop(BootstrapError):
    """A limit or circuit breaker stopped the run."""

    exit_code = ExitCode.SAFETY_STOP


class DeadlineError(BootstrapError):
    """A deadline passed; the message says what was awaited, the evidence the last state seen."""

    exit_code = ExitCode.DEADLINE


class RemoteError(BootstrapError):
    """AWS, Kubernetes, WinRM or SSH could not be reached, or said no."""

    exit_code = ExitCode.REMOTE


class NotFoundError(RemoteError):
    """The other side answered, and the thing is not there."""


class ConflictError(RemoteError):
    """The other side refused because the thing exists or has changed meanwhile."""


class LockedError(BootstrapError):
    """Another run holds the lock."""

    exit_code = ExitCode.LOCKED


class AccessError(BootstrapError):
    """Credentials, permission, host key or certificate were refused."""

    exit_code = ExitCode.ACCESS


class Interrupted(BootstrapError):
    """The user or the system asked us to stop."""

    exit_code = ExitCode.INTERRUPTED
