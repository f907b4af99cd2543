"""What a simulated host is given: its instance, and the world around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bootstrap.sandbox.windows_host.state import VirtualFile


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """What EC2 gives a host."""

    instance_id: str
    address: str
    prefix_length: int
    gateway: str
    private_dns: str
    zone: str
    release: str
    user_data: str
    boot_s: float = 1.0
    """How long a boot takes."""
    time_factor: float = 0.02
    """What delays of real programs are multiplied with."""


class HostHooks(Protocol):
    """The world around a host."""

    def console(self, text: str) -> None:
        """Append to the EC2 console output."""

    def password_ready(self, password: str) -> None:
        """Tell EC2 the Administrator password."""

    def has_fault(self, name: str) -> bool:
        """Tell whether a named fault is set for this host."""

    def internet(self, url: str) -> VirtualFile | bytes | None:
        """Return what a URL serves, None for nothing."""

    def shut_off(self) -> None:
        """The host asks EC2 to stop it (``shutdown /s``)."""
