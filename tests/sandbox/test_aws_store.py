"""The store folder and the addresses: what a sandbox reads, moves and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bootstrap.sandbox.addresses import AddressMap, claim_slot
from bootstrap.sandbox.errors import StoreError
from bootstrap.sandbox.store import StoreDirectory
from bootstrap.sandbox.store_channel import in_version_range
from tests.stores import ALL


def make_store(folder: Path, spec: str = "kubernetesVersion: v1.30.0") -> Path:
    cluster = folder / "s3" / "a.example.com"
    cluster.mkdir(parents=True)
    (folder / "recording.jsonl").write_text("")
    (cluster / "config").write_text("kind: Cluster")
    (cluster / "cluster-completed.spec").write_text(
        f"kind: Cluster\nmetadata: {{name: a.example.com}}\nspec:\n  {spec}\n"
    )
    return folder


def test_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        StoreDirectory(tmp_path / "none")


def test_folder_that_is_no_store_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"lacks s3 and recording\.jsonl"):
        StoreDirectory(tmp_path)


def test_store_without_a_cluster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    (tmp_path / "recording.jsonl").write_text("")
    with pytest.raises(StoreError, match="not exactly one cluster"):
        StoreDirectory(tmp_path)


def test_cluster_that_is_not_in_the_store_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        StoreDirectory(make_store(tmp_path), "b.example.com")
    assert "a.example.com" in caught.value.evidence


def test_version_is_read_without_its_v(tmp_path: Path) -> None:
    assert StoreDirectory(make_store(tmp_path)).kubernetes_version == "1.30.0"


def test_spec_without_a_needed_field_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="networkCIDR"):
        _ = StoreDirectory(make_store(tmp_path)).vpc_cidr


def test_addons_of_other_kubernetes_versions_are_left_out(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    addons = store / "s3" / "a.example.com" / "addons"
    (addons / "x").mkdir(parents=True)
    (addons / "x" / "new.yaml").write_text("kind: A\n---\n---\nkind: B\n")
    (addons / "bootstrap-channel.yaml").write_text(
        "spec: {addons: ["
        "{name: x, kubernetesVersion: '<1.12.0', manifest: x/old.yaml},"
        "{name: x, kubernetesVersion: '>=1.12.0', manifest: x/new.yaml},"
        "{name: y, kubernetesVersion: '>=1.31.0', manifest: y/next.yaml}]}"
    )
    (addon,) = StoreDirectory(store).addons
    assert addon.manifest == "x/new.yaml"
    assert [document["kind"] for document in addon.documents] == ["A", "B"]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_certificate_authority_matches_its_key(path: Path) -> None:
    pair = StoreDirectory(path).ca
    certificate = x509.load_pem_x509_certificate(pair.certificate_pem.encode())
    key = load_pem_private_key(pair.private_key_pem.encode(), None)
    assert certificate.public_key() == key.public_key()


@pytest.mark.parametrize(
    ("version", "wanted", "holds"),
    [
        ("1.18.20", "", True),
        ("1.18.20", ">=1.12.0", True),
        ("1.11.9", ">=1.12.0", False),
        ("1.16.0", ">=1.16.0-alpha.0", True),
        ("1.16.0-beta.1", ">=1.16.0", True),
        ("1.24.3", ">=1.12.0 <1.25.0", True),
        ("1.25.0", ">=1.12.0 <1.25.0", False),
        ("1.30.0", "<1.20.0 || >=1.29.0", True),
        ("1.9.0", ">= 1.10", False),
    ],
)
def test_version_ranges_are_read_as_kops_does(version: str, wanted: str, holds: bool) -> None:
    assert in_version_range(version, wanted) is holds


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("172.20.32.5", "127.20.32.5"),
        ("172.20.32.0/19", "127.20.32.0/19"),
        ("a=172.20.0.1,172.20.0.2.", "a=127.20.0.1,127.20.0.2."),
        ("ip-172-20-0-1", "ip-172-20-0-1"),
        ("172.21.0.1 100.64.0.1 10.0.0.1", "172.21.0.1 100.64.0.1 10.0.0.1"),
        ("1172.20.0.1 172.20.0.1.5 172.20.0.999", "1172.20.0.1 172.20.0.1.5 172.20.0.999"),
    ],
)
def test_only_addresses_of_the_vpc_are_moved(text: str, moved: str) -> None:
    assert AddressMap("172.20.0.0/16", 20).rewrite(text) == moved


def test_small_vpc_keeps_its_low_bits() -> None:
    addresses = AddressMap("10.7.16.0/20", 33)
    assert addresses.network == "127.33.16.0/20"
    assert addresses.move("10.7.17.9") == "127.33.17.9"
    assert addresses.move("10.7.32.9") == "10.7.32.9"


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "fd00::/64", "nonsense"])
def test_network_that_no_vpc_can_have_is_refused(cidr: str) -> None:
    with pytest.raises(StoreError, match="networkCIDR"):
        AddressMap(cidr, 20)


def test_two_live_sandboxes_have_different_slots() -> None:
    first = claim_slot("172.201.0.0/16")
    second = claim_slot("172.201.0.0/16")
    assert first.number == 201
    assert second.number != 201
    second.release()
    first.release()
    first.release()
    again = claim_slot("172.201.0.0/16")
    assert again.number == 201
    again.release()


def test_vpc_outside_of_172_gets_a_free_slot() -> None:
    claim = claim_slot("10.0.0.0/16")
    assert claim.number >= 20
    claim.release()
