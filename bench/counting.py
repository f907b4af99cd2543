"""What was measured, as numbers per node, per task and against the goals. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

KINDS = ("ours", "stock")
FIRST = "(before the first task)"
REQUESTS_GOAL, CPU_GOAL, WALL_GOAL = 1 / 5, 1 / 2, 4.0
"""Of stock's requests, of stock's CPU, and of 50 hosts' wall time in that of one."""
MANY = 50
_HEAD = (
    "latency  hosts  playbook  requests/node  KiB/node  CPU s/node  wall s/node  wall s"
    "  hosts' CPU s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one task cost the first host."""

    name: str
    requests: int
    kilobytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement; ``failure`` says why there is none."""

    kind: str
    hosts: int
    latency_ms: int
    requests: float = 0.0
    """WSMan requests per node."""
    kilobytes: float = 0.0
    """KiB of WSMan messages per node, both ways, without HTTP heads and TLS."""
    cpu_s: float = 0.0
    """CPU of the controller and its children per node."""
    wall_s: float = 0.0
    """Wall time of the whole run."""
    hosts_cpu_s: float = 0.0
    """CPU of the process with the simulated hosts, all together."""
    load: float = 0.0
    """The machine's load average of a minute, just before."""
    failure: str = ""
    tasks: tuple[Task, ...] = field(default=())

    @property
    def key(self) -> tuple[str, int, int]:
        """What was measured."""
        return (self.kind, self.hosts, self.latency_ms)


def per_task(
    starts: Sequence[tuple[float, str]], log: Iterable[tuple[float, int]]
) -> tuple[Task, ...]:
    """Give each request to the task that had started last when it was answered.

    ``starts`` are times and names in order, ``log`` times and bytes. Tasks of one name are summed.
    """
    names = [FIRST, *(name for _, name in starts)]
    requests, sizes = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for moment, size in log:
        begun = sum(start <= moment for start, _ in starts)
        requests[names[begun]] += 1
        sizes[names[begun]] += size
    return tuple(
        Task(name=name, requests=count, kilobytes=sizes[name] / 1024)
        for name, count in requests.items()
        if count
    )


def heading() -> str:
    """Return the first line of the table."""
    return _HEAD


def line(row: Row) -> str:
    """Return a measurement as a line of the table."""
    start = f"{row.latency_ms:4} ms  {row.hosts:5}  {row.kind:8}"
    if row.failure:
        return f"{start}  not measured: {row.failure}"
    return (
        f"{start}  {row.requests:13.1f}  {row.kilobytes:8.0f}  {row.cpu_s:10.2f}"
        f"  {row.wall_s / row.hosts:11.1f}  {row.wall_s:6.1f}  {row.hosts_cpu_s:12.1f}"
    )


def task_lines(row: Row) -> list[str]:
    """Return where the requests of a measurement went, the most expensive task first."""
    ordered = sorted(row.tasks, key=lambda task: -task.requests)
    return [f"{task.requests:6}  {task.kilobytes:8.0f}  {task.name}" for task in ordered]


def verdicts(rows: Sequence[Row]) -> list[str]:
    """Compare with the goals whatever was measured on both sides."""
    found = {row.key: row for row in rows if not row.failure}
    lines = []
    for row in found.values():
        stock = found.get(("stock", row.hosts, row.latency_ms))
        if row.kind == "ours" and stock is not None:
            where = f"{row.hosts} hosts, {row.latency_ms} ms"
            lines.append(
                _verdict(f"requests, {where}", row.requests / stock.requests, REQUESTS_GOAL)
            )
            lines.append(_verdict(f"CPU, {where}", row.cpu_s / stock.cpu_s, CPU_GOAL))
    for row in found.values():
        one = found.get(("ours", 1, row.latency_ms))
        if row.kind == "ours" and row.hosts == MANY and one is not None:
            where = f"{MANY} hosts against one, {row.latency_ms} ms"
            lines.append(_verdict(f"wall time, {where}", row.wall_s / one.wall_s, WALL_GOAL))
    return lines


def _verdict(what: str, ratio: float, goal: float) -> str:
    verdict = "met" if ratio <= goal else "MISSED"
    return f"{what}: {ratio:.2f} (goal {goal:.2f}: {verdict})"
