"""What host, agents and renderings of our scripts ask of each other.

``scripts/README.md`` has each script's JSON.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptOutcome:
    """The script's JSON answer, or the text that it throws (it begins with a code like WN0202)."""

    answer: dict[str, Any] = field(default_factory=dict)
    error: str = ""


ScriptRendering = Callable[["WindowsHost", dict[str, Any], bool], ScriptOutcome]
"""Takes the host, the parsed ``-Request``, and whether to change nothing (``-WhatIf``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRun:
    """One run of a service's process."""

    host: WindowsHost
    service: str
    command_line: str
    """ImagePath of the service, arguments included."""
    environment: Mapping[str, str]
    """The machine's variables and over them the service's own."""
    stop: threading.Event
    """Set when the process has to end: the service is stopped, or the host goes down."""
    log: Callable[[str], None]
    """Takes a line of stderr; it lands in the host's event list."""


Agent = Callable[[AgentRun], int]
"""Runs until it ends by itself or is told to stop; returns the exit code.

Looked up in ``agents.AGENTS`` by the lower-case base name of the executable (``kubelet.exe``).
"""
