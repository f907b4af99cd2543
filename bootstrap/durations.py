"""Durations as people write them, on the command line and in the config file."""

from __future__ import annotations

import re

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}
_NUMBER = r"\d+(?:\.\d+)?"
_DURATION = re.compile(rf"(?:{_NUMBER}[smh])+")


def duration_seconds(text: str) -> float | None:
    """Read ``25m``, ``1h30m``, ``90s`` or ``45`` as seconds; None when it is no duration."""
    text = text.strip()
    if re.fullmatch(_NUMBER, text):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    parts = re.findall(rf"({_NUMBER})([smh])", text)
    return sum(float(amount) * _UNIT_SECONDS[unit] for amount, unit in parts)
