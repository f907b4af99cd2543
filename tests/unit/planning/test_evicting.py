"""Which pods a drain evicts, leaves, or refuses to touch."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.planning.evicting import DrainOptions, Fate, judge
from bootstrap.planning.kube_objects import pod_from

NOTHING, FORCE = DrainOptions(), DrainOptions(force=True)
EMPTY_DIR = DrainOptions(delete_emptydir_data=True)
ALL = DrainOptions(force=True, delete_emptydir_data=True)


def pod_json(
    *, owner: str = "", controller: bool = True, phase: str = "Running", **metadata: Any
) -> dict[str, Any]:
    owners = [{"kind": owner, "name": "o", "controller": controller}] if owner else []
    volumes = [{"name": "v", "emptyDir": {}}] if metadata.pop("empty_dir", False) else []
    head = {"namespace": "default", "name": "p", "uid": "u", "ownerReferences": owners}
    return {
        "metadata": head | metadata,
        "spec": {"nodeName": "i-1", "volumes": volumes},
        "status": {"phase": phase},
    }


REPLICA = pod_json(owner="ReplicaSet")
BARE = pod_json()
# An owner that is no controller makes nothing anew.
OWNED = pod_json(owner="ReplicaSet", controller=False)
DAEMON = pod_json(owner="DaemonSet", empty_dir=True)
MIRROR = pod_json(owner="Node", annotations={"kubernetes.io/config.mirror": "hash"})
SCRATCH = pod_json(owner="StatefulSet", empty_dir=True)
BARE_SCRATCH = pod_json(empty_dir=True)


@pytest.mark.parametrize(
    ("pod", "options", "fate"),
    [
        (REPLICA, NOTHING, Fate.EVICT),
        (BARE, NOTHING, Fate.REFUSE),
        (BARE, FORCE, Fate.EVICT),
        (BARE, EMPTY_DIR, Fate.REFUSE),
        (OWNED, NOTHING, Fate.REFUSE),
        (SCRATCH, NOTHING, Fate.REFUSE),
        (SCRATCH, FORCE, Fate.REFUSE),
        (SCRATCH, EMPTY_DIR, Fate.EVICT),
        (BARE_SCRATCH, EMPTY_DIR, Fate.REFUSE),
        (BARE_SCRATCH, ALL, Fate.EVICT),
        (DAEMON, NOTHING, Fate.LEAVE),
        (DAEMON, ALL, Fate.LEAVE),
        (MIRROR, ALL, Fate.LEAVE),
        (pod_json(phase="Succeeded", empty_dir=True), NOTHING, Fate.EVICT),
        (pod_json(phase="Failed"), NOTHING, Fate.EVICT),
    ],
)
def test_a_pods_fate(pod: dict[str, Any], options: DrainOptions, fate: Fate) -> None:
    (judged,) = judge([pod_from(pod)], options)
    assert judged.fate is fate


def test_a_refusal_names_every_flag_that_is_missing() -> None:
    (judged,) = judge([pod_from(BARE_SCRATCH)], NOTHING)
    assert "--force" in judged.why
    assert "--delete-emptydir-data" in judged.why


def test_pods_are_judged_in_the_order_of_their_names() -> None:
    pods = [pod_from(pod_json(owner="ReplicaSet", name=name)) for name in ("b", "c", "a")]
    assert [item.pod.name for item in judge(pods, NOTHING)] == ["a", "b", "c"]


def test_a_pod_that_is_going_is_known_as_such() -> None:
    assert pod_from(pod_json(deletionTimestamp="2026-11-24T10:00:00Z")).is_deleting
    assert not pod_from(BARE).is_deleting
