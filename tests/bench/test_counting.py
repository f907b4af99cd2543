"""How the benchmark counts: per task, per node, against the goals; and how it compares states."""

from __future__ import annotations

from pathlib import Path

import yaml

from bench.__main__ import options
from bench.controller import PLAYBOOK, prepare
from bench.counting import FIRST, Row, heading, line, per_task, task_lines, verdicts
from bench.hosts import Host, TimedCounters
from bench.node import deepest, ours, stock
from bench.state import differences
from bootstrap.resources import data_path

HOST = Host(name="bench-1", address="127.250.0.10", password="x", certificate="PEM\n")


def row(kind: str = "ours", hosts: int = 1, **change: float) -> Row:
    numbers = {"requests": 100.0, "kilobytes": 1.0, "cpu_s": 4.0, "wall_s": 10.0} | change
    return Row(kind=kind, hosts=hosts, latency_ms=0, **numbers)


def test_a_request_belongs_to_the_task_that_started_last() -> None:
    log = [(0.5, 1024), (1.0, 1024), (1.5, 2048), (2.5, 1024)]
    tasks = per_task([(1.0, "first"), (2.0, "second")], log)
    found = [(task.name, task.requests, task.kilobytes) for task in tasks]
    assert found == [(FIRST, 1, 1.0), ("first", 2, 3.0), ("second", 1, 1.0)]


def test_tasks_of_one_name_are_one_line_and_those_without_requests_none() -> None:
    starts = [(1.0, "copy"), (2.0, "idle"), (3.0, "copy")]
    (task,) = per_task(starts, [(1.5, 0), (3.5, 0)])
    assert (task.name, task.requests) == ("copy", 2)


def test_the_most_expensive_task_is_shown_first() -> None:
    tasks = per_task([(1.0, "cheap"), (2.0, "dear")], [(1.5, 0), (2.5, 0), (2.6, 0)])
    lines = task_lines(Row(kind="ours", hosts=1, latency_ms=0, tasks=tasks))
    assert [text.split()[-1] for text in lines] == ["dear", "cheap"]


def test_the_goals_are_judged_where_both_playbooks_were_measured() -> None:
    found = verdicts([row(), row("stock", requests=500.0, cpu_s=5.0), row(hosts=10)])
    assert found == [
        "requests, 1 hosts, 0 ms: 0.20 (goal 0.20: met)",
        "CPU, 1 hosts, 0 ms: 0.80 (goal 0.50: MISSED)",
    ]


def test_fifty_hosts_are_judged_by_the_wall_time_of_one() -> None:
    (found,) = verdicts([row(), row(hosts=50, wall_s=45.0)])
    assert found == "wall time, 50 hosts against one, 0 ms: 4.50 (goal 4.00: MISSED)"


def test_a_measurement_that_failed_is_said_and_not_judged() -> None:
    failed = Row(kind="stock", hosts=1, latency_ms=0, failure="ended after 9 s")
    assert "not measured: ended after 9 s" in line(failed)
    assert verdicts([row(), failed]) == []


def test_the_columns_of_the_table_stand_below_each_other() -> None:
    assert len(line(row())) == len(heading())


def test_timed_counters_count_as_plain_ones_and_keep_the_sizes() -> None:
    counters = TimedCounters()
    counters.add(3, 4)
    counters.add(1, 1)
    assert (counters.requests, counters.bytes_in, counters.bytes_out) == (2, 4, 5)
    assert [size for _, size in counters.log] == [7, 2]


def test_two_states_are_compared_both_ways() -> None:
    mine = {"file a": "1", "access to a": "all", "folder x": "", "power plan": "High"}
    other = {"folder x": "", "power plan": "Balanced", "file b": "2"}
    assert differences(mine, other) == [
        "not the same: power plan",
        "only ours: file a",
        "only stock: file b",
    ]


def test_folders_that_come_with_others_are_not_asked_for() -> None:
    assert deepest([r"C:\k", r"C:\K\cni", r"C:\k\cni", r"C:\kx"]) == [r"C:\k\cni", r"C:\kx"]


def test_the_stock_playbook_writes_the_same_files_and_services() -> None:
    mine = ours(HOST)
    other = stock(mine)
    written = [*mine["container_runtime_files"]["files"], *mine["kubelet_files"]["files"]]
    assert other["bench_files"] == written
    assert [item["name"] for item in other["bench_services"]] == ["containerd", "kubelet"]
    assert len(other["bench_downloads"]) == 5


def test_our_side_runs_the_very_roles_of_add_node(tmp_path) -> None:
    playbooks = prepare(tmp_path)
    named = yaml.safe_load((playbooks / PLAYBOOK).read_text())[0]["roles"]
    for role in named:
        tasks = Path("roles") / role / "tasks/main.yml"
        assert (playbooks / tasks).read_bytes() == (data_path("playbooks") / tasks).read_bytes()


def test_quick_is_one_host_without_latency() -> None:
    chosen = options(["--quick"])
    assert (chosen.hosts, chosen.latency_ms) == ([1], [0])
