"""Collect evidence of one node; a source that fails is named, and the others are read all the same.

That is the point: a node is looked at when its Node object is missing, the API does not answer, or
WinRM does not.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bootstrap.engine import gather
from bootstrap.engine.locking import rfc3339
from bootstrap.engine.machine import InstanceWatch, Machines, MachineTimeouts
from bootstrap.engine.waiting import Waiter
from bootstrap.errors import BootstrapError, Interrupted, RemoteError, UsageError
from bootstrap.model.cluster import ClusterName
from bootstrap.model.finding import Finding
from bootstrap.model.node import InstanceState, KubeNode, ObservedInstance, ObservedNode
from bootstrap.model.secret import Secret
from bootstrap.planning import node_state, node_symptoms
from bootstrap.planning.bundle import Missing
from bootstrap.ports import ClusterApi, InstanceStore, RemoteShell


@dataclass(slots=True, kw_only=True)
class Collected:
    """What was had of a node; ``host_error`` is why its host gave nothing."""

    node: ObservedNode
    state: Mapping[str, object] | None = None
    console: str = ""
    findings: tuple[Finding, ...] = ()
    missing: list[Missing] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    """What the run has held; no bundle may show it."""
    host_error: BootstrapError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Read one node through every port; changes nothing."""

    cluster: ClusterName
    instances: InstanceStore
    api: ClusterApi
    shell: RemoteShell
    waiter: Waiter
    private_key: Secret
    script: str
    """Get-NodeState.ps1."""
    timeout_s: float = 30
    """For the fingerprint, and again for the password."""

    def collect(self, name: str, *, tail_lines: int) -> Collected:
        """Find the node by any of its names and read it; UsageError when it is not ours."""
        instances = self.instances.instances(self.cluster)
        nodes, missing = self._nodes()
        node = _find(gather.observed_nodes(instances, nodes), name)
        instance = _ours(node)
        found = Collected(node=node, missing=missing)
        self._read_console(instance, found)
        try:
            found.state = self._read_host(instance, found, tail_lines)
            found.findings = self._judged(found)
        except Interrupted:
            raise
        except BootstrapError as exc:
            found.host_error = exc
            found.missing.append(_missing("node", exc))
        return found

    def _nodes(self) -> tuple[tuple[KubeNode, ...], list[Missing]]:
        try:
            return self.api.nodes(), []
        except (RemoteError, UsageError) as exc:
            return (), [_missing("kubernetes", exc)]

    def _read_console(self, instance: ObservedInstance, found: Collected) -> None:
        try:
            found.console = self.instances.console_output(instance.instance_id)
        except RemoteError as exc:
            found.missing.append(_missing("console", exc))

    def _read_host(
        self, instance: ObservedInstance, found: Collected, tail_lines: int
    ) -> Mapping[str, object]:
        if instance.state is not InstanceState.RUNNING:
            raise RemoteError(
                f"instance {instance.instance_id} is {instance.state}",
                name="InstanceNotRunning",
                target=instance.instance_id,
                evidence=instance.state_reason,
            )
        machines = Machines(
            store=self.instances,
            shell=self.shell,
            watch=InstanceWatch(self.instances, self.cluster, self.waiter),
            waiter=self.waiter,
            private_key=self.private_key,
            run_id="",
            timeouts=MachineTimeouts(reachable_s=self.timeout_s, password_s=self.timeout_s),
        )
        target = machines.target(found.node.name, instance)
        found.secrets.append(target.password)
        request = node_state.request(tail_lines=tail_lines)
        return self.shell.run_script(target, self.script, request)

    def _judged(self, found: Collected) -> tuple[Finding, ...]:
        state = node_state.parse(found.state or {})
        now = rfc3339(self.waiter.clock.now())
        return node_symptoms.judge(state, node=found.node.name, now=now)


def _find(nodes: tuple[ObservedNode, ...], name: str) -> ObservedNode:
    found = next((node for node in nodes if name in gather.names_of(node)), None)
    if found is not None:
        return found
    known = [node.name for node in nodes]
    near = difflib.get_close_matches(name, known, n=1)
    raise UsageError(
        f"the cluster has no node {name!r}",
        evidence=f"nodes: {', '.join(known) or 'none'}",
        fix=f"did you mean {near[0]!r}?" if near else "",
        command="bootstrap get nodes",
    )


def _ours(node: ObservedNode) -> ObservedInstance:
    if node.instance is None or not node.instance.is_ours or not node.instance.is_alive:
        raise UsageError(
            f"{node.name} has no living instance that bootstrap launched",
            target=node.name,
            fix="logs reads Windows nodes of its own; see which there are",
            command="bootstrap get nodes -o wide",
        )
    return node.instance


def _missing(source: str, error: BootstrapError) -> Missing:
    name = f"{error.name}: " if error.name else ""
    evidence = f" ({error.evidence})" if error.evidence else ""
    return Missing(source=source, reason=f"{name}{error.message}{evidence}")
