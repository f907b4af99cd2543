"""Kubernetes' JSON read once; certificate requests are real ones, made here."""

from __future__ import annotations

import base64
import ipaddress
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from bootstrap.model.certificates import CertificateRequest, RequestState
from bootstrap.model.node import Taint
from bootstrap.planning.csr import CLIENT_SIGNER
from bootstrap.planning.kube_objects import (
    daemon_set_from,
    flannel_from,
    lease_from,
    node_from,
    pod_from,
    request_from,
    taint_from,
    taint_json,
)

CN, ORG, OU = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME
KEY = ec.generate_private_key(ec.SECP256R1())
NODE_SUBJECT = ((ORG, "system:nodes"), (CN, "system:node:i-1"))


# -- certificate requests --
def pem(
    *subject: tuple[x509.ObjectIdentifier, str],
    key: Any = KEY,
    names: tuple[x509.GeneralName, ...] = (),
) -> bytes:
    """Make a PKCS#10 request as a kubelet does."""
    attributes = [x509.NameAttribute(oid, value) for oid, value in subject or NODE_SUBJECT]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def request(content: bytes = b"", *, status: dict[str, Any] | None = None) -> CertificateRequest:
    encoded = base64.b64encode(content or pem()).decode()
    return request_from(
        {
            "metadata": {
                "name": "csr-1",
                "uid": "u",
                "creationTimestamp": "2026-11-23T10:00:00Z",
            },
            "spec": {
                "signerName": CLIENT_SIGNER,
                "username": "system:serviceaccount:a:b",
                "groups": ["system:serviceaccounts"],
                "usages": ["digital signature", "client auth"],
                "request": encoded,
            },
            "status": status or {},
        }
    )


def test_a_kubelets_request_is_read_completely() -> None:
    assert request() == CertificateRequest(
        name="csr-1",
        uid="u",
        created_at="2026-11-23T10:00:00Z",
        signer=CLIENT_SIGNER,
        requester="system:serviceaccount:a:b",
        requester_groups=("system:serviceaccounts",),
        usages=frozenset({"digital signature", "client auth"}),
        state=RequestState.PENDING,
        common_name="system:node:i-1",
        organizations=("system:nodes",),
        key_type="ecdsa",
        key_bits=256,
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, RequestState.PENDING),
        ({"conditions": []}, RequestState.PENDING),
        ({"conditions": [{"type": "Approved"}]}, RequestState.APPROVED),
        ({"conditions": [{"type": "Approved"}], "certificate": "eA=="}, RequestState.ISSUED),
        ({"conditions": [{"type": "Denied"}]}, RequestState.DENIED),
        ({"conditions": [{"type": "Approved"}, {"type": "Denied"}]}, RequestState.DENIED),
        ({"conditions": [{"type": "Approved"}, {"type": "Failed"}]}, RequestState.FAILED),
    ],
)
def test_state_is_the_last_word_that_was_said(status: dict[str, Any], state: RequestState) -> None:
    assert request(status=status).state is state


@pytest.mark.parametrize(
    ("make_key", "kind", "bits"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), "rsa", 2048),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "ecdsa", 384),
        (ed25519.Ed25519PrivateKey.generate, "ed25519", 256),
        (lambda: dsa.generate_private_key(1024), "dsapublickey", 0),
    ],
)
def test_key_is_told_by_kind_and_size(make_key: Any, kind: str, bits: int) -> None:
    found = request(pem(key=make_key()))
    assert (found.key_type, found.key_bits, found.parse_error) == (kind, bits, "")


def test_every_organization_is_told_in_order() -> None:
    found = request(pem((ORG, "system:nodes"), (ORG, "system:masters"), (CN, "n")))
    assert found.organizations == ("system:nodes", "system:masters")


def test_further_attributes_are_told() -> None:
    found = request(pem(*NODE_SUBJECT, (OU, "x"), (NameOID.COUNTRY_NAME, "FR")))
    assert found.other_subject == ("OU=x", "C=FR")


def test_of_two_common_names_none_is_taken() -> None:
    found = request(pem((CN, "system:node:i-1"), (CN, "admin"), (ORG, "system:nodes")))
    assert found.common_name == ""
    assert found.other_subject == ("CN=admin",)


def test_a_request_without_subject_has_no_name() -> None:
    bare = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    found = request(bare.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM))
    assert (found.common_name, found.organizations, found.parse_error) == ("", (), "")


