"""Moves a cluster's VPC network into 127.0.0.0/8, where this machine can bind every address.

172.20.x.y becomes 127.20.x.y: the low 16 bits stay, the slot is the second octet. A VPC has at most
a /16 (docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html), so one slot holds any VPC.
Pod and service addresses are outside of the VPC and are never moved.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from bootstrap.sandbox.errors import StartError, StoreError

_LOW_BITS = 0xFFFF
_FIRST_FREE_SLOT = 20
"""Slots below are left alone: 127.0.x.y and neighbours are what other programs listen on."""
_LAST_SLOT = 254
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)")


@dataclass(frozen=True, slots=True)
class AddressMap:
    """Where addresses of ``vpc_cidr`` lie in 127.0.0.0/8; every other address stays."""

    vpc_cidr: str
    slot: int

    def __post_init__(self) -> None:
        try:
            network = IPv4Network(self.vpc_cidr)
        except ValueError as exc:
            raise StoreError(f"networkCIDR {self.vpc_cidr!r} is no IPv4 network") from exc
        if network.prefixlen < 16:
            raise StoreError(f"networkCIDR {self.vpc_cidr} is larger than a VPC can be (/16)")
        if not 0 < self.slot <= _LAST_SLOT:
            raise ValueError(self.slot)

    @property
    def network(self) -> str:
        """The moved VPC network."""
        network = IPv4Network(self.vpc_cidr)
        return f"{self._moved(network.network_address)}/{network.prefixlen}"

    def move(self, address: str) -> str:
        """Move an address or network (``172.20.32.0/19``); what lies elsewhere stays."""
        return self.rewrite(address)

    def rewrite(self, text: str) -> str:
        """Move every address of the VPC that a text mentions."""
        network = IPv4Network(self.vpc_cidr)

        def replace(match: re.Match[str]) -> str:
            try:
                address = IPv4Address(match[0])
            except ValueError:
                return match[0]
            return self._moved(address) if address in network else match[0]

        return _IPV4.sub(replace, text)

    def _moved(self, address: IPv4Address) -> str:
        return str(IPv4Address((127 << 24) | (self.slot << 16) | (int(address) & _LOW_BITS)))


class SlotClaim:
    """A slot that no other live sandbox on this machine has; free again when released or killed."""

    def __init__(self, number: int, held: socket.socket) -> None:
        self.number = number
        self._held = held

    def release(self) -> None:
        """Give the slot back; a second call does nothing."""
        self._held.close()


def claim_slot(vpc_cidr: str) -> SlotClaim:
    """Claim a slot by an abstract Unix socket, whose name is one for the whole network namespace.

    Loopback is one for it too, whoever's sandboxes run there; and the name goes with the process.
    """
    for slot in _candidates(vpc_cidr):
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            held.bind(f"\0bootstrap-sandbox-127.{slot}")
        except OSError:
            held.close()
            continue
        return SlotClaim(slot, held)
    raise StartError("every 127.x network is taken by another sandbox")


def _candidates(vpc_cidr: str) -> Iterator[int]:
    octets = vpc_cidr.split(".")
    preferred = int(octets[1]) if octets[0] == "172" and octets[1].isdigit() else 0
    if 0 < preferred <= _LAST_SLOT:
        yield preferred
    yield from (slot for slot in range(_FIRST_FREE_SLOT, _LAST_SLOT + 1) if slot != preferred)
