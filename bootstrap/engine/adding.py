"""The use case ``add-node``: read, check, plan; and, where it was asked for, act."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bootstrap.engine import gather, locking
from bootstrap.engine.diagnosing import Diagnoser
from bootstrap.engine.execute import execute
from bootstrap.engine.gather import Ports
from bootstrap.engine.joining import HostVariables, Joiner
from bootstrap.engine.machine import InstanceWatch, Machines, MachineTimeouts
from bootstrap.engine.probing import Prober, probe_namespace
from bootstrap.engine.proving import ProofTimeouts, Prover
from bootstrap.engine.waiting import Waiter
from bootstrap.model.cluster import ClusterFacts, StoreFacts
from bootstrap.model.event import Event
from bootstrap.model.finding import Check, Finding
from bootstrap.model.node import ImageFacts, NodeRequest
from bootstrap.model.plan import Plan
from bootstrap.model.secret import Secret
from bootstrap.planning import checks, desired, diff
from bootstrap.planning.checks import ClusterView, PoolView, View
from bootstrap.planning.desired import Choices
from bootstrap.ports import PlaybookRunner, RemoteShell

ImageOf = Callable[[NodeRequest], ImageFacts]
ChoicesOf = Callable[[NodeRequest, ClusterView, ImageFacts], tuple[Choices, tuple[Finding, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that is decided before anything changes."""

    view: View
    checks: tuple[Check, ...]
    plan: Plan

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings of checks and plan."""
        return (*(f for check in self.checks for f in check.findings), *self.plan.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What ``add-node`` and ``preflight --pool`` need to decide."""

    ports: Ports
    support: Callable[[StoreFacts, NodeRequest | None], tuple[Finding, ...]]
    choose: ChoicesOf
    has_private_key: bool

    def cluster(self, store: StoreFacts, request: NodeRequest | None) -> View:
        """Read the cluster; a store that cannot serve is refused before AWS is asked."""
        support = self.support(store, request)
        gather.refuse(support, what=f"cluster {store.name}")
        facts = gather.cluster_facts(store, self.ports.instances)
        cluster = gather.cluster_view(facts, self.ports)
        if request is None:
            return View(cluster=cluster, support_findings=support)
        pool, _ = self.pool(request, cluster)
        return View(cluster=cluster, pool=pool, support_findings=support)

    def pool(self, request: NodeRequest, cluster: ClusterView) -> tuple[PoolView, Choices]:
        """Look up and choose what the pool needs."""
        subnets = desired.pool_subnets(request, cluster.facts)
        pool = request.pool
        image = self.ports.instances.image(release=pool.windows, image_id=pool.image)
        choices, findings = self.choose(request, cluster, image)
        return (
            PoolView(
                request=request,
                names=desired.node_names(request),
                subnets=subnets,
                image=image,
                zones_offering=self.ports.instances.zones_offering(pool.instance_type),
                has_private_key=self.has_private_key,
                kubernetes_version=choices.kubernetes_version,
                choice_findings=findings,
            ),
            choices,
        )

    def prepare(self, store: StoreFacts, request: NodeRequest) -> Prepared:
        """Read, check and plan; changes nothing."""
        support = self.support(store, request)
        gather.refuse(support, what=f"cluster {store.name}")
        facts = gather.cluster_facts(store, self.ports.instances)
        cluster = gather.cluster_view(facts, self.ports)
        pool, choices = self.pool(request, cluster)
        view = View(cluster=cluster, pool=pool, support_findings=support)
        plan = diff.plan_nodes(
            desired=desired.desired_nodes(request, facts, choices),
            instances=cluster.instances,
            nodes=cluster.nodes,
        )
        return Prepared(view=view, checks=checks.run_checks(view), plan=plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What carrying out a plan needs beyond reading."""

    ports: Ports
    shell: RemoteShell
    playbooks: PlaybookRunner
    host_variables: Callable[[ClusterFacts], HostVariables]
    state_script: str
    private_key: Secret
    run_id: str
    waiter: Waiter
    machine_timeouts: MachineTimeouts = MachineTimeouts()
    proof_timeouts: ProofTimeouts = ProofTimeouts()
    verbosity: int = 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the cluster's lock."""
        with locking.held(self.ports.api, self.waiter, self.ports.processes, run_id=self.run_id):
            yield

    def carry_out(self, prepared: Prepared) -> Iterator[Event]:
        """Act on a plan; the lock is held by the caller."""
        api, cluster = self.ports.api, prepared.view.cluster
        facts = with_ca(cluster)
        api.ensure_join_identity()
        with probe_namespace(api, self.run_id) as namespace:
            prober = Prober(api=api, waiter=self.waiter, namespace=namespace)
            joiner = Joiner(
                facts=facts,
                api=api,
                machines=self._machines(cluster),
                playbooks=self.playbooks,
                prover=Prover(
                    api=api, waiter=self.waiter, prober=prober, timeouts=self.proof_timeouts
                ),
                diagnoser=Diagnoser(
                    api=api,
                    shell=self.shell,
                    clock=self.ports.clock,
                    facts=facts,
                    state_script=self.state_script,
                ),
                host_variables=self.host_variables(facts),
                verbosity=self.verbosity,
            )
            yield from execute(
                prepared.plan,
                instances=cluster.instances,
                joiner=joiner,
                clock=self.ports.clock,
                stop=self.waiter.stop,
            )

    def _machines(self, cluster: ClusterView) -> Machines:
        store = self.ports.instances
        return Machines(
            store=store,
            shell=self.shell,
            watch=InstanceWatch(store, cluster.facts.name, self.waiter),
            waiter=self.waiter,
            private_key=self.private_key,
            run_id=self.run_id,
            timeouts=self.machine_timeouts,
        )


def with_ca(cluster: ClusterView) -> ClusterFacts:
    """Return the facts with a CA bundle; where kops shows none openly, the cluster's own is taken.

    The connection that read it was verified with the CA of the user's kubeconfig.
    """
    if cluster.facts.ca_bundle:
        return cluster.facts
    return replace(cluster.facts, ca_bundle=cluster.identity.ca_pem)
