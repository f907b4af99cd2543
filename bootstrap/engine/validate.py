"""``validate --level quick``: what the Nodes show, and where the real scheduler puts pods."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.engine.probing import Prober, checks_of, probe_namespace
from bootstrap.engine.waiting import Waiter
from bootstrap.model.finding import Check, CheckResult
from bootstrap.model.kubernetes import PodFacts
from bootstrap.model.node import KubeNode
from bootstrap.planning import validation
from bootstrap.planning.validation import NodesView, Placement, ProbePod
from bootstrap.ports import ClusterApi

OS_TAINT_KEY = "os"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What was found, and the pods that ran meanwhile (node -> pods), for the report."""

    checks: tuple[Check, ...]
    windows: tuple[KubeNode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """Validate the hybrid half of a cluster."""

    api: ClusterApi
    waiter: Waiter
    cluster: str
    run_id: str
    image: str = validation.PROBE_IMAGE
    timeout_s: float = 300

    def quick(self) -> Validation:
        """Judge the Nodes, then place pods; placement is left out where no node is usable."""
        view = NodesView(
            nodes=self.api.nodes(), pods=self._pods_on_windows(), identity=self.api.identity()
        )
        checks = validation.node_checks(view, self.cluster)
        usable = tuple(node for node in view.windows if node.ready and not node.unschedulable)
        if not usable:
            reason = "no Windows node of ours is Ready and schedulable"
            skipped = tuple(
                Check(name=p.value, result=CheckResult.SKIP, target=self.cluster, reason=reason)
                for p in Placement
            )
            return Validation(checks=(*checks, *skipped), windows=view.windows)
        with probe_namespace(self.api, self.run_id) as namespace:
            prober = Prober(
                api=self.api, waiter=self.waiter, namespace=namespace, timeout_s=self.timeout_s
            )
            windows = {node.name for node in view.nodes if node.is_windows}
            results = prober.run(self._probes(usable), windows)
        return Validation(checks=(*checks, *checks_of(results, self.cluster)), windows=usable)

    def _pods_on_windows(self) -> tuple[PodFacts, ...]:
        return self.api.pods()

    def _probes(self, usable: tuple[KubeNode, ...]) -> tuple[ProbePod, ...]:
        linux = [ProbePod(name=f"linux-{n}", expected=Placement.LINUX) for n in (1, 2)]
        windows = [
            ProbePod(name=f"windows-{n}", expected=Placement.WINDOWS, node=node.name)
            for n, node in enumerate(usable, 1)
        ]
        # A pool without the taint takes such pods, and is meant to.
        guarded = all(any(t.key == OS_TAINT_KEY for t in node.taints) for node in usable)
        nowhere = [ProbePod(name="windows-no-toleration", expected=Placement.NOWHERE)]
        probes = (*linux, *windows, *(nowhere if guarded else ()))
        return tuple(
            ProbePod(name=p.name, expected=p.expected, node=p.node, image=self.image)
            for p in probes
        )
