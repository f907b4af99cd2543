"""One real control plane for the tests of the node's programs, on a store made for it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from bootstrap.sandbox import programs
from bootstrap.sandbox.control_plane import ControlPlane
from bootstrap.sandbox.store import StoreDirectory

CLUSTER = "tiny.example.com"
_SPEC = {
    "configBase": f"s3://tiny/{CLUSTER}",
    "kubernetesVersion": "1.34.5",
    "networkCIDR": "172.20.0.0/16",
    "nonMasqueradeCIDR": "100.64.0.0/10",
    "podCIDR": "100.96.0.0/11",
    "serviceClusterIPRange": "100.64.0.0/13",
    "subnets": [{"name": "eu-west-1a", "zone": "eu-west-1a", "cidr": "172.20.0.0/17"}],
}


@pytest.fixture(scope="session")
def assets() -> programs.Binaries:
    """The control plane's programs, if they are at hand; a test gets and builds none."""
    cached = any(programs.cache_root().glob("*/kube-apiserver"))
    if not cached and not os.environ.get("KUBEBUILDER_ASSETS"):
        pytest.skip("no control-plane programs at hand: make demo gets them")
    return programs.find("1.36.0", "", print)


@pytest.fixture(scope="session")
def plane(
    assets: programs.Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """A running control plane with nothing in it."""
    store = StoreDirectory(_write_store(tmp_path_factory.mktemp("store")))
    plane = ControlPlane(store, assets, tmp_path_factory.mktemp("plane"))
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def _write_store(folder: Path) -> Path:
    base = folder / "s3" / CLUSTER
    (folder / "recording.jsonl").parent.mkdir(parents=True, exist_ok=True)
    (folder / "recording.jsonl").write_text("")
    document = {"kind": "Cluster", "metadata": {"name": CLUSTER}, "spec": _SPEC}
    base.mkdir(parents=True)
    for name in ("config", "cluster-completed.spec"):
        (base / name).write_text(yaml.safe_dump(document))
    for keyset in ("kubernetes-ca", "service-account"):
        path = base / "pki" / "private" / keyset / "keyset.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump(_keyset(keyset)))
    return folder


def _keyset(name: str) -> dict[str, object]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    entry = {
        "id": "1",
        "privateMaterial": base64.b64encode(private).decode(),
        "publicMaterial": base64.b64encode(public).decode(),
    }
    return {"kind": "Keyset", "spec": {"keys": [entry], "primaryId": "1"}}
