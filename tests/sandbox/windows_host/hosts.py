"""Simulated hosts that are not booted: state, services and programs, without WinRM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bootstrap.sandbox.windows_host.host import HostSpec, WindowsHost
from bootstrap.sandbox.windows_host.state import VirtualFile

ADDRESS = "127.20.0.9"


@dataclass
class FakeHooks:
    """The world around a host, in memory; ``api_port`` is where the Kubernetes API is."""

    files: Mapping[str, VirtualFile | bytes] = field(default_factory=dict)
    faults: set[str] = field(default_factory=set)
    api_port: int = 0

    def console(self, text: str) -> None:
        pass

    def password_ready(self, password: str) -> None:
        pass

    def has_fault(self, name: str) -> bool:
        return name in self.faults

    def internet(self, url: str) -> VirtualFile | bytes | None:
        return self.files.get(url)

    def shut_off(self) -> None:
        pass

    def resolve(self, name: str, hosts_file: str) -> str:
        return "127.20.0.5" if name.startswith("api.internal.") else ""

    def endpoint(self, address: str, port: int) -> tuple[str, int] | None:
        return ("127.0.0.1", self.api_port) if (address, port) == ("127.20.0.5", 443) else None


def make_host(hooks: FakeHooks | None = None) -> WindowsHost:
    """Return a Windows Server 2019 host."""
    spec = HostSpec(
        instance_id="i-0123456789abcdef0",
        address=ADDRESS,
        prefix_length=17,
        gateway="127.20.0.1",
        private_dns="i-0123456789abcdef0.eu-west-1.compute.internal",
        zone="eu-west-1a",
        release="2019",
        user_data="",
        boot_s=0.0,
        time_factor=0.0,
    )
    return WindowsHost(spec, hooks or FakeHooks())
