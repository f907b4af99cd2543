"""Apply the fixes of preflight and wait until the cluster shows their effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from bootstrap.engine.locking import rfc3339
from bootstrap.engine.waiting import Waiter
from bootstrap.model.kubernetes import DaemonSetFacts, FlannelConfig
from bootstrap.planning import flannel
from bootstrap.planning.fixes import Fix, RestartFlannel, SelectLinux, SetFlannelNetConf
from bootstrap.ports import ClusterApi


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixer:
    """Carry out fixes; ``say`` gets a line for each thing that is done."""

    api: ClusterApi
    waiter: Waiter
    say: Callable[[str], None]
    timeout_s: float = 600

    def apply(self, fixes: Sequence[Fix]) -> None:
        """Apply all, in order; each waits for its effect before the next begins."""
        for fix in fixes:
            self.waiter.check()
            match fix:
                case SetFlannelNetConf(flannel=found, net_conf=net_conf):
                    self.api.set_flannel_net_conf(found, net_conf)
                    self.say(f"changed ConfigMap {found.namespace}/{found.config_map}")
                    self._roll_flannel(found)
                case RestartFlannel(flannel=found):
                    self._roll_flannel(found)
                case SelectLinux(namespace=namespace, daemon_set=name):
                    selector = {"kubernetes.io/os": "linux"}
                    self.api.set_daemon_set_node_selector(namespace, name, selector)
                    self.say(f"changed DaemonSet {namespace}/{name}")
                case _:
                    assert_never(fix)

    def _roll_flannel(self, found: FlannelConfig) -> None:
        now = rfc3339(self.waiter.clock.now())
        self.api.restart_daemon_set(found.namespace, found.daemon_set, at=now)
        self.say(f"restarting DaemonSet {found.namespace}/{found.daemon_set}")
        self.waiter.until(
            lambda: self._rolled(found),
            what=f"DaemonSet {found.namespace}/{found.daemon_set} to restart everywhere",
            timeout_s=self.timeout_s,
            last_seen=lambda: str(self._daemon_set(found)),
        )
        self.waiter.until(
            lambda: True if not self._behind() else None,
            what=f"every Linux node to announce VNI {flannel.WINDOWS_VNI}",
            timeout_s=self.timeout_s,
            last_seen=lambda: f"not yet: {', '.join(self._behind())}",
        )
        self.say(f"every Linux node announces VNI {flannel.WINDOWS_VNI}")

    def _rolled(self, found: FlannelConfig) -> bool | None:
        item = self._daemon_set(found)
        if item is None or item.observed_generation < item.generation:
            return None
        return item.updated == item.desired == item.available or None

    def _daemon_set(self, found: FlannelConfig) -> DaemonSetFacts | None:
        wanted = (found.namespace, found.daemon_set)
        return next((i for i in self.api.daemon_sets() if (i.namespace, i.name) == wanted), None)

    def _behind(self) -> list[str]:
        return [
            node.name
            for node in self.api.nodes()
            if not node.is_windows and node.ready and flannel.node_vni(node) != flannel.WINDOWS_VNI
        ]
