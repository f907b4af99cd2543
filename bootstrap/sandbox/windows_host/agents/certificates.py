"""The kubelet's client certificate: key, request, and what a stored certificate says."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
USAGES = ("digital signature", "client auth")
"""What a kubelet asks for with an ECDSA key (seen on the real one); no "key encipherment"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAndRequest:
    """A new key and the request for it, both PEM."""

    key_pem: str
    request_pem: str

    def body(self) -> dict[str, object]:
        """Return the CertificateSigningRequest as the kubelet posts it."""
        return {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"generateName": "csr-"},
            "spec": {
                "request": base64.b64encode(self.request_pem.encode()).decode(),
                "signerName": SIGNER,
                "usages": list(USAGES),
            },
        }


def new_request(node: str) -> KeyAndRequest:
    """Make an ECDSA key and a request of ``O=system:nodes, CN=system:node:<node>``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = request.sign(key, hashes.SHA256())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return KeyAndRequest(
        key_pem=key_pem.decode(),
        request_pem=signed.public_bytes(serialization.Encoding.PEM).decode(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPair:
    """Certificate and key as one PEM file holds them (``kubelet-client-current.pem``)."""

    certificate_pem: str
    key_pem: str

    @property
    def common_name(self) -> str:
        """CN of the certificate's subject."""
        certificate = x509.load_pem_x509_certificate(self.certificate_pem.encode())
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if names else ""

    @property
    def is_valid(self) -> bool:
        """Tell whether it has not expired."""
        certificate = x509.load_pem_x509_certificate(self.certificate_pem.encode())
        return certificate.not_valid_after_utc > datetime.now(UTC)


def split_pair(content: bytes) -> StoredPair | None:
    """Read a PEM file with certificate and key, None when it is no such file or has expired."""
    text = content.decode("utf-8", errors="replace")
    certificate = _block(text, "CERTIFICATE")
    key = _block(text, "EC PRIVATE KEY") or _block(text, "PRIVATE KEY")
    if not certificate or not key:
        return None
    pair = StoredPair(certificate_pem=certificate, key_pem=key)
    try:
        return pair if pair.is_valid else None
    except ValueError:
        return None


def _block(text: str, label: str) -> str:
    begin, end = f"-----BEGIN {label}-----", f"-----END {label}-----"
    start, stop = text.find(begin), text.find(end)
    return text[start : stop + len(end)] + "\n" if 0 <= start < stop else ""
