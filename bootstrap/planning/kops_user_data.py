"""The CA in the user data of Linux nodes (``ConfigServer``, kops >= 1.26).

A second source beside the state store, for stores whose ``igconfig`` shows no CA. Forms that kops
writes: a shell script with ``kube_env.yaml`` as a here-document, or, with ``compressUserData``,
as gzip in base64; wrapped in MIME where an instance group has ``additionalUserData``. EC2 gives it
as base64. Source: kops ``pkg/model/resources/nodeup.go``, ``pkg/model/bootstrapscript.go``.
"""

from __future__ import annotations

import base64
import binascii
import email
import re
import zlib
from collections.abc import Iterator
from typing import Final

from bootstrap.planning.kops_keyset import bundle

_BLOCK = re.compile(
    r"^( *)CACertificates: \|[-+]?\n((?:\1 +\S.*(?:\n|\Z)|[ \t]*\n)+)", re.MULTILINE
)
_PACKED = re.compile(r'echo "([A-Za-z0-9+/=]{64,})" \| base64 -d \| gzip -d')
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
_MOST_BYTES: Final = 1024 * 1024
"""EC2 takes 16 KB; what unpacks to more than this is not kops' work."""


def ca_from_user_data(text: str) -> str:
    """Return the CA bundle in a node's user data as PEM, '' if there is none.

    Takes the text as EC2 gives it or decoded already. Other certificates in it, of an additional
    script for instance, do not count.
    """
    blocks = [block for form in _forms(text) for _, block in _BLOCK.findall(form)]
    return bundle(blocks)


def _forms(text: str) -> Iterator[str]:
    """Yield the text, and what is packed in it."""
    text = text.replace("\r\n", "\n")
    if _BASE64.fullmatch(text):
        text = _unpacked(text)
    yield text
    if text.lstrip().lower().startswith(("content-type:", "mime-version:")):
        for part in email.message_from_string(text).walk():
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                yield from _packed_and_plain(payload.decode(errors="replace"))
    yield from (_unpacked(found) for found in _PACKED.findall(text))


def _packed_and_plain(text: str) -> Iterator[str]:
    yield text
    yield from (_unpacked(found) for found in _PACKED.findall(text))


def _unpacked(text: str) -> str:
    """Decode base64, and gzip below it; '' when it is neither."""
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
        if data[:2] == b"\x1f\x8b":
            data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, _MOST_BYTES)
        return data.decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError):
        return ""
