"""What a rendering of one of our scripts answers; see ``scripts/README.md`` for each one's JSON."""

from __future__ import annotations

from collections.abc import Callable
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
