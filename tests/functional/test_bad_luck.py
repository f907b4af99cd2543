"""Things break, people interrupt, machines die: it is told, and the same command goes on."""

from __future__ import annotations

import pytest

from tests.functional.conftest import (
    SIGINT,
    SIGKILL,
    SIGTERM,
    Sandbox,
    add_node,
    interrupt_at,
)


def joins(sandbox: Sandbox, pool: str) -> None:
    """See that the same command brings the pool to its end, with one instance."""
    done = sandbox.run(*add_node(pool, "-o", "json"))
    assert done.code == 0, done.err + done.out
    assert [node["ready"] for node in done.document["nodes"]] == [True]
    assert len(sandbox.living(pool)) == 1


def test_another_certificate_than_the_consoles_is_refused(ready: Sandbox) -> None:
    ready.fault("set", "wrong-certificate", node="forged-1")
    done = ready.run(*add_node("forged", "-o", "json"))
    assert done.code == 77
    assert done.document["nodes"][0]["error"]["name"] == "WinRmCertificateMismatch"


def test_an_instance_that_dies_while_booting_is_told_and_replaced(ready: Sandbox) -> None:
    ready.fault("set", "instance-dies-while-booting", node="mortal-1")
    done = ready.run(*add_node("mortal", "-o", "json"))
    assert done.code == 69
    assert done.document["nodes"][0]["error"]["name"] == "InstanceDied"
    ready.fault("clear", "instance-dies-while-booting", node="mortal-1")
    joins(ready, "mortal")


def test_a_wrong_checksum_names_both_sums(ready: Sandbox) -> None:
    ready.fault("set", "wrong-checksum", node="tampered-1")
    done = ready.run(*add_node("tampered", "-o", "json"))
    assert done.code == 69
    assert "WN0202" in done.document["nodes"][0]["error"]["message"]
    ready.fault("clear", "wrong-checksum", node="tampered-1")
    joins(ready, "tampered")


def test_a_host_that_reboots_in_the_middle_joins_all_the_same(ready: Sandbox) -> None:
    ready.fault("set", "reboot-in-task", node="restless-1")
    joins(ready, "restless")
    ready.fault("clear", "reboot-in-task", node="restless-1")


def test_no_capacity_is_told(ready: Sandbox) -> None:
    ready.fault("set", "capacity-error")
    try:
        done = ready.run(*add_node("crowded", "-o", "json"))
    finally:
        ready.fault("clear", "capacity-error")
    assert done.code == 69
    assert ready.living("crowded") == []


@pytest.mark.parametrize(
    ("number", "code", "phase"), [(SIGINT, 130, "trusted"), (SIGTERM, 143, "runtime-installed")]
)
def test_an_interrupt_says_what_exists_and_how_to_go_on(
    ready: Sandbox, number: int, code: int, phase: str
) -> None:
    pool = f"halted-{number}"
    process = ready.start(*add_node(pool))
    ended, err = interrupt_at(process, phase, number)
    assert ended == code, err
    assert f"{pool}-1 is i-" in err
    assert f"bootstrap add-node --pool {pool} --count 1 --yes" in err
    assert "Traceback" not in err
    joins(ready, pool)


@pytest.mark.parametrize("phase", ["launched", "prepared", "csr-approved"])
def test_killed_anywhere_the_same_command_converges(ready: Sandbox, phase: str) -> None:
    pool = f"killed-{phase}"
    process = ready.start(*add_node(pool))
    interrupt_at(process, phase, SIGKILL)
    joins(ready, pool)


def test_of_two_runs_one_acts_and_the_other_names_it(ready: Sandbox) -> None:
    first = ready.start(*add_node("twice"))
    assert first.stderr is not None
    next(line for line in first.stderr if " launched  " in line)
    second = ready.run(*add_node("twice"))
    assert second.code == 75
    assert "another run holds the lock" in second.err
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert len(ready.living("twice")) == 1
