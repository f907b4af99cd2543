"""Certificates of the cluster's CA, from the public places of a state store.

``pki/private`` holds the CA's certificate too, beside its key, and is never read. Public places:

- ``igconfig/<role>/<group>/nodeupconfig.yaml`` (kops >= 1.22): ``CAs`` has the bundle that kops
  rendered at the last ``update cluster``: in that of the control plane always, in that of nodes
  until kops 1.25;
- ``pki/issued/<ca>/keyset.yaml`` and ``*.crt`` (kops <= 1.21; stale in a store that kops >= 1.22
  has taken over, hence second).

Sources: kops ``upup/pkg/fi/keyset.go`` (``FindPrimary``, ``ToCertificateBytes``),
``upup/pkg/fi/vfs_keystorereader.go``, ``pkg/model/bootstrapscript.go``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

from bootstrap.planning.kops_documents import (
    Document,
    SpecError,
    has,
    parse_mapping,
    parse_object,
    section,
    sections_at,
    text_at,
)

CA_KEYSETS: Final = ("kubernetes-ca", "ca")
"""kops 1.22 and later, and before."""
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END CERTIFICATE-----"
)
_ROLES = ("control-plane", "master", "apiserver", "node")


def nodeup_config_order(paths: Iterable[str]) -> tuple[str, ...]:
    """Sort objects below ``igconfig/`` by where the CA is likely: the control plane first."""

    def rank(path: str) -> tuple[int, str]:
        role = path.removeprefix("igconfig/").split("/")[0]
        return (_ROLES.index(role) if role in _ROLES else len(_ROLES), path)

    return tuple(sorted((p for p in paths if p.endswith("/nodeupconfig.yaml")), key=rank))


def bundle_of_nodeup_config(text: str) -> str:
    """Return the CA bundle of a ``nodeupconfig.yaml``, '' where it has none."""
    authorities = section(parse_mapping(text), "CAs")
    named = (text_at(authorities, name) for name in CA_KEYSETS)
    return bundle([next((text for text in named if text), "")])


def bundle_of_keyset(text: str) -> str:
    """Return all certificates of a keyset that are not distrusted, the primary one first.

    Private material, where a document has any, is dropped unread.
    """
    spec = section(parse_object(text, "Keyset"), "spec")
    keys = {
        text_at(key, "id"): _certificates_of_key(key)
        for key in sections_at(spec, "keys")
        if not has(key, "distrustTimestamp")
    }
    primary = primary_id(keys, text_at(spec, "primaryId"))
    return bundle(keys[key] for key in sorted(keys, key=lambda key: _rank(key, primary)))


def primary_id(trusted: Iterable[str], named: str) -> str:
    """Return the id of the primary key, '' when there is none.

    ``named`` (``primaryId``) wins where it is trusted, else the numerically greatest; ids that are
    no numbers never become primary by themselves.
    """
    ids = tuple(trusted)
    if named in ids:
        return named
    return max((key for key in ids if _is_number(key)), key=int, default="")


def bundle(texts: Iterable[str]) -> str:
    """Return every CERTIFICATE block of the texts once, as PEM with lines of 64; nothing else."""
    found = dict.fromkeys(
        "".join(body.split()) for text in texts for body in _CERTIFICATE.findall(text)
    )
    return "".join(_pem(body) for body in found)


def _pem(body: str) -> str:
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def _certificates_of_key(key: Document) -> str:
    material = "".join(text_at(key, "publicMaterial").split())
    try:
        return base64.b64decode(material, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise SpecError(f"publicMaterial of key {text_at(key, 'id')} is no base64 PEM") from exc


def _rank(key: str, primary: str) -> tuple[bool, bool, int, str]:
    """Order: the primary key, then the others, newest (greatest id) first."""
    is_number = _is_number(key)
    return (key != primary, not is_number, -int(key) if is_number else 0, key)


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdigit()