def test_alternative_names_are_told_by_kind() -> None:
    names = (
        x509.DNSName("i-1"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
        x509.RFC822Name("a@example.com"),
        x509.UniformResourceIdentifier("spiffe://x"),
    )
    found = request(pem(names=names))
    assert (found.dns_names, found.ip_addresses) == (("i-1",), ("10.0.0.1",))
    assert found.other_names == ("a@example.com", "spiffe://x")


def sequence(*parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body).to_bytes(1 if len(body) < 256 else 2, "big")  # never below 128 here
    return b"\x30" + bytes([0x80 + len(size)]) + size + body


def altered(content: bytes, old: bytes, new: bytes, *, key: Any = None) -> bytes:
    """Change bytes of a request as no library would; signed again when there is a key."""
    made = x509.load_pem_x509_csr(content)
    changed = made.tbs_certrequest_bytes.replace(old, new)
    assert changed != made.tbs_certrequest_bytes and len(old) == len(new)
    signature = key.sign(changed, ec.ECDSA(hashes.SHA256())) if key else made.signature
    bits = b"\x00" + signature
    der = sequence(changed, ECDSA_SHA256, b"\x03" + bytes([len(bits)]) + bits)
    text = base64.encodebytes(der).decode()
    return (
        f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n".encode()
    )


ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
P256 = bytes.fromhex("06082a8648ce3d030107")
PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
SUBJECT_NAMES, ISSUER_NAMES = bytes.fromhex("0603551d11"), bytes.fromhex("0603551d12")
DNS_TAG, X400_TAG = b"\x82\x03i-1", b"\xa3\x03i-1"


def test_a_changed_request_does_not_fit_its_signature() -> None:
    found = request(altered(pem(), b"system:node:i-1", b"system:node:i-2"))
    assert found.parse_error == "its signature does not fit its key"
    assert (found.common_name, found.key_type) == ("", "")


def test_a_request_that_is_signed_again_fits() -> None:
    found = request(altered(pem(), b"system:node:i-1", b"system:node:i-2", key=KEY))
    assert (found.parse_error, found.common_name) == ("", "system:node:i-2")


# The API server takes some of these, from anybody who may ask for a certificate.
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(P256, P256[:-1] + b"\x06", id="curve"),
        pytest.param(PUBLIC_KEY, PUBLIC_KEY[:-1] + b"\x7f", id="kind of key"),
        pytest.param(DNS_TAG, X400_TAG, id="kind of name"),
        pytest.param(ISSUER_NAMES, SUBJECT_NAMES, id="an extension twice"),
    ],
)
def test_what_the_library_does_not_know_is_told_as_such(old: bytes, new: bytes) -> None:
    builder = x509.CertificateSigningRequestBuilder()
    names = [x509.DNSName("i-1")]
    extended = (
        builder.subject_name(x509.Name([x509.NameAttribute(CN, "system:node:x")]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.IssuerAlternativeName(names), critical=False)
    )
    content = extended.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)
    found = request(altered(content, old, new, key=KEY))
    assert found.parse_error.startswith("no PKCS#10 request")


