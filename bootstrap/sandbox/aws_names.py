"""What a name resolves to inside the cluster's VPC: Route53, load balancers, private DNS names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

_MOST_ALIASES = 8
"""Aliases and CNAMEs followed before a name counts as a loop."""


def resolve(name: str, zones: Iterable[Any], own: Callable[[str], list[str]]) -> list[str]:
    """Resolve as the VPC's resolver would, [] for a name that it does not know.

    ``own`` knows Amazon's names: load balancers and private DNS names of instances.
    Private zones go before public ones and the longest zone name wins,
    docs.aws.amazon.com/Route53/latest/DeveloperGuide/hosted-zone-private-considerations.html
    """
    ordered = sorted(zones, key=lambda zone: (not zone.private_zone, -len(zone.name)))
    current = name.rstrip(".").lower()
    for _ in range(_MOST_ALIASES):
        addresses = own(current)
        if addresses:
            return addresses
        record = _record(current, ordered)
        if record is None:
            return []
        if record.type == "A" and record.records:
            return [str(address) for address in record.records]
        current = _next_name(record)
        if not current:
            return []
    return []


def _record(name: str, zones: Iterable[Any]) -> Any | None:
    for zone in zones:
        for record in zone.rrsets:
            if record.name.rstrip(".").lower() == name and record.type in ("A", "CNAME"):
                return record
    return None


def _next_name(record: Any) -> str:
    target = (record.alias_target or {}).get("DNSName") or "".join(record.records[:1])
    # Alias targets of kops carry the prefix that asks for both address families.
    return str(target).rstrip(".").lower().removeprefix("dualstack.")
