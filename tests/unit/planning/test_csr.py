"""Who may join: every way in which a request may be wrong is a row of tests/cases/csr.json."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.model.certificates import CertificateRequest, RequestState
from bootstrap.model.node import KubeNodeName, NodeName
from bootstrap.planning.csr import BOOTSTRAP_REQUESTER, CLIENT_SIGNER, JoiningNode, Verdict, decide
from tests.unit.planning import builders as make

NAME = KubeNodeName("i-0abc")
GOOD = CertificateRequest(
    name="csr-1",
    uid="1",
    created_at="2026-11-23T10:05:00Z",
    signer=CLIENT_SIGNER,
    requester=BOOTSTRAP_REQUESTER,
    requester_groups=("system:serviceaccounts",),
    usages=frozenset({"digital signature", "client auth"}),
    state=RequestState.PENDING,
    common_name="system:node:i-0abc",
    organizations=("system:nodes",),
    key_type="ecdsa",
    key_bits=256,
)
JOINING = JoiningNode(
    node=NodeName("win-1"), kube_name=NAME, since="2026-11-23T10:00:00Z", instance_running=True
)
CASES = json.loads((Path(__file__).parents[2] / "cases" / "csr.json").read_text())
APPROVE, REFUSE, IGNORE = Verdict.APPROVE, Verdict.REFUSE, Verdict.IGNORE


def verdict(request: CertificateRequest, **joining: object) -> Verdict:
    (decision,) = decide([request], joining=[replace(JOINING, **joining)], nodes=[])
    return decision.verdict


def request_of(change: dict[str, Any]) -> CertificateRequest:
    """Turn a case's JSON into a request."""
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in change.items()}
    values["usages"] = frozenset(values.get("usages", GOOD.usages))
    values["state"] = RequestState(values.get("state", GOOD.state))
    return replace(GOOD, **values)


@pytest.mark.parametrize(
    ("change", "expected"),
    [pytest.param(case["change"], case["verdict"], id=case["case"]) for case in CASES],
)
def test_a_request_is_judged_by_everything_in_it(change: dict[str, Any], expected: str) -> None:
    assert verdict(request_of(change)) == expected


def test_every_refusal_says_what_is_wrong_and_for_which_node() -> None:
    for case in CASES:
        (decision,) = decide([request_of(case["change"])], joining=[JOINING], nodes=[])
        assert decision.reason
        assert decision.node == ("" if decision.verdict is IGNORE else "win-1")


def test_an_instance_that_does_not_run_gets_no_certificate() -> None:
    assert verdict(GOOD, instance_running=False) is REFUSE


def test_a_ready_node_of_that_name_gets_no_second_certificate() -> None:
    node = make.kube_node(name=NAME)
    (decision,) = decide([GOOD], joining=[JOINING], nodes=[node])
    assert decision.verdict is REFUSE
    (decision,) = decide([GOOD], joining=[JOINING], nodes=[replace(node, ready=False)])
    assert decision.verdict is APPROVE


def test_of_two_requests_of_a_node_the_older_one_is_approved() -> None:
    later = replace(GOOD, name="csr-2", created_at="2026-11-23T10:06:00Z")
    decisions = decide([later, GOOD], joining=[JOINING], nodes=[])
    assert [(d.request.name, d.verdict) for d in decisions] == [
        ("csr-1", APPROVE),
        ("csr-2", REFUSE),
    ]


def test_a_flood_of_foreign_requests_changes_nothing() -> None:
    flood = [replace(GOOD, name=f"x-{n}", common_name=f"system:node:x-{n}") for n in range(500)]
    decisions = decide([*flood, GOOD], joining=[JOINING], nodes=[])
    assert [d.request.name for d in decisions if d.verdict is APPROVE] == ["csr-1"]
    assert {d.verdict for d in decisions if d.request.name != "csr-1"} == {IGNORE}
