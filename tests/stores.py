"""Where tests find kops state stores: the one that ships, and more where they are asked for.

``BOOTSTRAP_FIXTURES`` names a folder with ``stores/``, folders that kops wrote. Without it only the
shipped store is tried, since each more costs a sandbox; what needs a store is skipped where even
that is missing.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SHIPPED = Path(__file__).parents[1] / "config" / "demo-store"
_FOLDER = os.environ.get("BOOTSTRAP_FIXTURES", "")
MORE = (
    tuple(sorted(path.parent for path in Path(_FOLDER, "stores").glob("*/recording.jsonl")))
    if _FOLDER
    else ()
)
ALL = ((SHIPPED,) if (SHIPPED / "recording.jsonl").is_file() else ()) + MORE


def any_store() -> Path:
    """Return a store, or skip the test."""
    if not ALL:
        pytest.skip(
            "no state store: config/demo-store is missing and BOOTSTRAP_FIXTURES is not set"
        )
    return ALL[0]


@functools.cache
def private_key_pem() -> str:
    """Return an RSA private key; one for all tests, since making it takes a while."""
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
