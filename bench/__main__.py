"""``python -m bench``: WSMan requests, bytes, CPU and wall time, ours beside stock Ansible."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.hosts import fleet

RESULTS = Path(__file__).resolve().parent / "results" / "latest.json"
KINDS = ("ours", "stock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement, per node but for ``wall_s``."""

    kind: str
    hosts: int
    latency_ms: int
    requests: float
    kilobytes: float
    cpu_s: float
    wall_s: float


def measure(kind: str, hosts: int, latency_ms: int) -> Row:
    """Run one playbook over fresh hosts."""
    with fleet(hosts, latency_ms / 1000) as running:
        given = json.dumps([asdict(host) for host in running.hosts])
        before, started = running.counters(), time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.controller", kind], stdin=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(given)
        process.stdin.close()
        # wait4 gives what the whole tree of waited-for children used.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{kind} with {hosts} hosts ended with {process.returncode}")
        after = running.counters()
    return Row(
        kind=kind,
        hosts=hosts,
        latency_ms=latency_ms,
        requests=(after[0] - before[0]) / hosts,
        kilobytes=(after[1] - before[1]) / 1024 / hosts,
        cpu_s=(usage.ru_utime + usage.ru_stime) / hosts,
        wall_s=wall,
    )


def help_seconds(runs: int = 7) -> float:
    """Return the median wall time of ``bootstrap --help``."""
    times = []
    for _ in range(runs):
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "bootstrap", "--help"], stdout=subprocess.DEVNULL, check=True
        )
        times.append(time.monotonic() - started)
    return statistics.median(times)


def sandbox_seconds() -> float | None:
    """Return how long ``sandbox up`` takes, None where it does not come up."""
    from bootstrap.resources import data_path

    name = f"bench-{os.getpid()}"
    command = [sys.executable, "-m", "bootstrap", "sandbox"]
    store = str(data_path("config") / "demo-store")
    started = time.monotonic()
    up = subprocess.run(
        [*command, "up", "--store", store, "--detach", "--name", name],
        capture_output=True,
        check=False,
    )
    seconds = time.monotonic() - started
    subprocess.run([*command, "down", "--name", name], capture_output=True, check=False)
    return seconds if up.returncode == 0 else None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--hosts", default="1,10,50")
    parser.add_argument("--latency-ms", default="0,100")
    arguments = parser.parse_args()
    rows = []
    print("playbook  hosts  latency  requests/node  KiB/node  CPU s/node  wall s")
    for latency in map(int, arguments.latency_ms.split(",")):
        for hosts in map(int, arguments.hosts.split(",")):
            for kind in KINDS:
                row = measure(kind, hosts, latency)
                rows.append(row)
                print(
                    f"{row.kind:8}  {row.hosts:5}  {row.latency_ms:4} ms  {row.requests:13.1f}"
                    f"  {row.kilobytes:8.0f}  {row.cpu_s:10.2f}  {row.wall_s:6.1f}",
                    flush=True,
                )
    shown = help_seconds()
    up = sandbox_seconds()
    print(f"bootstrap --help: {shown:.2f} s (median)")
    print(f"bootstrap sandbox up: {up:.1f} s" if up else "bootstrap sandbox up: not measured")
    RESULTS.parent.mkdir(exist_ok=True)
    document = {"rows": [asdict(row) for row in rows], "help_s": shown, "sandbox_up_s": up}
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
