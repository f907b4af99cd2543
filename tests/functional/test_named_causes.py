"""A join that fails ends with the name of its cause, and the next run mends what can be mended."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.functional.conftest import Sandbox, add_node, joins

HASTY = "apiVersion: bootstrap/v1\nkind: WindowsNodes\ntimeouts: {reachable: 15s, join: 20s}\n"


def test_what_breaks_on_a_node_is_named_and_the_next_run_mends_it(
    ready: Sandbox, short_folder: Path
) -> None:
    path = short_folder / "bootstrap.yaml"
    path.write_text(HASTY)
    faults = {
        "node-name-wrong": "NodeNameMismatch",
        "provider-id-wrong": "NodeDeleted",
        "lost-metadata-route": "MetadataRouteLost",
        "winrm-refused": "WinRmUnreachable",
    }
    with contextlib.ExitStack() as stack:
        for number, fault in enumerate(faults, start=1):
            stack.enter_context(ready.broken(fault, node=f"ailing-{number}"))
        count = len(faults)
        done = ready.run(*add_node("ailing", "-f", str(path), "-o", "json", count=count))
    errors = {node["name"]: node["error"] for node in done.document["nodes"]}
    assert {name: error["name"] for name, error in errors.items()} == {
        f"ailing-{number}": name for number, name in enumerate(faults.values(), start=1)
    }
    assert all(error["fix"] and error["command"] for error in errors.values())
    joins(ready, "ailing", count=count)


@pytest.mark.parametrize(
    ("fault", "name"),
    [("csr-never-signed", "CertificateNeverSigned"), ("approver-blocked", "ApprovalRejected")],
)
def test_a_cluster_that_gives_no_certificates_is_named(
    ready: Sandbox, fault: str, name: str
) -> None:
    with ready.broken(fault):
        done = ready.run(*add_node(f"bare-{fault[:3]}", "-o", "json"))
    assert (done.code, done.node(f"bare-{fault[:3]}-1")["error"]["name"]) == (69, name)
    joins(ready, f"bare-{fault[:3]}")


def test_a_slow_boot_and_a_long_loss_of_the_connection_cost_time_only(ready: Sandbox) -> None:
    with (
        ready.broken("slow-boot", node="patient-1"),
        ready.broken("winrm-drop-at-vswitch", node="patient-2"),
    ):
        joins(ready, "patient", count=2)
