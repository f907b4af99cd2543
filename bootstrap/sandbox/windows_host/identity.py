"""What Windows and our user data make at a first boot: password and self-signed certificate."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = timedelta(days=5 * 365)
_BACKDATED = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A host's certificate with its key, both PEM."""

    certificate_pem: str
    key_pem: str
    sha256: str
    """SHA-256 of the DER form, 64 hex digits: what the user data writes to the console."""


def self_signed(address: str, name: str) -> Certificate:
    """Make what the user data's New-SelfSignedCertificate makes: SANs of address and name."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    # A common name holds 64 characters (RFC 5280); clients look at the SANs.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    names = [x509.IPAddress(ipaddress.ip_address(address)), x509.DNSName(name)]
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Certificate(
        certificate_pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key_pem=private.decode(),
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def new_password() -> str:
    """Make an Administrator's password as EC2Launch does: 32 characters of every kind."""
    # No colon: pyspnego's file of accounts separates its fields by it.
    alphabet = string.ascii_letters + string.digits + "!@#$%&*()-=+"
    return "Aa1!" + "".join(secrets.choice(alphabet) for _ in range(28))


def computer_name(instance_id: str) -> str:
    """Return the name that sysprep gives, the same for the same instance."""
    return f"EC2AMAZ-{hashlib.sha256(instance_id.encode()).hexdigest()[:7].upper()}"


def mac_address(instance_id: str) -> str:
    """Return the MAC of the primary interface as Windows writes it."""
    digest = hashlib.sha256(instance_id.encode()).digest()
    return "-".join(f"{byte:02X}" for byte in (0x02, *digest[:5]))


def thumbprint(instance_id: str) -> str:
    """Return the SHA-1 of the certificate of Remote Desktop, which nobody here connects to."""
    digest = hashlib.sha256(f"rdp {instance_id}".encode()).hexdigest()
    return digest[:40].upper()
