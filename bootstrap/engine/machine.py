"""From a desired node to a host that may be logged in to: launched, running, reachable, trusted."""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
from dataclasses import dataclass, field

from bootstrap.engine.reporting import NodeReport
from bootstrap.engine.waiting import Waiter
from bootstrap.errors import AccessError, RemoteError
from bootstrap.model.cluster import ClusterName
from bootstrap.model.event import Phase
from bootstrap.model.host import FINGERPRINT_MARK, WINRM_TLS_PORT, HostTarget
from bootstrap.model.node import (
    DesiredNode,
    InstanceId,
    InstanceState,
    NodeName,
    ObservedInstance,
    Tag,
)
from bootstrap.model.secret import Secret
from bootstrap.ports import InstanceStore, RemoteShell

ADMINISTRATOR = "Administrator"
# All nodes of a run ask EC2 through one cache, so that fifty waiting nodes cost one call.
OBSERVE_EVERY_S = 1.0
FINGERPRINT = re.compile(rf"{FINGERPRINT_MARK}\s+([0-9a-fA-F]{{64}})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineTimeouts:
    """How long each thing may take, in seconds; a first boot of Windows takes 4 to 15 minutes."""

    running_s: float = 300
    reachable_s: float = 1500
    password_s: float = 1500


class InstanceWatch:
    """The instances of one cluster, read at most once a second for all threads together."""

    def __init__(self, store: InstanceStore, cluster: ClusterName, waiter: Waiter) -> None:
        self._store = store
        self._cluster = cluster
        self._waiter = waiter
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._seen: dict[InstanceId, ObservedInstance] = {}

    def get(self, instance_id: InstanceId) -> ObservedInstance | None:
        """Return the instance as seen a moment ago, None when EC2 does not show it (yet)."""
        with self._lock:
            now = self._waiter.clock.now()
            if now - self._at >= OBSERVE_EVERY_S:
                found = self._store.instances(self._cluster)
                self._seen = {item.instance_id: item for item in found}
                self._at = now
            return self._seen.get(instance_id)


@dataclass(slots=True, kw_only=True)
class Machines:
    """Launch instances and lead them to where a playbook can take over."""

    store: InstanceStore
    shell: RemoteShell
    watch: InstanceWatch
    waiter: Waiter
    private_key: Secret
    run_id: str
    timeouts: MachineTimeouts = field(default_factory=MachineTimeouts)

    def launch(self, desired: DesiredNode, token: str, report: NodeReport) -> ObservedInstance:
        """Launch, or find what an earlier run launched with the same token."""
        with report.phase(Phase.LAUNCHED):
            launched = self.store.launch(desired, token)
            while not launched.is_alive:
                # EC2 remembers tokens longer than it shows terminated instances.
                token = hashlib.sha256(f"{token}{launched.instance_id}".encode()).hexdigest()
                launched = self.store.launch(desired, token)
            self.store.tag(launched.instance_id, {Tag.RUN.value: self.run_id})
            report.identified(instance_id=launched.instance_id, private_ip=launched.private_ip)
            return launched

    def start(self, instance_id: InstanceId, report: NodeReport) -> None:
        """Start a stopped instance, once it has stopped."""
        with report.phase(Phase.LAUNCHED):
            self.waiter.until(
                lambda: self._in_state(instance_id, InstanceState.STOPPED, InstanceState.RUNNING),
                what=f"{instance_id} to be stopped",
                timeout_s=self.timeouts.running_s,
            )
            self.store.start(instance_id)

    def running(self, instance_id: InstanceId, report: NodeReport) -> ObservedInstance:
        """Wait until EC2 says that it runs."""
        with report.phase(Phase.RUNNING):
            found = self.waiter.until(
                lambda: self._in_state(instance_id, InstanceState.RUNNING),
                what=f"instance {instance_id} to run",
                timeout_s=self.timeouts.running_s,
                last_seen=lambda: self._state(instance_id),
            )
            report.identified(instance_id=instance_id, private_ip=found.private_ip)
            return found

    def reachable(self, instance: ObservedInstance, report: NodeReport) -> None:
        """Wait until WinRM answers; an instance that died meanwhile ends the wait."""
        with report.phase(Phase.REACHABLE):
            self.wait_reachable(instance)

    def wait_reachable(self, instance: ObservedInstance) -> None:
        """Wait for WinRM without reporting a phase."""
        host = instance.private_ip

        def probe() -> bool | None:
            self._alive(instance.instance_id)
            return self.shell.is_reachable(host, WINRM_TLS_PORT) or None

        self.waiter.until(
            probe,
            what=f"WinRM on {host}:{WINRM_TLS_PORT}",
            timeout_s=self.timeouts.reachable_s,
            last_seen=lambda: self._console_tail(instance.instance_id),
        )

    def trusted(
        self, desired: DesiredNode, instance: ObservedInstance, report: NodeReport
    ) -> HostTarget:
        """Pin the certificate that the console vouches for, then log in for the first time."""
        with report.phase(Phase.TRUSTED):
            target = self.target(desired.name, instance)
            self.shell.check_login(target)
            return target

    def target(self, node: NodeName, instance: ObservedInstance) -> HostTarget:
        """Pin the certificate that the console vouches for and get the password; no login yet."""
        expected = self.waiter.until(
            lambda: self._fingerprint(instance.instance_id),
            what=f"the certificate's fingerprint on the console of {instance.instance_id}",
            timeout_s=self.timeouts.reachable_s,
            last_seen=lambda: self._console_tail(instance.instance_id),
        )
        pem = self.shell.certificate(instance.private_ip, WINRM_TLS_PORT)
        _compare(expected, pem, instance)
        password = self.waiter.until(
            lambda: self._password(instance.instance_id),
            what=f"the Administrator password of {instance.instance_id}",
            timeout_s=self.timeouts.password_s,
        )
        return HostTarget(
            node=node,
            host=instance.private_ip,
            ca_pem=pem,
            user=ADMINISTRATOR,
            password=password,
        )

    def _password(self, instance_id: InstanceId) -> Secret | None:
        self._alive(instance_id)
        return self.store.password(instance_id, self.private_key)

    def _fingerprint(self, instance_id: InstanceId) -> str | None:
        self._alive(instance_id)
        found = FINGERPRINT.findall(self.store.console_output(instance_id))
        return found[-1].lower() if found else None

    def _in_state(self, instance_id: InstanceId, *states: InstanceState) -> ObservedInstance | None:
        found = self._alive(instance_id)
        return found if found is not None and found.state in states else None

    def _alive(self, instance_id: InstanceId) -> ObservedInstance | None:
        found = self.watch.get(instance_id)
        if found is not None and not found.is_alive:
            raise RemoteError(
                f"instance {instance_id} is {found.state}",
                name="InstanceDied",
                target=instance_id,
                evidence=found.state_reason or self._console_tail(instance_id),
                fix="run the command again: it launches another one",
                command=f"aws ec2 describe-instances --instance-ids {instance_id}",
            )
        return found

    def _state(self, instance_id: InstanceId) -> str:
        found = self.watch.get(instance_id)
        return str(found.state) if found else "EC2 does not show it"

    def _console_tail(self, instance_id: InstanceId) -> str:
        lines = self.store.console_output(instance_id).strip().splitlines()
        return " | ".join(lines[-5:])


def _compare(expected: str, pem: str, instance: ObservedInstance) -> None:
    shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    if shown != expected:
        raise AccessError(
            f"{instance.private_ip} shows a certificate that is not the one of its console",
            name="WinRmCertificateMismatch",
            target=instance.private_ip,
            evidence=f"console {expected}, host {shown}",
            fix="something else answers on that address; do not log in",
            command=f"aws ec2 get-console-output --instance-id {instance.instance_id}",
        )
