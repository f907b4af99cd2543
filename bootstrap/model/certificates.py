"""A certificate signing request, parsed, as the approval rules look at it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RequestState(StrEnum):
    """Where a CertificateSigningRequest stands."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    FAILED = "failed"
    ISSUED = "issued"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """A CertificateSigningRequest object with its PKCS#10 content read and its signature checked.

    ``parse_error`` is not '' when the content is no valid request; the X.509 fields are then empty.
    ``created_at`` is RFC 3339. ``key_bits`` is the RSA modulus or the curve size.
    """

    name: str
    uid: str
    created_at: str
    signer: str
    requester: str
    requester_groups: tuple[str, ...]
    usages: frozenset[str]
    state: RequestState
    common_name: str = ""
    organizations: tuple[str, ...] = ()
    other_subject: tuple[str, ...] = ()
    """Subject attributes beyond CN and O, as ``type=value``."""
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()
    """E-mail, URI and further subject alternative names."""
    key_type: str = ""
    """``rsa``, ``ecdsa``, ``ed25519`` or the library's name of anything else."""
    key_bits: int = 0
    parse_error: str = ""
