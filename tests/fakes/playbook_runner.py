"""ansible-runner without Ansible: every role ends well on every host, unless a test says else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bootstrap.errors import BootstrapError
from bootstrap.model.host import (
    PlaybookEnded,
    PlaybookEvent,
    PlaybookHost,
    PlaybookRun,
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from bootstrap.model.node import NodeName

ROLES = (
    "windows_base",
    "container_runtime",
    "kubernetes_binaries",
    "network_prepare",
    "kubelet",
    "flannel_overlay",
    "kube_proxy",
    "images",
)


@dataclass(kw_only=True)
class FakePlaybookRunner:
    """Implements ``ports.PlaybookRunner``.

    ``effect`` is what a role does to the world; ``failures`` says which role fails on which node,
    once; ``error`` is raised in place of a run; a run ends when it is told to stop.
    """

    effect: Callable[[str, PlaybookHost], None] = lambda role, host: None
    failures: dict[tuple[NodeName, str], TaskFailed] = field(default_factory=dict)
    error: BootstrapError | None = None
    runs: list[PlaybookRun] = field(default_factory=list)

    def run(self, run: PlaybookRun, *, should_stop: Callable[[], bool]) -> Iterator[PlaybookEvent]:
        self.runs.append(run)
        if self.error is not None:
            raise self.error
        failed: list[NodeName] = []
        for role in ROLES:
            for host in run.hosts:
                if should_stop():
                    return
                node = host.target.node
                if node in failed:
                    continue
                yield TaskStarted(node=node, role=role, task="Work")
                failure = self.failures.pop((node, role), None)
                if failure is not None:
                    failed.append(node)
                    yield failure
                    continue
                self.effect(role, host)
                yield TaskFinished(node=node, role=role, task="Work", changed=True)
        names = [host.target.node for host in run.hosts]
        ok = tuple(name for name in names if name not in failed)
        yield PlaybookEnded(ok=ok, failed=tuple(failed))


def failure(
    node: str, role: str, message: str = "broken", *, unreachable: bool = False
) -> TaskFailed:
    """Make the event of a task that failed."""
    return TaskFailed(
        node=NodeName(node), role=role, task="Work", message=message, unreachable=unreachable
    )
