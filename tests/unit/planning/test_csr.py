"""Who may join: every way in which a request may be wrong is a row here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bootstrap.model.certificates import CertificateRequest, RequestState
from bootstrap.model.node import KubeNode, KubeNodeName, NodeName
from bootstrap.planning.csr import BOOTSTRAP_REQUESTER, CLIENT_SIGNER, JoiningNode, Verdict, decide

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
SERVING = "kubernetes.io/kubelet-serving"
APPROVE, REFUSE, IGNORE = Verdict.APPROVE, Verdict.REFUSE, Verdict.IGNORE


def verdict(request: CertificateRequest, **joining: object) -> Verdict:
    (decision,) = decide([request], joining=[replace(JOINING, **joining)], nodes=[])
    return decision.verdict


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, APPROVE),
        ({"usages": GOOD.usages | {"key encipherment"}}, APPROVE),
        ({"key_type": "rsa", "key_bits": 2048}, APPROVE),
        ({"key_type": "rsa", "key_bits": 4096}, APPROVE),
        ({"key_bits": 384}, APPROVE),
        ({"key_bits": 521}, APPROVE),
        ({"created_at": JOINING.since}, APPROVE),
        # somebody decided already
        ({"state": RequestState.APPROVED}, IGNORE),
        ({"state": RequestState.DENIED}, IGNORE),
        ({"state": RequestState.ISSUED}, IGNORE),
        ({"state": RequestState.FAILED}, IGNORE),
        # none of our business
        ({"signer": SERVING}, IGNORE),
        ({"signer": "kubernetes.io/kube-apiserver-client"}, IGNORE),
        ({"signer": "kubernetes.io/legacy-unknown"}, IGNORE),
        ({"signer": "example.com/own"}, IGNORE),
        ({"signer": ""}, IGNORE),
        ({"common_name": "system:node:i-0other"}, IGNORE),
        ({"common_name": "system:node:i-0abcd"}, IGNORE),
        ({"common_name": "system:node:i-0ab"}, IGNORE),
        ({"common_name": "system:node:I-0ABC"}, IGNORE),
        ({"common_name": "system:node:"}, IGNORE),
        ({"common_name": "i-0abc"}, IGNORE),
        ({"common_name": "kubelet"}, IGNORE),
        ({"common_name": ""}, IGNORE),
        ({"common_name": " system:node:i-0abc"}, IGNORE),
        # it speaks for our node and must not
        ({"requester": "system:serviceaccount:windows-bootstrap:flannel"}, REFUSE),
        ({"requester": "system:serviceaccount:other:node-bootstrapper"}, REFUSE),
        ({"requester": "system:node:i-0abc"}, REFUSE),
        ({"requester": "system:bootstrap:abcdef"}, REFUSE),
        ({"requester": "system:anonymous"}, REFUSE),
        ({"requester": "kubernetes-admin"}, REFUSE),
        ({"requester": ""}, REFUSE),
        ({"organizations": ()}, REFUSE),
        ({"organizations": ("system:masters",)}, REFUSE),
        ({"organizations": ("system:nodes", "system:masters")}, REFUSE),
        ({"organizations": ("system:nodes", "system:nodes")}, REFUSE),
        ({"other_subject": ("OU=x",)}, REFUSE),
        ({"other_subject": ("CN=system:masters",)}, REFUSE),
        ({"dns_names": ("i-0abc",)}, REFUSE),
        ({"ip_addresses": ("10.0.0.1",)}, REFUSE),
        ({"other_names": ("admin@example.com",)}, REFUSE),
        ({"usages": frozenset()}, REFUSE),
        ({"usages": frozenset({"client auth"})}, REFUSE),
        ({"usages": frozenset({"digital signature"})}, REFUSE),
        ({"usages": GOOD.usages | {"server auth"}}, REFUSE),
        ({"usages": GOOD.usages | {"cert sign"}}, REFUSE),
        ({"usages": GOOD.usages | {"any"}}, REFUSE),
        ({"key_type": "rsa", "key_bits": 1024}, REFUSE),
        ({"key_type": "rsa", "key_bits": 2047}, REFUSE),
        ({"key_bits": 224}, REFUSE),
        ({"key_type": "ed25519"}, REFUSE),
        ({"key_type": "dsa", "key_bits": 2048}, REFUSE),
        ({"key_type": "", "key_bits": 0}, REFUSE),
        ({"parse_error": "no PKCS#10 request"}, REFUSE),
        ({"parse_error": "its signature does not fit its key"}, REFUSE),
        ({"created_at": "2026-11-23T09:59:59Z"}, REFUSE),
    ],
)
def test_a_request_is_judged_by_everything_in_it(change: dict, expected: Verdict) -> None:
    assert verdict(replace(GOOD, **change)) is expected


def test_an_instance_that_does_not_run_gets_no_certificate() -> None:
    assert verdict(GOOD, instance_running=False) is REFUSE


def test_a_ready_node_of_that_name_gets_no_second_certificate() -> None:
    node = KubeNode(
        name=NAME,
        uid="u",
        labels={},
        annotations={},
        taints=(),
        provider_id="",
        pod_cidr="",
        ready=True,
        unschedulable=False,
        kubelet_version="v1.36.0",
        kube_proxy_version="",
        runtime_version="",
        os_image="",
        internal_ip="",
        created_at="",
        conditions={},
    )
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
