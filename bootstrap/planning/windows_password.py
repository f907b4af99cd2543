"""The Administrator password as EC2 gives it: encrypted to the instance's RSA key pair.

docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetPasswordData.html; pure, nothing is kept.
"""

from __future__ import annotations

import base64

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from bootstrap.errors import AccessError
from bootstrap.model.secret import Secret

_SHORTEST_PASSWORD = 8
"""EC2Launch makes longer ones; shorter text would be chance after a wrong key."""


def rsa_key(private_key: Secret) -> rsa.RSAPrivateKey:
    """Load a PEM or OpenSSH private key; AccessError unless it is an RSA key without passphrase."""
    data = private_key.reveal().encode()
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        key = load(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise AccessError(
            "the private key cannot be read",
            evidence=type(exc).__name__,
            fix="give an unencrypted RSA private key in PEM or OpenSSH form",
            command="ssh-keygen -p -N '' -f KEY",
        ) from exc
    if not isinstance(key, rsa.RSAPrivateKey):
        raise AccessError(
            "the private key is not RSA",
            fix="EC2 encrypts Windows passwords to RSA key pairs only; use an RSA key pair",
        )
    return key


def decrypt(key: rsa.RSAPrivateKey, data: str) -> Secret | None:
    """Decrypt what GetPasswordData gave; None when the key is not the instance's."""
    try:
        plain = key.decrypt(base64.b64decode(data), padding.PKCS1v15())
    except ValueError:
        return None
    # OpenSSL >= 3.2 answers a wrong key with random bytes, not an error (implicit rejection).
    is_text = len(plain) >= _SHORTEST_PASSWORD and all(32 <= byte < 127 for byte in plain)
    return Secret(plain.decode()) if is_text else None
