"""What the tool itself takes: ``--help``, and ``sandbox up`` with its memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap.resources import data_path

COMMAND = (sys.executable, "-m", "bootstrap")
HELP_RUNS = 7
SANDBOX_LIMIT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox that came up: how long it took, and what all its processes hold."""

    up_s: float
    memory_mb: float
    """Proportional set size (shared pages are counted once), in MiB."""


def help_seconds() -> float:
    """Return the median wall time of ``bootstrap --help`` as a whole process."""
    times = []
    for _ in range(HELP_RUNS):
        started = time.monotonic()
        subprocess.run([*COMMAND, "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.monotonic() - started)
    return statistics.median(times)


def sandbox() -> Sandbox | str:
    """Bring a sandbox up on the store that ships with the project; says why it did not come up."""
    name = ("--name", f"bench-{os.getpid()}")
    store = ("--store", str(data_path("config") / "demo-store"))
    started = time.monotonic()
    try:
        up = subprocess.run(
            [*COMMAND, "sandbox", "up", *store, *name, "--detach", "-o", "json"],
            capture_output=True,
            check=False,
            text=True,
            timeout=SANDBOX_LIMIT_S,
        )
        seconds = time.monotonic() - started
        if up.returncode:
            return up.stderr.strip().splitlines()[-1] if up.stderr.strip() else "it failed"
        pid = int(json.loads(up.stdout)["pid"])
        return Sandbox(up_s=seconds, memory_mb=sum(map(_proportional_kb, _tree(pid))) / 1024)
    except subprocess.TimeoutExpired:
        return f"it was not up after {SANDBOX_LIMIT_S} s"
    finally:
        subprocess.run([*COMMAND, "sandbox", "down", *name], capture_output=True, check=False)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in file.read_text().split():
            yield from _tree(int(child))


def _proportional_kb(pid: int) -> int:
    for text in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if text.startswith("Pss:"):
            return int(text.split()[1])
    return 0
