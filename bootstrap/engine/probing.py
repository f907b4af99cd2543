"""Put probe pods into the cluster, watch where the real scheduler puts them, take them away.

All probes live in a namespace of their own, which goes away also after a failure; what a killed run
left is swept by the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bootstrap.engine.waiting import Waiter
from bootstrap.errors import DeadlineError
from bootstrap.model.finding import Check, Finding, Level
from bootstrap.model.node import MANAGED_BY, KubeNodeName
from bootstrap.planning import validation
from bootstrap.planning.validation import ProbePod
from bootstrap.ports import ClusterApi

NAMESPACE_PREFIX = "windows-bootstrap-probe"
SELECTOR = f"{validation.PROBE_LABEL}=true"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What became of one probe pod."""

    probe: ProbePod
    ok: bool
    seen: str
    seconds: float
    node: str = ""


@contextmanager
def probe_namespace(api: ClusterApi, run_id: str) -> Iterator[str]:
    """Make a namespace for probes, sweep those of dead runs, and remove it in the end."""
    name = f"{NAMESPACE_PREFIX}-{run_id}"
    for old in api.namespaces(SELECTOR):
        if old != name:
            api.delete_namespace(old)
    api.ensure_namespace(name, {**MANAGED_BY, validation.PROBE_LABEL: "true"})
    try:
        yield name
    finally:
        api.delete_namespace(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """Run probe pods in one namespace."""

    api: ClusterApi
    waiter: Waiter
    namespace: str
    timeout_s: float = 300

    def run(
        self, probes: Sequence[ProbePod], windows: Collection[KubeNodeName]
    ) -> tuple[ProbeResult, ...]:
        """Create all probes, wait until each is judged, delete them."""
        started = self.waiter.clock.now()
        results: dict[str, ProbeResult] = {}
        seen: dict[str, str] = {}

        def look() -> bool | None:
            pods = {pod.name: pod for pod in self.api.pods(self.namespace)}
            for probe in probes:
                if probe.name in results:
                    continue
                pod = pods.get(probe.name)
                ok, seen[probe.name] = validation.verdict(probe, pod, windows)
                if ok is not None:
                    results[probe.name] = ProbeResult(
                        probe=probe,
                        ok=ok,
                        seen=seen[probe.name],
                        seconds=self.waiter.clock.now() - started,
                        node=pod.node if pod else "",
                    )
            return len(results) == len(probes) or None

        for probe in probes:
            self.api.create_pod(self.namespace, probe.manifest())
        try:
            self.waiter.until(look, what="probe pods", timeout_s=self.timeout_s)
        except DeadlineError:
            pass  # Probes without a result are failures below, each with what was seen last.
        finally:
            for probe in probes:
                self.api.delete_pod(self.namespace, probe.name)
        waited = self.waiter.clock.now() - started
        return tuple(
            results.get(probe.name)
            or ProbeResult(
                probe=probe,
                ok=False,
                seen=f"after {waited:.0f} s: {seen[probe.name]}",
                seconds=waited,
            )
            for probe in probes
        )


def checks_of(results: Sequence[ProbeResult], cluster: str) -> tuple[Check, ...]:
    """Sum the probes up, one check for each kind of placement."""
    return tuple(
        validation.check(
            expected.value,
            cluster,
            tuple(
                _finding(item)
                for item in results
                if item.probe.expected is expected and not item.ok
            ),
            max((r.seconds for r in results if r.probe.expected is expected), default=0.0),
        )
        for expected in dict.fromkeys(item.probe.expected for item in results)
    )


def _finding(result: ProbeResult) -> Finding:
    probe = result.probe
    return Finding(
        level=Level.ERROR,
        name=probe.expected.value,
        target=probe.node or probe.name,
        message=f"probe pod {probe.name}: {result.seen}",
        evidence={"image": probe.image, "node": result.node},
        fix="see the pod's events and the node's taints and labels",
        command="kubectl get events --all-namespaces --sort-by .lastTimestamp",
    )
