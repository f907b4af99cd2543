"""Lead nodes through a join: machines in parallel, one playbook for those that are ready together.

Threads: one per node until it may be logged in to; then one playbook run for all that are, with one
approver of certificate requests beside it; then one thread per node again to prove it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from bootstrap.engine.approving import Approver, Expected
from bootstrap.engine.diagnosing import Diagnoser, Subject, is_explained
from bootstrap.engine.machine import Machines
from bootstrap.engine.proving import Prover
from bootstrap.engine.reporting import NodeReport
from bootstrap.errors import BootstrapError, DeadlineError, RemoteError
from bootstrap.model.cluster import ClusterFacts, NodeNaming
from bootstrap.model.event import NodeOutcome, Phase, PhaseResult
from bootstrap.model.evidence import Approvals
from bootstrap.model.host import (
    HostTarget,
    PlaybookEvent,
    PlaybookHost,
    PlaybookRun,
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from bootstrap.model.node import DesiredNode, KubeNodeName, NodeName, ObservedInstance
from bootstrap.model.plan import JoinNode, LaunchInstance, Plan, StartInstance
from bootstrap.model.secret import Secret
from bootstrap.planning import csr, join_identity
from bootstrap.ports import ClusterApi, PlaybookRunner

PLAYBOOK = "windows_node.yml"
# Nodes launched together boot within some minutes of each other; one that is much later than the
# first gets a playbook run of its own instead of holding up the others.
BATCH_GRACE_S = 90.0
# A host that reboots by itself in the middle of a task costs one more run, not the node.
PLAYBOOK_TRIES = 3
BOOTSTRAP_TOKEN_S = 30 * 60
# reconcile renews them; until then a year is what kops' own node certificates live.
COMPONENT_TOKEN_S = 365 * 24 * 3600

PHASE_OF_ROLE: Mapping[str, Phase] = {
    "windows_base": Phase.PREPARED,
    "container_runtime": Phase.RUNTIME_INSTALLED,
    "kubernetes_binaries": Phase.BINARIES_VERIFIED,
    "network_prepare": Phase.NETWORK_PREPARED,
    "kubelet": Phase.CONFIGURED,
    "flannel_overlay": Phase.CNI_READY,
    "kube_proxy": Phase.PROXY_READY,
    "images": Phase.IMAGES_PULLED,
}
LAST_ROLE = "images"
REBOOT_TASK = "Reboot"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTokens:
    """Credentials made for one node."""

    bootstrap: Secret
    flannel: Secret
    kube_proxy: Secret


class HostVariables(Protocol):
    """Makes what the playbook is told of a node."""

    def __call__(
        self,
        desired: DesiredNode,
        instance: ObservedInstance,
        name: KubeNodeName,
        tokens: NodeTokens,
        *,
        restart_kubelet: bool,
    ) -> Mapping[str, object]:
        """Return the host's variables; ``restart_kubelet`` makes a kubelet register anew."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One node of this run and what has become known of it."""

    desired: DesiredNode
    launch: LaunchInstance | None
    start: StartInstance | None
    instance: ObservedInstance | None
    report: NodeReport
    outcome: NodeOutcome
    target: HostTarget | None = None
    kube_name: KubeNodeName = KubeNodeName("")
    role_seen: str = ""
    lost: TaskFailed | None = None
    over: bool = False


