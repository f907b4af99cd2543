"""Addresses that pods of a simulated host get, as host-local gives them out."""

from __future__ import annotations

import ipaddress
import threading

_FIRST = 3
""".1 is the gateway, .2 what host-local gives first: kube-proxy's source VIP."""


class PodAddresses:
    """Gives out addresses of one node's pod network, each once at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, str] = {}

    def take(self, pod_uid: str, pod_cidr: str) -> str:
        """Return the pod's address, '' when the network is full or the node has none."""
        if not pod_cidr:
            return ""
        network = ipaddress.IPv4Network(pod_cidr)
        with self._lock:
            if pod_uid in self._taken:
                return self._taken[pod_uid]
            used = set(self._taken.values())
            for offset in range(_FIRST, network.num_addresses - 1):
                address = str(network.network_address + offset)
                if address not in used:
                    self._taken[pod_uid] = address
                    return address
        return ""

    def give_back(self, pod_uid: str) -> None:
        """Free a pod's address."""
        with self._lock:
            self._taken.pop(pod_uid, None)
