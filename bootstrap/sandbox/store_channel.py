"""Version ranges of kops channels: which manifest of an add-on serves a Kubernetes version.

Source: kops ``channels/pkg/channels/addons.go`` and the semver library that it uses.
"""

from __future__ import annotations

import re

from bootstrap.sandbox.errors import StoreError

_TERM = re.compile(r"(>=|<=|>|<|!=|==|=)?\s*v?(\d+(?:\.\d+){0,2})(?:-[0-9A-Za-z.-]+)?$")


def in_version_range(version: str, wanted: str) -> bool:
    """Tell whether a version lies in a range as kops channels write it (``>=1.12.0 <1.25.0``).

    Terms joined by blanks must all hold, ``||`` separates alternatives; '' holds always.
    Pre-releases are cut off on both sides, as kops does with the cluster's version.
    """
    if not wanted.strip():
        return True
    alternatives = re.sub(r"(>=|<=|>|<|!=|==|=)\s+", r"\1", wanted).split("||")
    return any(all(_holds(version, term) for term in terms.split()) for terms in alternatives)


def _holds(version: str, term: str) -> bool:
    match = _TERM.match(term)
    if not match:
        raise StoreError(f"the channel has a version range that cannot be read: {term!r}")
    left, right = _triple(version), _triple(match[2])
    match match[1]:
        case ">=":
            return left >= right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case "<":
            return left < right
        case "!=":
            return left != right
        case _:
            return left == right


def _triple(version: str) -> tuple[int, int, int]:
    numbers = [int(part) for part in re.findall(r"\d+", version.split("-")[0])[:3]]
    major, minor, patch = (numbers + [0, 0, 0])[:3]
    return major, minor, patch
