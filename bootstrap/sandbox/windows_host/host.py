"""One simulated Windows host: boots, runs its user data, serves WinRM, runs services, reboots."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import string
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from bootstrap.sandbox.windows_host import modules, userdata
from bootstrap.sandbox.windows_host.contract import ScriptRendering
from bootstrap.sandbox.windows_host.modules.arguments import Refused
from bootstrap.sandbox.windows_host.powershell import Interpreter
from bootstrap.sandbox.windows_host.services import AgentFactory, ServiceManager
from bootstrap.sandbox.windows_host.state import (
    Adapter,
    FeatureState,
    Route,
    VirtualFile,
    WindowsState,
)
from bootstrap.sandbox.windows_host.winrm import Counters, WinRmServer

ADMINISTRATOR = "Administrator"
METADATA_ADDRESSES = (
    "169.254.169.254",
    "169.254.169.253",
    "169.254.169.123",
    "169.254.169.249",
    "169.254.169.250",
    "169.254.169.251",
)
_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
Internet = Callable[[str], "VirtualFile | bytes | None"]


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


@dataclass(slots=True)
class _Power:
    """Whether the host is on; ``epoch`` changes with every boot and ends what ran before."""

    on: bool = False
    epoch: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)


class WindowsHost:
    """A host. ``scripts`` and ``agents`` are looked up by name; tests may give their own."""

    def __init__(
        self,
        spec: HostSpec,
        hooks: HostHooks,
        *,
        scripts: Mapping[str, ScriptRendering] | None = None,
        agents: Mapping[str, AgentFactory] | None = None,
    ) -> None:
        self.spec = spec
        self.hooks = hooks
        adapter = Adapter(
            name="Ethernet",
            index=5,
            address=spec.address,
            prefix_length=spec.prefix_length,
            gateway=spec.gateway,
            mac=_mac(spec.instance_id),
        )
        name = f"EC2AMAZ-{hashlib.sha256(spec.instance_id.encode()).hexdigest()[:7].upper()}"
        self.state = WindowsState(release=spec.release, computer_name=name, adapter=adapter)
        self.state.users[ADMINISTRATOR.lower()] = _password()
        self.counters = Counters()
        self.latency_s = 0.0
        self._scripts = scripts
        self.services = ServiceManager(self, agents)
        self._power = _Power()
        self._winrm: WinRmServer | None = None
        self._certificate: tuple[str, str] | None = None
        self._set_up = False

    @property
    def scripts(self) -> Mapping[str, ScriptRendering]:
        """Script file name -> rendering."""
        if self._scripts is None:
            from bootstrap.sandbox.windows_host.scripts import SCRIPTS

            self._scripts = SCRIPTS
        return self._scripts

    # -- power --
    def boot(self) -> None:
        """Start in the background; WinRM answers once the boot is through."""
        with self._power.lock:
            self._power.on = True
            self._power.epoch += 1
            epoch = self._power.epoch
        threading.Thread(
            target=self._boot, args=(epoch,), name=f"boot-{self.spec.instance_id}", daemon=True
        ).start()

    def power_off(self) -> None:
        """Stop at once, services and connections with it."""
        with self._power.lock:
            self._power.on = False
            self._power.epoch += 1
        self._stop_winrm()
        self.services.stop_all()
        self._lose_volatile()

    def reboot(self, delay_s: float = 0.0) -> None:
        """Go down after a delay and come back; returns at once."""
        threading.Thread(target=self._reboot, args=(delay_s,), name="reboot", daemon=True).start()

    def _reboot(self, delay_s: float) -> None:
        time.sleep(delay_s * self.spec.time_factor)
        with self._power.lock:
            if not self._power.on:
                return
        self.power_off()
        self.boot()

    def is_current(self, epoch: int) -> bool:
        """Tell whether the boot with that number is still the running one."""
        with self._power.lock:
            return self._power.on and self._power.epoch == epoch

    def _boot(self, epoch: int) -> None:
        factor = 30.0 if self.hooks.has_fault("slow-boot") else 1.0
        _wait(self.spec.boot_s * factor, lambda: not self.is_current(epoch))
        if not self.is_current(epoch):
            return
        state = self.state
        with state.lock:
            state.boot_time = time.time()
            state.boots += 1
            state.reboot_pending = False
            for name, feature in state.features.items():
                if feature is FeatureState.INSTALL_PENDING:
                    state.features[name] = FeatureState.INSTALLED
            self._add_metadata_routes()
        if not self._set_up:
            self._first_boot()
        if self._certificate is not None and not self.hooks.has_fault("winrm-refused"):
            self._start_winrm()
        self.services.start_automatic(epoch)

    def _first_boot(self) -> None:
        self._set_up = True
        if self.hooks.has_fault("user-data-ignored"):
            self.hooks.console("Ec2Launch: user data was not executed\n")
        else:
            outcome = userdata.launch(self.spec.user_data)
            self.hooks.console(outcome.log + "\n")
            if outcome.opens_winrm:
                self._open_winrm()
        if not self.hooks.has_fault("password-never"):
            self.hooks.password_ready(self.state.users[ADMINISTRATOR.lower()])
        self.hooks.console("Message: Windows is Ready to use\n")

    def _open_winrm(self) -> None:
        self._certificate, fingerprint = _self_signed(self.spec)
        if self.hooks.has_fault("wrong-certificate"):
            # Something else answers on the address than what wrote the console.
            self._certificate, _ = _self_signed(self.spec)
        self.hooks.console(f"RDPCERTIFICATE-SUBJECTNAME: {self.state.computer_name}\n")
        self.hooks.console(f"BOOTSTRAP-WINRM-CERT-SHA256 {fingerprint}\n")

    def _add_metadata_routes(self) -> None:
        """EC2Launch puts these at every boot, on the adapter that is there then."""
        adapter = self.state.main_adapter()
        for address in METADATA_ADDRESSES:
            route = Route(
                destination=f"{address}/32", next_hop=adapter.gateway, interface=adapter.name
            )
            if all(item.destination != route.destination for item in self.state.routes):
                self.state.routes.append(route)

    def _lose_volatile(self) -> None:
        """Forget what does not outlive a shutdown: HNS, pipes, routes that are not persistent."""
        with self.state.lock:
            self.state.hns.networks.clear()
            self.state.hns.endpoints.clear()
            self.state.hns.load_balancers.clear()
            self.state.pipes.clear()
            self.state.detach_switch()
            self.state.routes = [route for route in self.state.routes if route.persistent]

    # -- WinRM --
    def _start_winrm(self) -> None:
        assert self._certificate is not None  # checked by the caller
        server = WinRmServer(
            self.spec.address,
            self._certificate,
            (ADMINISTRATOR, lambda: self.state.users[ADMINISTRATOR.lower()]),
            Interpreter(self),
            self.counters,
            lambda: self.latency_s,
        )
        server.start()
        self._winrm = server

    def _stop_winrm(self) -> None:
        server, self._winrm = self._winrm, None
        if server is not None:
            server.stop()

    def network_blip(self) -> None:
        """Cut all connections, as the first vSwitch on the adapter does."""
        if self._winrm is not None:
            self._winrm.drop_connections()

    # -- what PowerShell asks of the machine --
    def boot_file_time(self) -> int:
        """Return the boot time as a Windows FILETIME."""
        booted = datetime.fromtimestamp(self.state.boot_time, UTC)
        return int((booted - _FILETIME_EPOCH).total_seconds() * 10_000_000)

    def shut_down(self, delay_s: float) -> None:
        """Reboot after a delay."""
        self.reboot(delay_s)

    def computer_name(self) -> str:
        """Return the NetBIOS name."""
        return self.state.computer_name

    def write_file(self, path: str, content: bytes) -> None:
        """Write a file that a connection plug-in uploads."""
        self.state.files.write(path, content)

    def knows_module(self, name: str) -> bool:
        """Tell whether a module is imitated."""
        return name in modules.MODULES

    def run_module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an Ansible module; a reboot may come in the middle of it."""
        if self.hooks.has_fault("reboot-in-task") and self.state.boots == 2:
            self.power_off()
            self.boot()
        check = bool(arguments.get("_ansible_check_mode"))
        try:
            return modules.MODULES[name](self, dict(arguments), check)
        except Refused as exc:
            return {"failed": True, "changed": False, "msg": str(exc)}


def _wait(seconds: float, is_over: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not is_over():
        time.sleep(min(left, 0.1))


def _mac(instance_id: str) -> str:
    digest = hashlib.sha256(instance_id.encode()).digest()
    return "-".join(f"{byte:02X}" for byte in (0x02, *digest[:5]))


def _password() -> str:
    alphabet = string.ascii_letters + string.digits + "!@#$%&*()-=+"
    return "Aa1!" + "".join(secrets.choice(alphabet) for _ in range(28))


def _self_signed(spec: HostSpec) -> tuple[tuple[str, str], str]:
    """Make what New-SelfSignedCertificate makes; returns the pair (PEM) and the SHA-256 (hex)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, spec.private_dns[:64])])
    names = [x509.IPAddress(ipaddress.ip_address(spec.address)), x509.DNSName(spec.private_dns)]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=10))
        .not_valid_after(now + timedelta(days=5 * 365))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    return (pem, private), certificate.fingerprint(hashes.SHA256()).hex()
