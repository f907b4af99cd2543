"""Between ``add-node``'s arguments and the engine: events to progress, results to documents."""

from __future__ import annotations

import secrets
import shlex
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bootstrap import wiring
from bootstrap.cli import documents, progress
from bootstrap.cli.documents import Document
from bootstrap.cli.options import CommonOptions
from bootstrap.config import Settings
from bootstrap.engine.adding import Prepared
from bootstrap.engine.locking import rfc3339
from bootstrap.errors import DeadlineError, ExitCode, Interrupted
from bootstrap.model.event import (
    Event,
    NodeIdentified,
    NodeOutcome,
    NodeResult,
    RunResult,
    overall,
    summarise,
)
from bootstrap.model.finding import Level, has_errors
from bootstrap.model.node import NodeRequest, ObservedNode
from bootstrap.planning.diff import observe


def new_run_id() -> str:
    """Return an id that sorts by time and fits a namespace's name."""
    return f"{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(2)}"


def is_refused(prepared: Prepared) -> bool:
    """Tell whether a finding forbids acting."""
    return has_errors(prepared.findings)


def preview_code(prepared: Prepared) -> int:
    """Return the exit code of a preview."""
    return ExitCode.REFUSED if is_refused(prepared) else ExitCode.OK


def plan_shown(prepared: Prepared, cluster: str) -> Document:
    """Return the plan with everything that checks had to say."""
    plan = replace(prepared.plan, findings=prepared.findings)
    return documents.plan_document(plan, cluster=cluster)


@dataclass(slots=True, kw_only=True)
class AddNode:
    """One ``add-node``."""

    options: CommonOptions
    settings: Settings
    request: NodeRequest

    def prepare(self) -> Prepared:
        """Read, check and plan."""
        preparation = wiring.preparation(self.settings, self.options_of())
        return preparation.prepare(
            wiring.store_facts(self.settings, self.options_of()), self.request
        )

    def options_of(self) -> wiring.Access:
        """Return how the user reaches AWS and the cluster."""
        return access_of(self.options)

    def act(self) -> RunResult:
        """Take the lock, look again with it, carry the plan out."""
        run_id, started = new_run_id(), _now()
        events: list[Event] = []
        action = wiring.action(self.settings, self.options_of(), run_id=run_id)
        late = _Deadline(self.options.timeout_s, action.waiter.stop)
        with progress.shown(self.options) as sink, action.locked(), late:
            prepared = self.prepare()
            if is_refused(prepared):
                # It changed between the preview and the lock; nothing has been done.
                return self._result(run_id, started, prepared, events, ExitCode.REFUSED)
            try:
                for event in action.carry_out(prepared):
                    events.append(event)
                    sink.record(event)
            except (Interrupted, KeyboardInterrupt) as exc:
                raise self._interrupted(exc, events) from exc
            late.check()
        return self._result(run_id, started, prepared, events)

    def _result(
        self,
        run_id: str,
        started: str,
        prepared: Prepared,
        events: Sequence[Event],
        code: ExitCode | None = None,
    ) -> RunResult:
        nodes = self._nodes(prepared, events)
        return RunResult(
            run_id=run_id,
            command="add-node",
            started_at=started,
            finished_at=_now(),
            exit_code=overall(nodes) if code is None else code,
            nodes=nodes,
            findings=tuple(f for f in prepared.findings if f.level is not Level.INFO),
        )

    def _nodes(self, prepared: Prepared, events: Sequence[Event]) -> tuple[NodeResult, ...]:
        cluster = prepared.view.cluster
        names = prepared.view.pool.names if prepared.view.pool else ()
        results = []
        for name in names:
            if name in prepared.plan.unchanged:
                alive = [
                    i for i in cluster.instances if i.is_ours and i.node == name and i.is_alive
                ]
                results.append(self._unchanged(observe(name, alive, cluster.nodes)))
            else:
                results.append(summarise(events, node=name, pool=self.request.pool.name))
        return tuple(results)

    def _unchanged(self, seen: ObservedNode) -> NodeResult:
        base = summarise([], node=seen.name, pool=self.request.pool.name, unchanged=True)
        return replace(
            base,
            node_name=seen.kube.name if seen.kube else "",
            instance_id=seen.instance.instance_id if seen.instance else "",
            private_ip=seen.instance.private_ip if seen.instance else "",
            ready=bool(seen.kube and seen.kube.ready),
            outcome=NodeOutcome.UNCHANGED,
        )

    def _interrupted(self, exc: BaseException, events: Sequence[Event]) -> Interrupted:
        """Say what exists now and how to go on."""
        exists = {
            event.node: event.instance_id
            for event in events
            if isinstance(event, NodeIdentified) and event.instance_id
        }
        known = ", ".join(f"{node} is {instance}" for node, instance in exists.items())
        error = Interrupted(
            "interrupted; what was begun stays as it is",
            evidence=known or "no instance was launched",
            fix="the same command goes on from here",
            command=shlex.join(["bootstrap", *sys.argv[1:]]),
        )
        if isinstance(exc, Interrupted):
            error.exit_code = exc.exit_code
        return error


class _Deadline:
    """The deadline of the whole command (``--timeout``): it stops the run as an interrupt does."""

    def __init__(self, timeout_s: float | None, stop: threading.Event) -> None:
        self._timeout_s = timeout_s
        self._stop = stop
        self._passed = False
        self._timer = threading.Timer(timeout_s or 0, self._end) if timeout_s else None

    def __enter__(self) -> None:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        self._passed = True
        self._stop.set()

    def check(self) -> None:
        """Raise DeadlineError when it has passed."""
        if self._passed:
            raise DeadlineError(
                f"the command took longer than {self._timeout_s:.0f} s",
                fix="the same command goes on from here",
                command=shlex.join(["bootstrap", *sys.argv[1:]]),
            )


def access_of(options: CommonOptions) -> wiring.Access:
    """Return how the user reaches AWS and the cluster."""
    return wiring.Access(
        profile=options.profile or "",
        kubeconfig=str(options.kubeconfig or ""),
        context=options.context or "",
        private_key=options.private_key,
        verbosity=options.verbosity,
    )


def _now() -> str:
    return rfc3339(datetime.now(UTC).timestamp())
