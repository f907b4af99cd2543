"""Which certificates of a CA are trusted, whatever was rotated or distrusted."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
import yaml

from bootstrap.planning import kops_keyset
from bootstrap.planning.kops_documents import SpecError

SECRET = "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n"
YESTERDAY = "2026-11-22T00:00:00Z"


def pem(body: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


def key(number: str, *, distrusted: str | None = None, **more: Any) -> dict[str, Any]:
    body = base64.b64encode(f"certificate {number}".encode()).decode()
    return {
        "id": number,
        "publicMaterial": base64.b64encode(pem(body).encode()).decode(),
        **({"distrustTimestamp": distrusted} if distrusted else {}),
        **more,
    }


def keyset(*keys: dict[str, Any], primary: str = "", version: str = "kops.k8s.io/v1alpha2") -> str:
    spec: dict[str, Any] = {"keys": list(keys), "type": "Keypair"}
    if primary:
        spec["primaryId"] = primary
    return yaml.safe_dump({"apiVersion": version, "kind": "Keyset", "metadata": {}, "spec": spec})


def ids(bundle: str) -> list[str]:
    """Tell of which keys a bundle has the certificates, in its order."""
    bodies = [
        "".join(part.splitlines()[1:])
        for part in bundle.split("-----END CERTIFICATE-----\n")
        if part
    ]
    return [base64.b64decode(body).decode().removeprefix("certificate ") for body in bodies]


def test_rotated_keyset_gives_every_certificate_with_the_primary_first() -> None:
    text = keyset(key("100"), key("20"), key("3"), primary="20")
    assert ids(kops_keyset.bundle_of_keyset(text)) == ["20", "100", "3"]


def test_distrusted_certificate_is_left_out() -> None:
    text = keyset(key("100", distrusted=YESTERDAY), key("20"), primary="20")
    assert ids(kops_keyset.bundle_of_keyset(text)) == ["20"]


def test_null_distrust_timestamp_means_trusted() -> None:
    assert ids(kops_keyset.bundle_of_keyset(keyset(key("1", distrustTimestamp=None)))) == ["1"]


def test_keyset_of_before_kops_1_15_is_read() -> None:
    text = keyset(key("7711355902771967676153067746"), version="kops/v1alpha2")
    assert ids(kops_keyset.bundle_of_keyset(text)) == ["7711355902771967676153067746"]


def test_private_material_does_not_come_out() -> None:
    private = base64.b64encode(SECRET.encode()).decode()
    assert "PRIVATE" not in kops_keyset.bundle_of_keyset(keyset(key("1", privateMaterial=private)))
    misplaced = keyset({"id": "1", "publicMaterial": private})
    assert kops_keyset.bundle_of_keyset(misplaced) == ""


def test_key_without_certificate_is_passed_over() -> None:
    assert ids(kops_keyset.bundle_of_keyset(keyset({"id": "2"}, key("1")))) == ["1"]


def test_damaged_certificate_is_named_by_its_key() -> None:
    with pytest.raises(SpecError, match="publicMaterial of key 5 is no base64 PEM"):
        kops_keyset.bundle_of_keyset(keyset({"id": "5", "publicMaterial": "%%%"}))


@pytest.mark.parametrize(
    ("trusted", "named", "primary"),
    [
        (["9", "10"], "", "10"),
        (["9", "10"], "9", "9"),
        (["9"], "10", "9"),
        (["9", "z"], "", "9"),
        (["z"], "", ""),
        (["z"], "z", "z"),
        ([], "1", ""),
    ],
)
def test_primary_is_the_named_key_or_the_greatest_number(
    trusted: list[str], named: str, primary: str
) -> None:
    assert kops_keyset.primary_id(trusted, named) == primary


def test_bundle_holds_exactly_what_is_trusted_whatever_the_order() -> None:
    names = ("1", "22", "333", "odd")
    for order in itertools.permutations(names):
        for distrusted in itertools.product((True, False), repeat=len(names)):
            bad = dict(zip(order, distrusted, strict=True))
            keys = [key(n, distrusted=YESTERDAY if bad[n] else None) for n in order]
            found = ids(kops_keyset.bundle_of_keyset(keyset(*keys, primary="22")))
            trusted = [n for n in names if not bad[n]]
            assert sorted(found) == sorted(trusted)
            assert found[:1] == [kops_keyset.primary_id(trusted, "22") or n for n in trusted[:1]]


def test_bundle_has_each_certificate_once_in_lines_of_64() -> None:
    body = "A" * 100
    folded = pem(f"    {'A' * 40}\n    {'A' * 60}")
    bundle = kops_keyset.bundle([pem(body), folded, SECRET])
    assert bundle == pem("A" * 64 + "\n" + "A" * 36)


def test_nodeup_config_gives_the_ca_and_no_other_authority() -> None:
    text = yaml.safe_dump({"CAs": {"etcd-clients-ca": pem("AAAA"), "kubernetes-ca": pem("BBBB")}})
    assert kops_keyset.bundle_of_nodeup_config(text) == pem("BBBB")


@pytest.mark.parametrize("text", ["CAs: {}\n", "ClusterName: x\n", "CAs:\n"])
def test_nodeup_config_of_a_node_with_config_server_gives_none(text: str) -> None:
    assert kops_keyset.bundle_of_nodeup_config(text) == ""


def test_control_plane_is_looked_at_first() -> None:
    paths = [
        "igconfig/node/nodes/nodeupconfig.yaml",
        "igconfig/node/nodes/nodeupscript.sh",
        "igconfig/bastion/b/nodeupconfig.yaml",
        "igconfig/control-plane/b/nodeupconfig.yaml",
        "igconfig/control-plane/a/nodeupconfig.yaml",
        "igconfig/master/m/nodeupconfig.yaml",
    ]
    assert [path.split("/")[1:3] for path in kops_keyset.nodeup_config_order(paths)] == [
        ["control-plane", "a"],
        ["control-plane", "b"],
        ["master", "m"],
        ["node", "nodes"],
        ["bastion", "b"],
    ]
