"""One simulated Windows host: boots, runs its user data, serves WinRM, runs services, reboots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bootstrap.sandbox.windows_host import identity, modules, userdata
from bootstrap.sandbox.windows_host.contract import ScriptRendering
from bootstrap.sandbox.windows_host.modules import powershell_module
from bootstrap.sandbox.windows_host.modules.arguments import Refused
from bootstrap.sandbox.windows_host.powershell import Interpreter
from bootstrap.sandbox.windows_host.services import AgentFactory, ServiceManager
from bootstrap.sandbox.windows_host.spec import HostHooks as HostHooks
from bootstrap.sandbox.windows_host.spec import HostSpec as HostSpec
from bootstrap.sandbox.windows_host.state import (
    Adapter,
    FeatureState,
    FirewallRule,
    Route,
    WindowsState,
)
from bootstrap.sandbox.windows_host.winrm import PORT as WINRM_PORT
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
_SLOW_FACTOR = 30.0
_BLIP_S = 2.0
"""How long the first vSwitch on an adapter interrupts it."""
_LONG_BLIP_S = 5.0


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
            mac=identity.mac_address(spec.instance_id),
        )
        name = identity.computer_name(spec.instance_id)
        self.state = WindowsState(release=spec.release, computer_name=name, adapter=adapter)
        self.state.users[ADMINISTRATOR.lower()] = identity.new_password()
        self.counters = Counters()
        self.latency_s = 0.0
        self._scripts = scripts
        self.services = ServiceManager(self, agents)
        self._power = _Power()
        self._winrm: WinRmServer | None = None
        self._certificate: identity.Certificate | None = None
        self._is_set_up = False

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
        with self._power.lock:
            epoch = self._power.epoch
        # win_reboot takes a lost answer for a reboot that has begun; an answer with the end right
        # behind it costs its back-offs (measured: 8 s instead of 2).
        time.sleep(delay_s * self.spec.time_factor)
        if self.is_current(epoch):
            self.power_off()
            self.boot()

    def is_current(self, epoch: int) -> bool:
        """Tell whether the boot with that number is still the running one."""
        with self._power.lock:
            return self._power.on and self._power.epoch == epoch

    def _boot(self, epoch: int) -> None:
        factor = _SLOW_FACTOR if self.hooks.has_fault("slow-boot") else 1.0
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
        if self._is_set_up:
            self._start_winrm()
        else:
            self._first_boot()
        self.services.start_automatic(epoch)

    def _first_boot(self) -> None:
        """Do what sysprep and EC2Launch do once, user data last."""
        self._is_set_up = True
        if not self.hooks.has_fault("password-never"):
            self.hooks.password_ready(self.state.users[ADMINISTRATOR.lower()])
        remote_desktop = identity.thumbprint(self.spec.instance_id)
        self.hooks.console(f"RDPCERTIFICATE-SUBJECTNAME: {self.state.computer_name}\n")
        self.hooks.console(f"RDPCERTIFICATE-THUMBPRINT: {remote_desktop}\n")
        self.hooks.console("Message: Windows is Ready to use\n")
        if self.hooks.has_fault("user-data-ignored"):
            self.hooks.console("Ec2Launch: user data was not executed\n")
            return
        outcome = userdata.launch(self.spec.user_data)
        self.hooks.console(outcome.log + "\n")
        if outcome.opens_winrm:
            self._open_winrm()

    def _open_winrm(self) -> None:
        """Do what ``Enable-WinRmTls.ps1`` does: listener first, then the line on the console."""
        own = identity.self_signed(self.spec.address, self.spec.private_dns)
        self._certificate = own
        if self.hooks.has_fault("wrong-certificate"):
            # Something else answers on the address than what wrote the console.
            self._certificate = identity.self_signed(self.spec.address, self.spec.private_dns)
        rule = FirewallRule(
            name="WinRM over TLS (bootstrap)", protocol="tcp", local_port=str(WINRM_PORT)
        )
        self.state.firewall[rule.name.lower()] = rule
        self._start_winrm()
        self.hooks.console(f"BOOTSTRAP-WINRM-CERT-SHA256 {own.sha256}\n")

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
    def listen(self) -> None:
        """Start the listener, where user data made one and it does not run."""
        with self._power.lock:
            is_idle = self._power.on and self._winrm is None
        if is_idle:
            self._start_winrm()

    def _start_winrm(self) -> None:
        if self._certificate is None or self.hooks.has_fault("winrm-refused"):
            return
        try:
            server = WinRmServer(
                self.spec.address,
                (self._certificate.certificate_pem, self._certificate.key_pem),
                (ADMINISTRATOR, lambda: self.state.users[ADMINISTRATOR.lower()]),
                Interpreter(self),
                self.counters,
                lambda: self.latency_s,
            )
        except OSError as error:
            self.hooks.console(f"sandbox: no listener on {self.spec.address}: {error}\n")
            return
        server.start()
        with self._power.lock:
            if self._power.on:
                self._winrm = server
                return
        # The host went off while it was booting.
        server.stop()

    def _stop_winrm(self) -> None:
        server, self._winrm = self._winrm, None
        if server is not None:
            server.stop()

    def network_blip(self) -> None:
        """Cut all connections and take none for a while, as the first vSwitch does."""
        is_long = self.hooks.has_fault("winrm-drop-at-vswitch")
        if self._winrm is not None:
            self._winrm.interrupt(_LONG_BLIP_S if is_long else _BLIP_S * self.spec.time_factor)

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

    def windows_version(self) -> str:
        """Return ``10.0.<build>.<revision>``."""
        return f"10.0.{self.state.build}.{self.state.revision}"

    def read_file(self, path: str) -> bytes | None:
        """Return a file's bytes, None when there is none."""
        return self.state.files.read(path)

    def write_file(self, path: str, content: bytes) -> None:
        """Write a file that a connection plug-in uploads."""
        self.state.files.write(path, content)

    def make_folder(self, path: str) -> None:
        """Make a folder with its parents."""
        self.state.files.make_folder(path)

    def is_folder(self, path: str) -> bool:
        """Tell whether a folder is there."""
        return self.state.files.is_folder(path)

    def remove(self, path: str) -> bool:
        """Remove a file or folder; tells whether it was there."""
        return self.state.files.remove(path)

    def knows_module(self, name: str) -> bool:
        """Tell whether a module is imitated."""
        return name in modules.MODULES

    def run_script(self, script: str, request: str) -> tuple[str, str]:
        """Run one of our scripts, sent as text; returns its answer, or '' and what it threw."""
        return powershell_module.run_text(self, script, request)

    def run_module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an Ansible module; a reboot may come in the middle of it."""
        if self.hooks.has_fault("reboot-in-task") and self.state.boots == 2:
            self.power_off()
            self.boot()
            return {"failed": True, "msg": "sandbox: the host went down in this task"}
        check = bool(arguments.get("_ansible_check_mode"))
        given = {key: value for key, value in arguments.items() if not key.startswith("_ansible")}
        try:
            result = modules.MODULES[name](self, dict(arguments), check)
        except Refused as exc:
            result = {"failed": True, "changed": False, "msg": str(exc)}
        return result | {"invocation": {"module_args": given}}


def _wait(seconds: float, is_over: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not is_over():
        time.sleep(min(left, 0.1))
