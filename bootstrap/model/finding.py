"""A finding: one thing a check saw, named so that a user can quote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is; only an ERROR stops a run."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class CheckResult(StrEnum):
    """How one check ended."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or worth knowing, with its evidence and the way out.

    ``name`` is CamelCase and stable (``FlannelVniPort``); ``command`` can be typed as it is.
    """

    level: Level
    name: str
    target: str
    message: str
    evidence: Mapping[str, object] = field(default_factory=dict)
    fix: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """That a check was made, how it ended, and how long it took."""

    name: str
    result: CheckResult
    target: str
    seconds: float = 0.0
    reason: str = ""
    findings: tuple[Finding, ...] = ()


def has_errors(findings: Iterable[Finding]) -> bool:
    """Tell whether any finding is an error."""
    return any(finding.level is Level.ERROR for finding in findings)
