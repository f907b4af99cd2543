"""The ways the sandbox's world can be told to break, by name.

A fault is only a name with a scope here; the part of the world that it breaks asks the board at
the moment it matters (``board.is_set``), so a fault can be set before a node exists and cleared
while something waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from bootstrap.sandbox.errors import UnknownFaultError


class FaultScope(StrEnum):
    """Whether a fault breaks the whole world, or a node (one of ours by name, or every node)."""

    WORLD = "world"
    NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way the world can break."""

    name: str
    scope: FaultScope
    description: str


def _node(name: str, description: str) -> Fault:
    return Fault(name=name, scope=FaultScope.NODE, description=description)


def _world(name: str, description: str) -> Fault:
    return Fault(name=name, scope=FaultScope.WORLD, description=description)


_ALL = (
    _node("slow-boot", "Windows needs thirty times as long to boot"),
    _node("instance-dies-while-booting", "the instance goes to terminated before WinRM is up"),
    _node("user-data-ignored", "EC2Launch does not run the user data: no listener, no console"),
    _node("wrong-certificate", "the host shows another certificate than the console says"),
    _node("winrm-refused", "nothing listens on 5986 though the user data ran"),
    _node("password-never", "GetPasswordData stays empty"),
    _node(
        "reboot-in-task", "the host reboots in the middle of a task, once, after its first reboot"
    ),
    _node("winrm-drop-at-vswitch", "every WinRM connection breaks for 5 s at the first vSwitch"),
    _node("lost-metadata-route", "the route to 169.254.169.254 is lost and cannot be restored"),
    _node("wrong-checksum", "downloads bring other bytes than were published"),
    _node("node-name-wrong", "the kubelet asks for a certificate for the computer's name"),
    _node("provider-id-wrong", "the Node names an instance that is not there, and is deleted"),
    _world("capacity-error", "RunInstances says InsufficientInstanceCapacity"),
    _world("throttling", "EC2 answers RequestLimitExceeded to two calls of three"),
    _world("expired-credentials", "every AWS call says that the token has expired"),
    _world("access-denied", "EC2 refuses RunInstances for lack of permission"),
    _world("api-server-down", "nothing listens at the Kubernetes API"),
    _world("csr-never-signed", "the controller manager stands still: no certificate is signed"),
    _world("approver-blocked", "an admission policy refuses to approve certificate requests"),
    _world("vni-reverted", "kops' own flannel configuration comes back, as after an update"),
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}

EVERY_NODE = ""
"""In place of a node's name: the fault holds for the world, or for every node."""

Listener = Callable[[Fault, str, bool], None]
"""Called with fault, node name or EVERY_NODE, and whether it was set or cleared."""


class FaultBoard:
    """Which faults are on; shared by all parts of one world, safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: set[tuple[str, str]] = set()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` after each change, in the thread that made it."""
        self._listeners.append(listener)

    def set(self, name: str, node: str = EVERY_NODE) -> None:
        """Switch a fault on; UnknownFaultError for a wrong name or scope."""
        fault = find_fault(name, node)
        with self._lock:
            self._active.add((name, node))
        self._tell(fault, node, is_set=True)

    def clear(self, name: str, node: str = EVERY_NODE) -> None:
        """Switch a fault off; one that is off is fine. Without a node it is off for every node."""
        fault = find_fault(name, node)
        with self._lock:
            self._active = {
                entry
                for entry in self._active
                if entry[0] != name or (node != EVERY_NODE and entry[1] != node)
            }
        self._tell(fault, node, is_set=False)

    def is_set(self, name: str, node: str = EVERY_NODE) -> bool:
        """Tell whether the fault holds now for the node (or the world)."""
        if name not in FAULTS:
            raise KeyError(name)
        with self._lock:
            return (name, node) in self._active or (name, EVERY_NODE) in self._active

    def active(self) -> list[tuple[str, str]]:
        """List what is on as (name, node), sorted."""
        with self._lock:
            return sorted(self._active)

    def _tell(self, fault: Fault, node: str, *, is_set: bool) -> None:
        for listener in self._listeners:
            listener(fault, node, is_set)


def find_fault(name: str, node: str = EVERY_NODE) -> Fault:
    """Look a fault up; UnknownFaultError names the nearest one, or the scope that is wrong."""
    fault = FAULTS.get(name)
    if fault is None:
        near = get_close_matches(name, FAULTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownFaultError(
            f"there is no fault {name!r}{hint}", target=name, command="bootstrap sandbox fault list"
        )
    if node != EVERY_NODE and fault.scope is FaultScope.WORLD:
        raise UnknownFaultError(
            f"the fault {name!r} is one of the whole world; leave --node out", target=name
        )
    return fault
