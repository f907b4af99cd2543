"""Which pods a drain evicts, leaves, or refuses to touch: the rules of ``kubectl drain``.

Source: https://github.com/kubernetes/kubectl/blob/master/pkg/drain/filters.go
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bootstrap.model.kubernetes import PodFacts

ENDED = frozenset({"Succeeded", "Failed"})
DAEMON_SET = "DaemonSet"


class Fate(StrEnum):
    """What a drain does with a pod."""

    EVICT = "evict"
    LEAVE = "leave"
    """A DaemonSet's or the kubelet's own: it would be back at once."""
    REFUSE = "refuse"
    """Something would be lost; the user has to say that it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainOptions:
    """What the user allows a drain to lose, by the flags of the same names."""

    force: bool = False
    """Pods that no controller makes anew."""
    delete_emptydir_data: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A pod, its fate, and why."""

    pod: PodFacts
    fate: Fate
    why: str


def judge(pods: Iterable[PodFacts], options: DrainOptions) -> tuple[Judged, ...]:
    """Decide on each pod of a node, in the order of their names."""
    ordered = sorted(pods, key=lambda pod: (pod.namespace, pod.name))
    return tuple(_judge(pod, options) for pod in ordered)


def _judge(pod: PodFacts, options: DrainOptions) -> Judged:
    if pod.is_mirror:
        return Judged(pod=pod, fate=Fate.LEAVE, why="a static pod of the kubelet")
    if pod.phase in ENDED:
        return Judged(pod=pod, fate=Fate.EVICT, why="it has ended")
    if pod.controller_kind == DAEMON_SET:
        return Judged(pod=pod, fate=Fate.LEAVE, why="a DaemonSet's pod")
    losses = _losses(pod, options)
    if losses:
        return Judged(pod=pod, fate=Fate.REFUSE, why=" and ".join(losses))
    return Judged(pod=pod, fate=Fate.EVICT, why=pod.controller_kind or "--force")


def _losses(pod: PodFacts, options: DrainOptions) -> list[str]:
    """Say what would be lost for good, with the flag that allows it."""
    losses = []
    if not pod.controller_kind and not options.force:
        losses.append("no controller would make it anew (--force)")
    if pod.has_empty_dir and not options.delete_emptydir_data:
        losses.append("it has data in an emptyDir (--delete-emptydir-data)")
    return losses