def test_a_name_of_another_kind_is_told() -> None:
    names = (x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\x0c\x01a"),)
    assert request(pem(names=names)).other_names


@pytest.mark.parametrize(
    "content",
    [
        b"no request",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        b"-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n",
    ],
)
def test_what_is_no_request_is_told_as_such(content: bytes) -> None:
    found = request(content)
    assert found.parse_error.startswith("no PKCS#10 request")
    assert found.common_name == ""


def test_a_request_without_content_is_told_as_such() -> None:
    bare = request_from({"metadata": {"name": "n"}, "spec": {}})
    assert bare.parse_error.startswith("no PKCS#10 request")
    assert (bare.signer, bare.requester, bare.usages) == ("", "", frozenset())


def test_content_that_is_no_base64_is_told_as_such() -> None:
    assert request_from({"metadata": {"name": "n"}, "spec": {"request": "a"}}).parse_error


# -- nodes --
def test_a_node_is_read_as_the_api_gives_it() -> None:
    node = node_from(
        {
            "metadata": {
                "name": "i-1",
                "uid": "u",
                "labels": {"kubernetes.io/os": "windows"},
                "annotations": {"a": "b"},
                "creationTimestamp": "2026-11-23T10:00:00Z",
            },
            "spec": {
                "providerID": "aws:///eu-west-1a/i-0abc",
                "podCIDR": "100.96.1.0/24",
                "unschedulable": True,
                "taints": [{"key": "os", "value": "windows", "effect": "NoSchedule"}],
            },
            "status": {
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "DiskPressure", "status": "False"},
                ],
                "addresses": [
                    {"type": "Hostname", "address": "i-1"},
                    {"type": "InternalIP", "address": "172.20.32.4"},
                ],
                "nodeInfo": {
                    "kubeletVersion": "v1.34.5",
                    "kubeProxyVersion": "v1.34.5",
                    "containerRuntimeVersion": "containerd://2.1.4",
                    "osImage": "Windows Server 2019 Datacenter",
                },
            },
        }
    )
    assert (node.name, node.instance_id, node.is_windows) == ("i-1", "i-0abc", True)
    assert (node.ready, node.unschedulable) == (True, True)
    assert (node.internal_ip, node.pod_cidr) == ("172.20.32.4", "100.96.1.0/24")
    assert node.taints == (Taint(key="os", value="windows"),)
    assert node.conditions == {"Ready": "True", "DiskPressure": "False"}
    assert (node.kubelet_version, node.runtime_version) == ("v1.34.5", "containerd://2.1.4")


def test_a_node_that_was_just_made_has_empty_fields() -> None:
    node = node_from({"metadata": {"name": "i-1"}})
    assert (node.ready, node.internal_ip, node.provider_id, node.taints) == (False, "", "", ())
    assert (node.instance_id, node.is_windows) == ("", False)


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_only_true_means_ready(status: str) -> None:
    conditions = {"conditions": [{"type": "Ready", "status": status}]}
    assert not node_from({"metadata": {"name": "i-1"}, "status": conditions}).ready


@pytest.mark.parametrize(
    "item",
    [
        {"key": "os", "value": "windows", "effect": "NoSchedule"},
        {"key": "a", "effect": "NoExecute"},
    ],
)
def test_a_taint_is_written_as_it_was_read(item: dict[str, str]) -> None:
    assert taint_json(taint_from(item)) == item


# -- flannel --
def config_map(**data: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "kube-flannel-cfg"},
        "data": {key.replace("_", "-") + ".json": value for key, value in data.items()},
    }


def test_flannels_config_map_is_read() -> None:
    net_conf = {"Network": "100.64.0.0/10", "Backend": {"Type": "vxlan"}}
    item = config_map(net_conf=json.dumps(net_conf), cni_conf='{"name": "cbr0"}')
    found = flannel_from("kube-flannel", item, "kube-flannel-ds")
    assert (found.net_conf, found.backend) == (net_conf, {"Type": "vxlan"})
    assert (found.cni_network_name, found.config_map) == ("cbr0", "kube-flannel-cfg")


@pytest.mark.parametrize("item", [{"metadata": {"name": "n"}}, config_map(net_conf="")])
def test_an_empty_config_map_has_no_backend(item: dict[str, Any]) -> None:
    found = flannel_from("kube-flannel", item, "d")
    assert (found.net_conf, found.backend, found.cni_network_name) == ({}, {}, "")


def test_a_backend_that_is_no_object_counts_as_none() -> None:
    found = flannel_from("n", config_map(net_conf='{"Backend": "vxlan"}'), "d")
    assert found.backend == {}


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_broken_net_conf_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own, and ours
        flannel_from("n", config_map(net_conf=text), "d")


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_broken_cni_conf_only_costs_the_name(text: str) -> None:
    assert flannel_from("n", config_map(cni_conf=text), "d").cni_network_name == ""


# -- DaemonSets --
def daemon_set(**pod_spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "kube-system", "name": "ds", "generation": 3},
        "spec": {"template": {"spec": pod_spec}},
        "status": {
            "observedGeneration": 2,
            "desiredNumberScheduled": 5,
            "updatedNumberScheduled": 4,
            "numberAvailable": 3,
        },
    }


def affinity(*expressions: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}, {}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def test_a_daemon_set_is_read_with_its_progress() -> None:
    found = daemon_set_from(
        daemon_set(
            nodeSelector={"kubernetes.io/os": "linux"}, priorityClassName="system-node-critical"
        )
    )
    assert (found.generation, found.observed_generation) == (3, 2)
    assert (found.desired, found.updated, found.available) == (5, 4, 3)
    assert found.node_selector == {"kubernetes.io/os": "linux"}
    assert found.priority_class == "system-node-critical"


