"""The network as a simulated host sees it: names, addresses that lead somewhere, the internet."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from bootstrap.sandbox.aws import AwsWorld
from bootstrap.sandbox.errors import StartError

_API_PORT = 443


class ClusterNetwork:
    """Names and addresses of one world; the API server's port is asked for each time."""

    def __init__(self, aws: AwsWorld, subnets: Sequence[str], api_port: Callable[[], int]) -> None:
        self._aws = aws
        self._subnets = subnets
        self._api_port = api_port

    def resolve(self, name: str, hosts_file: str = "") -> str:
        """Return the address of a name as the VPC's resolver does, '' when there is none.

        ``hosts_file`` is the text of the host's own file, which wins as on Windows.
        """
        if _is_address(name):
            return name
        found = _in_hosts_file(name, hosts_file)
        addresses = [found] if found else self._aws.resolve(name)
        return addresses[0] if addresses else ""

    def endpoint(self, address: str, port: int) -> tuple[str, int] | None:
        """Return where a connection really ends, None when nothing answers at that address."""
        if port == _API_PORT and address in self._aws.api_addresses():
            return "127.0.0.1", self._api_port()
        return None

    def subnet_of(self, address: str) -> str:
        """Return the CIDR of the subnet that holds an address."""
        for cidr in self._subnets:
            if ipaddress.IPv4Address(address) in ipaddress.IPv4Network(cidr):
                return cidr
        raise StartError(f"no subnet of the cluster holds {address}", evidence=str(self._subnets))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _in_hosts_file(name: str, text: str) -> str:
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if name.lower() in (word.lower() for word in words[1:]):
            return words[0]
    return ""
