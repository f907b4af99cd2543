"""One run at a time per cluster: a Lease that is renewed while the run goes on.

A holder that died on this machine is noticed at once by its process id; one that died elsewhere by
the Lease's end. Losing the Lease stops the run before its next change.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bootstrap.engine.waiting import Waiter
from bootstrap.errors import BootstrapError, ConflictError, LockedError
from bootstrap.model.kubernetes import LeaseFacts
from bootstrap.model.node import MANAGED_BY, NAMESPACE
from bootstrap.ports import Clock, ClusterApi, ProcessTable

LEASE = "windows-bootstrap"
# Long enough to survive an API server that restarts, short enough for whoever waits after a crash.
LEASE_SECONDS = 60
RENEW_SECONDS = 15.0
HOST, PID, RUN = "bootstrap.node/host", "bootstrap.node/process", "bootstrap.node/run"


def is_held(lease: LeaseFacts, *, now: float, processes: ProcessTable) -> bool:
    """Tell whether a living run holds the Lease."""
    if not lease.holder:
        return False
    if lease.annotations.get(HOST) == processes.host():
        return processes.is_alive(lease.annotations.get(PID, ""))
    return ends_at(lease) > now


def ends_at(lease: LeaseFacts) -> float:
    """Return when a Lease ends unless it is renewed, in seconds since the epoch."""
    return seconds_of(lease.renewed_at) + lease.duration_s


def is_mine(lease: LeaseFacts, processes: ProcessTable) -> bool:
    """Tell whether this very process holds the Lease."""
    return (lease.annotations.get(HOST), lease.annotations.get(PID)) == (
        processes.host(),
        processes.me(),
    )


@dataclass(slots=True)
class RunLock:
    """The Lease as this run holds it; ``lost`` when somebody else took it, which sets ``stop``."""

    api: ClusterApi
    clock: Clock
    lease: LeaseFacts
    stop: threading.Event
    lost: bool

    def renew(self) -> None:
        """Renew once; a conflict means that the Lease is lost."""
        fresh = replace(self.lease, renewed_at=rfc3339(self.clock.now(), micro=True))
        try:
            self.lease = self.api.write_lease(fresh)
        except ConflictError:
            self.lost = True
            self.stop.set()


@contextmanager
def held(
    api: ClusterApi, waiter: Waiter, processes: ProcessTable, *, run_id: str
) -> Iterator[RunLock]:
    """Take the lock, renew it in a thread, give it back; LockedError names who has it.

    Losing it sets the waiter's ``stop``, which ends every wait of the run.
    """
    api.ensure_namespace(NAMESPACE, MANAGED_BY)
    clock = waiter.clock
    lock = RunLock(api, clock, _take(api, clock, processes, run_id), waiter.stop, False)
    done = threading.Event()
    renewer = threading.Thread(target=_keep, args=(lock, done), name="lock", daemon=True)
    renewer.start()
    try:
        yield lock
    finally:
        done.set()
        renewer.join()
        if not lock.lost:
            _give_back(lock)


def _take(api: ClusterApi, clock: Clock, processes: ProcessTable, run_id: str) -> LeaseFacts:
    found = api.lease(LEASE)
    if found is not None and is_held(found, now=clock.now(), processes=processes):
        raise _locked(found)
    now = rfc3339(clock.now(), micro=True)
    wanted = LeaseFacts(
        name=LEASE,
        holder=f"{processes.host()}/{run_id}",
        acquired_at=now,
        renewed_at=now,
        duration_s=LEASE_SECONDS,
        resource_version=found.resource_version if found else "",
        annotations={HOST: processes.host(), PID: processes.me(), RUN: run_id},
    )
    try:
        return api.write_lease(wanted)
    except ConflictError as exc:
        raise _locked(api.lease(LEASE) or wanted) from exc


def _locked(lease: LeaseFacts) -> LockedError:
    return LockedError(
        f"another run holds the lock: {lease.holder}",
        target=f"{NAMESPACE}/{LEASE}",
        evidence=f"renewed at {lease.renewed_at}, valid for {lease.duration_s} s",
        fix="wait for it; the lock of a dead run ends by itself",
        command=f"kubectl -n {NAMESPACE} get lease {LEASE} -o yaml",
    )


def _keep(lock: RunLock, done: threading.Event) -> None:
    while not done.wait(RENEW_SECONDS) and not lock.lost:
        try:
            lock.renew()
        except BootstrapError:
            continue  # The API server may be away for a while; the Lease lasts longer than that.


def _give_back(lock: RunLock) -> None:
    try:
        lock.api.delete_lease(LEASE, resource_version=lock.lease.resource_version)
    except BootstrapError:
        return  # It ends by itself, and the run's own result matters more.


def release(api: ClusterApi, lease: LeaseFacts, *, is_held: bool, force: bool) -> None:
    """Take a Lease away that was read a moment ago; a living run's only by force.

    Its holder notices at the next renewal and stops before its next change.
    """
    if is_held and not force:
        error = _locked(lease)
        error.fix = "wait for it, or take the lock away by force if you know that it is dead"
        error.command = "bootstrap unlock --force --yes"
        raise error
    api.delete_lease(lease.name, resource_version=lease.resource_version)


def rfc3339(seconds: float, *, micro: bool = False) -> str:
    """Write a time as Kubernetes does: UTC with Z, with microseconds for Leases."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(
        timespec="microseconds" if micro else "seconds"
    )
    return text.replace("+00:00", "Z")


def seconds_of(text: str) -> float:
    """Read a time of Kubernetes as seconds since the epoch; 0 for none."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0