def test_a_daemon_set_without_status_has_not_begun() -> None:
    item = daemon_set()
    del item["status"], item["metadata"]["generation"]
    found = daemon_set_from(item)
    assert (found.generation, found.desired, found.updated, found.required_os) == (0, 0, 0, ())


@pytest.mark.parametrize(
    ("tolerations", "all_of_them", "keys"),
    [
        (None, False, ()),
        ([{"operator": "Exists"}], True, ()),
        ([{"operator": "Exists", "key": "os"}], False, ("os",)),
        ([{"key": "b"}, {"key": "a"}, {"key": "a"}], False, ("a", "b")),
        ([{"operator": "Exists"}, {"key": "a"}], True, ("a",)),
    ],
)
def test_tolerations_are_told_by_their_reach(
    tolerations: Any, all_of_them: bool, keys: tuple[str, ...]
) -> None:
    found = daemon_set_from(daemon_set(tolerations=tolerations))
    assert (found.tolerates_all, found.tolerated_keys) == (all_of_them, keys)


def test_only_what_affinity_requires_of_the_system_counts() -> None:
    wanted = daemon_set(
        affinity=affinity(
            {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
            {"key": "beta.kubernetes.io/os", "operator": "In", "values": ["linux", "darwin"]},
            {"key": "kubernetes.io/os", "operator": "NotIn", "values": ["windows"]},
            {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
        )
    )
    assert daemon_set_from(wanted).required_os == ("darwin", "linux")
    assert daemon_set_from(daemon_set(affinity={"podAffinity": {}})).required_os == ()


# -- pods and leases --
def pod(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "n",
            "name": "p",
            "labels": {"a": "b"},
            "ownerReferences": [{"kind": "DaemonSet"}],
        },
        "spec": {"nodeName": "i-1", "nodeSelector": {"kubernetes.io/os": "linux"}},
        "status": status,
    }


def test_a_pod_is_read_as_the_api_gives_it() -> None:
    conditions = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "True"},
    ]
    found = pod_from(
        pod(phase="Running", conditions=conditions, podIP="100.96.1.2", hostIP="172.20.32.4")
    )
    assert (found.node, found.phase, found.ready) == ("i-1", "Running", True)
    assert (found.pod_ip, found.host_ip) == ("100.96.1.2", "172.20.32.4")
    assert (found.owner_kind, found.reason) == ("DaemonSet", "")


def test_a_pod_that_was_just_made_has_empty_fields() -> None:
    found = pod_from({"metadata": {"namespace": "n", "name": "p"}})
    assert (found.node, found.phase, found.ready, found.owner_kind) == ("", "", False, "")


UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/2",
}


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        ({"conditions": [UNSCHEDULABLE]}, "Unschedulable", "0/2"),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
            "ErrImagePull",
            "",
        ),
        (
            {
                "containerStatuses": [
                    {"state": {"running": {}}},
                    {"state": {"terminated": {"reason": "Error", "message": "gone"}}},
                ]
            },
            "Error",
            "gone",
        ),
        ({"containerStatuses": [{}], "reason": "Evicted", "message": "disk"}, "Evicted", "disk"),
        ({}, "", ""),
    ],
)
def test_the_reason_of_a_pod_is_the_most_telling_one(
    status: dict[str, Any], reason: str, message: str
) -> None:
    found = pod_from(pod(**status))
    assert (found.reason, found.message) == (reason, message)


def test_a_lease_is_read() -> None:
    found = lease_from(
        {
            "metadata": {"name": "l", "resourceVersion": "7", "annotations": {"a": "b"}},
            "spec": {
                "holderIdentity": "me",
                "acquireTime": "2026-11-23T10:00:00.000000Z",
                "renewTime": "2026-11-23T10:00:15.000000Z",
                "leaseDurationSeconds": 60,
            },
        }
    )
    assert (found.holder, found.duration_s, found.resource_version) == ("me", 60, "7")
    assert found.renewed_at == "2026-11-23T10:00:15.000000Z"


def test_a_lease_that_nobody_holds_is_empty() -> None:
    found = lease_from({"metadata": {"name": "l"}})
    assert (found.holder, found.duration_s, found.renewed_at) == ("", 0, "")
