"""Take secrets out of text that leaves the machine. Pure.

Masks too much rather than too little: a word after ``token:`` goes, whatever it is. Only what has
a form can be found, so a bundle is still something to look through before it is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bootstrap.model.secret import MASK, Secret

_NAMES = (
    r"passw(?:or)?d|passphrase|pwd|secret|token|credential|api[_-]?key|private[_-]?key"
    r"|access[_-]?key(?:[_-]?id)?|secret[_-]?key|client-key-data|client-certificate-data"
    r"|dockerconfigjson|authorization"
)
_NAME = re.compile(rf"(?:.*(?:{_NAMES})s?|auth)", re.IGNORECASE)
_KEY = "(?:[A-Z]+ )*PRIVATE KEY-----"
_BASE64_LINES = r"(?:[A-Za-z0-9+/=]+\s+)+"

# Each pattern has one group before the secret, which stays, and may have one after it.
_PATTERNS = tuple(
    re.compile(text)
    for text in (
        # PEM, whole or cut off at either end; \n may stand there as two characters.
        rf"(?s)(-----BEGIN {_KEY}).*?(-----END {_KEY}|\Z)",
        rf"(\A){_BASE64_LINES}(-----END {_KEY})",
        # EC2 prints the Administrator password, encrypted, to the console.
        r"(?is)(<password>).*?(</password>|\Z)",
        r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|negotiate|ntlm)\s+)[^\s\"',]+",
        r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/-]{16,}=*",
        # JSON Web Tokens: ServiceAccounts, OIDC.
        r"(\b)eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?",
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
        r"(\b)(?:AKIA|ASIA)[A-Z2-7]{16}\b",
        r"(?i)(\bX-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"']+",
        # kubeadm's form of bootstrap tokens.
        r"(?<![\w.-])()[a-z0-9]{6}\.[a-z0-9]{16}(?![\w-]|\.\w)",
        r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@\"']*:[^/\s@\"']+(?=@)",
        rf"(?i)(--[\w-]*(?:{_NAMES})(?:=|\s+))(?!\*)\S+",
        rf"(?i)([\"']?[\w.-]*(?:{_NAMES})s?[\"']?\s*[:=]\s*)(?!\*|(?:basic|bearer|negotiate|ntlm)\s)"
        r"(?:\\?\"[^\"]*\"|'[^']*'|[^\s,;&}\]]+)",
        r"(?i)([\"']auth[\"']\s*:\s*)\"[^\"]*\"",
    )
)


@dataclass(slots=True, kw_only=True)
class Redactor:
    """Mask secrets, and count them; ``known`` are secrets that this run itself has held."""

    known: Iterable[Secret] = ()
    count: int = field(default=0, init=False)

    def text(self, text: str) -> str:
        """Return text without secrets."""
        for secret in self.known:
            if secret:
                self.count += text.count(secret.reveal())
                text = text.replace(secret.reveal(), MASK)
        for pattern in _PATTERNS:
            text, found = pattern.subn(_masked, text)
            self.count += found
        return text

    def value(self, value: object) -> object:
        """Return a JSON value without secrets: in every text, and wherever a name says so."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {str(name): self._named(str(name), item) for name, item in value.items()}
            case list() | tuple():
                return [self.value(item) for item in value]
            case _:
                return value

    def _named(self, name: str, value: object) -> object:
        if isinstance(value, str) and value and _NAME.fullmatch(name):
            self.count += 1
            return MASK
        return self.value(value)


def _masked(found: re.Match[str]) -> str:
    after = found[2] if found.re.groups > 1 else ""
    return f"{found[1]}{MASK}{after}"
