"""People interrupt, machines kill, two run at once: the same command goes on where it stopped.

Each test interrupts one pool again and again; every run finds what the one before it left.
"""

from __future__ import annotations

import signal
from pathlib import Path

from tests.functional.conftest import Sandbox, add_node, joins, wait_until


def children(pid: int) -> set[int]:
    """List a process's children, and theirs."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | children(child)
    return found


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_interrupt_says_what_exists_and_how_to_go_on(ready: Sandbox) -> None:
    pool = "halted"
    for phase, number, code in (
        ("trusted", signal.SIGINT, 130),
        ("runtime-installed", signal.SIGTERM, 143),
    ):
        running = ready.start(*add_node(pool))
        running.wait_for(phase)
        done = running.signal(number, group=number is signal.SIGINT)
        assert done.code == code, done.err
        (instance,) = ready.living(pool)
        assert f"{pool}-1 is {instance['InstanceId']}" in done.err
        assert f"try: bootstrap add-node --pool {pool} --count 1 --yes" in done.err
        assert ready.leftovers() == []
    joins(ready, pool)


def test_killed_anywhere_the_same_command_converges(ready: Sandbox) -> None:
    pool, seen = "killed", set()
    for phase in ("launched", "prepared", "network-prepared", "csr-approved"):
        running = ready.start(*add_node(pool))
        running.wait_for(phase)
        orphans = children(running.process.pid)
        assert running.signal(signal.SIGKILL).code == -signal.SIGKILL
        wait_until(lambda left=orphans: not any(map(is_running, left)), f"no orphans of {phase}")
        seen |= {item["InstanceId"] for item in ready.living(pool)}
    joins(ready, pool)
    assert len(seen) == 1


def test_of_two_runs_one_acts_and_the_other_names_it(ready: Sandbox) -> None:
    first = ready.start(*add_node("twice"))
    first.wait_for("launched")
    second = ready.run(*add_node("twice"))
    assert second.code == 75
    assert "another run holds the lock: " in second.err
    assert "get lease windows-bootstrap" in second.err
    assert first.process.poll() is None
    assert first.signal(signal.SIGTERM).code == 143
    assert len(ready.living("twice")) == 1


def test_a_living_runs_lock_stays_and_a_dead_ones_is_released(ready: Sandbox) -> None:
    running = ready.start(*add_node("locked"))
    running.wait_for("launched")
    seen = ready.run("unlock", "-o", "json")
    assert (seen.code, seen.document["held"], seen.document["released"]) == (0, True, False)
    assert seen.document["process"].startswith(str(running.process.pid))
    refused = ready.run("unlock", "--yes")
    assert refused.code == 75
    assert "bootstrap unlock --force --yes" in refused.err
    assert running.signal(signal.SIGKILL).code == -signal.SIGKILL
    shown = ready.run("unlock", "-o", "json").document
    assert (shown["present"], shown["held"], shown["runId"]) == (
        True,
        False,
        seen.document["runId"],
    )
    freed = ready.run("unlock", "--yes", "-o", "json")
    assert (freed.code, freed.document["released"]) == (0, True)
    assert ready.run("unlock", "-o", "json").document["present"] is False