def jobs_of(
    plan: Plan,
    instances: Sequence[ObservedInstance],
    report_for: Callable[[NodeName], NodeReport],
) -> tuple[Job, ...]:
    """Gather a plan's steps by node, with the instance that carries the node already."""
    alive = {item.node: item for item in instances if item.is_ours and item.is_alive}
    launches = {s.node: s for s in plan.steps if isinstance(s, LaunchInstance)}
    starts = {s.node: s for s in plan.steps if isinstance(s, StartInstance)}
    return tuple(
        Job(
            desired=step.desired,
            launch=launches.get(step.node),
            start=starts.get(step.node),
            instance=alive.get(step.node),
            report=report_for(step.node),
            outcome=NodeOutcome.CREATED if step.node in launches else NodeOutcome.REPAIRED,
        )
        for step in plan.steps
        if isinstance(step, JoinNode)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Joiner:
    """Join the nodes of a plan."""

    facts: ClusterFacts
    api: ClusterApi
    machines: Machines
    playbooks: PlaybookRunner
    prover: Prover
    diagnoser: Diagnoser
    host_variables: HostVariables
    verbosity: int = 0

    def join(self, jobs: Sequence[Job]) -> None:
        """Lead every node to its end; nothing is raised, each job reports for itself."""
        with ThreadPoolExecutor(max_workers=max(1, min(32, len(jobs)))) as pool:
            waiting: set[Future[Job | None]] = {
                pool.submit(self._guarded, job, self._reach) for job in jobs
            }
            while waiting:
                waiting, batch = self._next_batch(waiting)
                if batch:
                    self._configure(batch)
                    alive = [job for job in batch if not job.over]
                    list(pool.map(lambda job: self._guarded(job, self._prove), alive))

    def _next_batch(
        self, waiting: set[Future[Job | None]]
    ) -> tuple[set[Future[Job | None]], list[Job]]:
        """Wait for the first node that can be logged in to, then a while for the others."""
        done, left = wait(waiting, return_when=FIRST_COMPLETED)
        batch = [job for job in (future.result() for future in done) if job is not None]
        if batch and left:
            more, left = wait(left, timeout=BATCH_GRACE_S)
            batch += [job for job in (future.result() for future in more) if job is not None]
        return left, batch

    def _guarded(self, job: Job, act: Callable[[Job], None]) -> Job | None:
        """Run one node's stage; an error ends this node and no other."""
        try:
            self.machines.waiter.check()
            act(job)
        except BootstrapError as error:
            self._fail(job, error)
        return None if job.over else job

    def _fail(self, job: Job, error: BootstrapError) -> None:
        if not job.over:
            job.over = True
            job.report.failed(error)

    # -- stage 1: a machine to log in to --
    def _reach(self, job: Job) -> None:
        machines, report = self.machines, job.report
        report.start(Phase.PLANNED)
        report.end(Phase.PLANNED)
        if job.launch is not None:
            job.instance = machines.launch(job.desired, job.launch.client_token, report)
        elif job.start is not None:
            machines.start(job.start.instance_id, report)
        else:
            report.end(Phase.LAUNCHED, PhaseResult.SKIPPED)
        assert job.instance is not None  # planned steps launch what has no instance
        job.instance = machines.running(job.instance.instance_id, report)
        job.kube_name = kube_name(self.facts, job.instance)
        report.identified(kube_name=job.kube_name)
        machines.reachable(job.instance, report)
        job.target = machines.trusted(job.desired, job.instance, report)

    # -- stage 2: the playbook --
    def _configure(self, jobs: Sequence[Job]) -> None:
        """Run the playbook, and again for hosts that went away in the middle (a reboot, a blip)."""
        pending = list(jobs)
        for attempt in range(PLAYBOOK_TRIES):
            for job in pending:
                job.lost = None
            self._run_playbook(pending, is_last=attempt == PLAYBOOK_TRIES - 1)
            for job in pending:
                self._fail_unfinished(job)
            pending = [job for job in pending if job.lost is not None and not job.over]
            for job in pending:
                job.report.say("the connection was lost; waiting for the host")
                self._guarded(job, self._come_back)
            pending = [job for job in pending if not job.over]
            if not pending:
                return

    def _fail_unfinished(self, job: Job) -> None:
        """A host that the playbook never mentioned again has not been configured."""
        if not job.over and job.lost is None and job.role_seen != LAST_ROLE:
            error = RemoteError(
                "the playbook ended before this node was through",
                name="PlaybookBroken",
                target=job.desired.name,
                evidence=f"last role: {job.role_seen or 'none'}",
            )
            self._fail(job, error)

    def _come_back(self, job: Job) -> None:
        assert job.instance is not None  # it was reached before
        self.machines.wait_reachable(job.instance)

    def _run_playbook(self, jobs: Sequence[Job], *, is_last: bool) -> None:
        hosts = [host for job in jobs if (host := self._host(job)) is not None]
        if not hosts:
            return
        expected = {job.kube_name: self._expected(job) for job in jobs if not job.over}
        by_node = {job.desired.name: job for job in jobs}
        run = PlaybookRun(playbook=PLAYBOOK, hosts=tuple(hosts), verbosity=self.verbosity)
        with Approver(api=self.api, waiter=self.machines.waiter, expected=expected) as approver:
            try:
                for event in self.playbooks.run(run, should_stop=self.machines.waiter.stop.is_set):
                    self._follow(event, by_node, approver, is_last=is_last)
                self.machines.waiter.check()
            except BootstrapError as error:
                for job in jobs:
                    self._fail(job, error)

    def _host(self, job: Job) -> PlaybookHost | None:
        try:
            assert job.target is not None and job.instance is not None  # trusted comes before
            variables = self.host_variables(
                job.desired,
                job.instance,
                job.kube_name,
                self._tokens(),
                # A kubelet whose Node was deleted does not register again by itself.
                restart_kubelet=job.launch is None and self.api.node(job.kube_name) is None,
            )
            return PlaybookHost(target=job.target, variables=variables)
        except BootstrapError as error:
            self._fail(job, error)
            return None

    def _tokens(self) -> NodeTokens:
        return NodeTokens(
            bootstrap=self.api.token(csr.BOOTSTRAP_ACCOUNT, seconds=BOOTSTRAP_TOKEN_S),
            flannel=self.api.token(join_identity.FLANNEL_ACCOUNT, seconds=COMPONENT_TOKEN_S),
            kube_proxy=self.api.token(join_identity.KUBE_PROXY_ACCOUNT, seconds=COMPONENT_TOKEN_S),
        )

    def _expected(self, job: Job) -> Expected:
        assert job.instance is not None  # trusted comes before
        joining = csr.JoiningNode(
            node=job.desired.name,
            kube_name=job.kube_name,
            since=job.instance.launched_at,
            instance_running=True,
        )
        return Expected(joining=joining, report=job.report)

    def _follow(
        self,
        event: PlaybookEvent,
        jobs: Mapping[NodeName, Job],
        approver: Approver,
        *,
        is_last: bool,
    ) -> None:
        if isinstance(event, TaskStarted):
            self._enter(jobs[event.node], event, approver)
        elif isinstance(event, TaskFinished):
            self._advance(jobs[event.node], event)
        elif isinstance(event, TaskFailed) and event.unreachable and not is_last:
            jobs[event.node].lost = event
        elif isinstance(event, TaskFailed):
            job, error = jobs[event.node], _task_error(event)
            if is_explained(event.message):
                approver.look()
                subject = self._subject(job, approver.approvals(event.node))
                error = self.diagnoser.explain(error, subject)
            self._fail(job, error)

    def _subject(self, job: Job, approvals: Approvals) -> Subject:
        assert job.instance is not None  # reached before
        return Subject(
            node=job.desired.name,
            kube_name=job.kube_name,
            instance=job.instance,
            target=job.target,
            approvals=approvals,
        )

    def _enter(self, job: Job, event: TaskStarted, approver: Approver) -> None:
        """Turn tasks into phases: a role's phase ends when the next role begins."""
        phase = PHASE_OF_ROLE.get(event.role)
        if phase is None or job.over:
            return
        if job.role_seen and job.role_seen != event.role:
            if PHASE_OF_ROLE[job.role_seen] is Phase.CNI_READY:
                approver.look()  # The overlay came up, so the Node is there: it is told first.
            self._close_role(job)
        job.role_seen = event.role
        if event.task.startswith(REBOOT_TASK):
            self._close_role(job)
            phase = Phase.REBOOTED
        job.report.start(phase)

    def _advance(self, job: Job, event: TaskFinished) -> None:
        """Tell whether the host was restarted."""
        if event.role in PHASE_OF_ROLE and event.task.startswith(REBOOT_TASK) and not job.over:
            result = PhaseResult.DONE if event.changed else PhaseResult.SKIPPED
            job.report.end(Phase.REBOOTED, result)

    def _close_role(self, job: Job) -> None:
        job.report.end(PHASE_OF_ROLE[job.role_seen])

    # -- stage 3: proof --
    def _prove(self, job: Job) -> None:
        if job.role_seen:
            self._close_role(job)
        subject = self._subject(job, Approvals(registered=True))
        try:
            self.prover.prove(
                job.desired, job.kube_name, job.report, lambda: self.diagnoser.look(subject)
            )
        except (DeadlineError, RemoteError) as error:
            raise self.diagnoser.explain(error, subject) from error
        job.over = True
        job.report.succeeded(job.outcome)


def kube_name(facts: ClusterFacts, instance: ObservedInstance) -> KubeNodeName:
    """Return the Node's name in the cluster's own scheme; Kubernetes wants lower case."""
    if facts.node_naming is NodeNaming.INSTANCE_ID:
        return KubeNodeName(instance.instance_id)
    return KubeNodeName(instance.private_dns.lower())


def _task_error(event: TaskFailed) -> BootstrapError:
    where = f"{event.role}: {event.task}" if event.role else event.task
    return RemoteError(
        event.message.splitlines()[0] if event.message else "the task failed",
        name="PlaybookTaskFailed",
        target=event.node,
        evidence=f"{where}: {event.message}"[:1000],
        fix="mend the cause and run the same command again: it goes on from here",
    )
