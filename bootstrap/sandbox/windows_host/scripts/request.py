"""What the renderings of our scripts share: fields of the request, thrown errors, answers."""

from __future__ import annotations

from typing import Any

from bootstrap.sandbox.windows_host.contract import ScriptOutcome

Request = dict[str, Any]


class Thrown(Exception):
    """The script throws; the text begins with a code of ``scripts/README.md``."""


def field(request: Request, name: str) -> Any:
    """Return a field of the request; Thrown with WN0001 when it is missing."""
    if name not in request:
        raise Thrown(f"WN0001 the request lacks the field {name}")
    return request[name]


def answer(*, changed: bool, **fields: Any) -> ScriptOutcome:
    """Return an answer, ``changed`` first."""
    return ScriptOutcome(answer={"changed": changed, **fields})
