"""Things break: it is told with its cause, and the same command goes on once they are mended."""

from __future__ import annotations

import re
from pathlib import Path

from tests.functional.conftest import Sandbox, add_node, joins

IMPATIENT = "apiVersion: bootstrap/v1\nkind: WindowsNodes\ntimeouts: {reachable: 4s}\n"


def test_another_certificate_than_the_consoles_is_refused(ready: Sandbox) -> None:
    with ready.broken("wrong-certificate", node="forged-1"):
        done = ready.run(*add_node("forged", "-o", "json"))
    error = done.node("forged-1")["error"]
    assert (done.code, error["name"]) == (77, "WinRmCertificateMismatch")
    assert "do not log in" in error["fix"]
    assert error["command"].startswith("aws ec2 get-console-output")


def test_hosts_that_stay_silent_end_at_the_deadline(ready: Sandbox, short_folder: Path) -> None:
    path = short_folder / "bootstrap.yaml"
    path.write_text(IMPATIENT)
    with (
        ready.broken("user-data-ignored", node="silent-1"),
        ready.broken("password-never", node="silent-2"),
    ):
        done = ready.run(*add_node("silent", "-f", str(path), "-o", "json", count=2))
    assert done.code == 6
    unreached, unknown = (done.node(f"silent-{number}")["error"] for number in (1, 2))
    assert unreached["name"] == "UserDataNotRun"
    assert "waited 4 s for WinRM" in unreached["message"]
    assert "user data was not executed" in str(unreached["evidence"])
    assert "waited 4 s for the Administrator password" in unknown["message"]
    assert unreached["fix"] and unknown["fix"]


def test_a_death_while_booting_and_a_wrong_checksum_are_told_and_overcome(ready: Sandbox) -> None:
    with (
        ready.broken("instance-dies-while-booting", node="unlucky-1"),
        ready.broken("wrong-checksum", node="unlucky-2"),
    ):
        done = ready.run(*add_node("unlucky", "-o", "json", count=2))
    assert done.code == 69
    died, tampered = (done.node(f"unlucky-{number}") for number in (1, 2))
    assert died["error"]["name"] == "InstanceDied"
    assert died["instanceId"] in died["error"]["message"]
    assert "WN0202" in tampered["error"]["message"]
    assert len(set(re.findall(r"\b[0-9a-f]{64}\b", tampered["error"]["message"]))) == 2
    joins(ready, "unlucky", count=2)
    assert tampered["instanceId"] in {item["InstanceId"] for item in ready.living("unlucky")}


def test_a_reboot_in_the_middle_and_throttling_cost_time_not_the_node(ready: Sandbox) -> None:
    with ready.broken("throttling"), ready.broken("reboot-in-task", node="restless-1"):
        joins(ready, "restless")


def test_no_capacity_is_told(ready: Sandbox) -> None:
    with ready.broken("capacity-error"):
        done = ready.run(*add_node("crowded", "-o", "json"))
    assert done.code == 69
    assert "InsufficientInstanceCapacity" in str(done.node("crowded-1")["error"])
    assert done.node("crowded-1")["error"]["fix"]
    assert ready.living("crowded") == []
