"""``python -m bench``: WSMan requests, bytes, CPU and wall time, ours beside stock Ansible."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import tool
from bench.counting import KINDS, Row, heading, line, task_lines, verdicts
from bench.measuring import Wanted, measure
from bench.state import differences

RESULTS = Path(__file__).resolve().parent / "results" / "latest.json"
LIMIT_S = 900.0
NOT_COMPARED = (
    "network_prepare, flannel_overlay, kube_proxy, images: HNS, its source VIP and ctr have no"
    " stock module",
)
"""Parts of add-node's playbook that neither side does here."""


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--hosts", default="1,10,50", type=_numbers, help="how many at a time")
    parser.add_argument("--latency-ms", default="0,100", type=_numbers, help="of each request")
    parser.add_argument("--limit-s", default=LIMIT_S, type=float, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="one host, no latency, no sandbox")
    found = parser.parse_args(arguments)
    if found.quick:
        found.hosts, found.latency_ms = [1], [0]
    return found


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    """Measure and print; what was measured is written even when the rest is interrupted."""
    chosen = options()
    document: dict[str, object] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "not_compared": NOT_COMPARED,
    }
    try:
        _playbooks(chosen, document)
        _tool(chosen, document)
    finally:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"\nwritten to {RESULTS}")


def _playbooks(chosen: argparse.Namespace, document: dict[str, object]) -> None:
    rows: list[Row] = []
    states: dict[str, dict[str, str]] = {}
    print(heading(), flush=True)
    # Few hosts first, so that a run that is ended early has told most.
    for hosts in sorted(chosen.hosts):
        for latency in chosen.latency_ms:
            for kind in KINDS:
                wanted = Wanted(kind=kind, hosts=hosts, latency_ms=latency, limit_s=chosen.limit_s)
                row, state = measure(wanted)
                rows.append(row)
                if not row.failure:
                    states.setdefault(kind, state)
                document["rows"] = [asdict(item) for item in rows]
                print(line(row), flush=True)
    for row in [row for row in rows if row.tasks and row.latency_ms == min(chosen.latency_ms)]:
        print(f"\n{row.kind}, one host: requests, KiB, task")
        print("\n".join(task_lines(row)))
    if len(states) == len(KINDS):
        found = differences(states["ours"], states["stock"])
        document["differences"] = found
        print("\nWhere the two end states differ:", *found or ["nowhere"], sep="\n  ")
    print("\nNot done by either:", *NOT_COMPARED, sep="\n  ")
    document["goals"] = verdicts(rows)
    print("\nAgainst the goals:", *verdicts(rows), sep="\n  ", flush=True)


def _tool(chosen: argparse.Namespace, document: dict[str, object]) -> None:
    seconds = tool.help_seconds()
    document["help_s"] = seconds
    print(f"\nbootstrap --help: {seconds:.2f} s (median of {tool.HELP_RUNS})", flush=True)
    found = "left out" if chosen.quick else tool.sandbox()
    if isinstance(found, str):
        document["sandbox"] = None
        print(f"bootstrap sandbox up: not measured: {found}")
        return
    document["sandbox"] = asdict(found)
    print(f"bootstrap sandbox up: {found.up_s:.1f} s, {found.memory_mb:.0f} MiB in all processes")


if __name__ == "__main__":
    main()
