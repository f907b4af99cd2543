"""Simulated hosts for tests, each on a loopback address of its own."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bootstrap.resources import data_path
from bootstrap.sandbox.windows_host.contract import ScriptRendering
from bootstrap.sandbox.windows_host.host import HostSpec, WindowsHost
from bootstrap.sandbox.windows_host.services import AgentFactory
from bootstrap.sandbox.windows_host.state import VirtualFile
from tests.sandbox.windows_host.fake_machine import eventually

_WORKER = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "0")) or 0)
_numbers = itertools.count(10)


def user_data() -> str:
    """Return the user data that the tool gives to an instance."""
    script = (data_path("scripts") / "Enable-WinRmTls.ps1").read_text(encoding="utf-8")
    return f"<powershell>\n{script}\n</powershell>\n"


@dataclass
class World:
    """What a host does to the world around it, and what the world is like."""

    text: str = ""
    passwords: list[str] = field(default_factory=list)
    faults: set[str] = field(default_factory=set)
    urls: dict[str, VirtualFile | bytes] = field(default_factory=dict)
    is_shut_off: bool = False

    def console(self, text: str) -> None:
        self.text += text

    def password_ready(self, password: str) -> None:
        self.passwords.append(password)

    def has_fault(self, name: str) -> bool:
        return name in self.faults

    def internet(self, url: str) -> VirtualFile | bytes | None:
        return self.urls.get(url)

    def shut_off(self) -> None:
        self.is_shut_off = True

    @property
    def fingerprint(self) -> str:
        """What the console says of the certificate; '' while it says nothing."""
        found = re.search(r"BOOTSTRAP-WINRM-CERT-SHA256 ([0-9a-f]{64})", self.text)
        return found[1] if found else ""


def make_host(
    world: World,
    *,
    data: str | None = None,
    release: str = "2019",
    scripts: Mapping[str, ScriptRendering] | None = None,
    agents: Mapping[str, AgentFactory] | None = None,
) -> WindowsHost:
    """Make a host that is off."""
    number = next(_numbers)
    spec = HostSpec(
        instance_id=f"i-{number:017x}",
        address=f"127.{200 + _WORKER % 50}.{os.getpid() % 250}.{number}",
        prefix_length=20,
        gateway="127.200.0.1",
        private_dns=f"i-{number:017x}.eu-west-1.compute.internal",
        zone="eu-west-1a",
        release=release,
        user_data=user_data() if data is None else data,
        boot_s=0.0,
        time_factor=0.0,
    )
    return WindowsHost(spec, world, scripts=scripts or {}, agents=agents or {})


@contextmanager
def running_host(world: World, **options: Any) -> Iterator[WindowsHost]:
    """Boot a host and wait until its user data has opened WinRM."""
    host = make_host(world, **options)
    host.boot()
    try:
        eventually(lambda: "BOOTSTRAP-WINRM-CERT-SHA256" in world.text)
        yield host
    finally:
        host.power_off()


def refusing(module: Callable[..., dict[str, Any]], host: WindowsHost, **arguments: Any) -> str:
    """Run a module that has to fail, by its full way through the host; returns its message."""
    result = host.run_module(module.__name__, arguments)
    assert result.get("failed"), result
    return str(result["msg"])
