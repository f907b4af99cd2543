"""Whose lock may be taken away, and what becomes of who had it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bootstrap.engine import locking
from bootstrap.engine.waiting import Waiter
from bootstrap.errors import ConflictError, LockedError
from bootstrap.model.kubernetes import LeaseFacts
from tests.fakes.clock import FakeClock
from tests.fakes.cluster_api import FakeClusterApi


@dataclass
class Processes:
    """This machine, with one process that lives or not."""

    name: str = "here"
    lives: bool = True

    def host(self) -> str:
        return self.name

    def me(self) -> str:
        return "1"

    def is_alive(self, identity: str) -> bool:
        return self.lives


def lease_of(api: FakeClusterApi) -> LeaseFacts:
    found = api.lease(locking.LEASE)
    assert found is not None
    return found


def test_a_living_runs_lock_is_not_released_and_the_holder_named() -> None:
    api, processes = FakeClusterApi(), Processes()
    with locking.held(api, Waiter(clock=FakeClock()), processes, run_id="r1"):
        with pytest.raises(LockedError) as caught:
            locking.release(api, lease_of(api), is_held=True, force=False)
        assert "here/r1" in caught.value.message
        assert lease_of(api).holder == "here/r1"


def test_who_loses_the_lock_by_force_stops() -> None:
    api, waiter = FakeClusterApi(), Waiter(clock=FakeClock())
    with locking.held(api, waiter, Processes(), run_id="r1") as lock:
        locking.release(api, lease_of(api), is_held=True, force=True)
        lock.renew()
        assert (lock.lost, waiter.stop.is_set()) == (True, True)
    assert api.lease(locking.LEASE) is None


@pytest.mark.parametrize(
    ("host", "lives", "passed", "held"),
    [
        ("here", True, 3600.0, True),
        ("here", False, 0.0, False),
        ("elsewhere", False, 59.0, True),
        ("elsewhere", True, 61.0, False),
    ],
)
def test_a_lock_is_held_by_a_living_process_here_or_until_its_end_elsewhere(
    host: str, lives: bool, passed: float, held: bool
) -> None:
    api, clock = FakeClusterApi(), FakeClock()
    with locking.held(api, Waiter(clock=clock), Processes(), run_id="r1"):
        lease = lease_of(api)
        clock.pass_time(passed)
        seen_from = Processes(name="here" if host == "here" else "there", lives=lives)
        assert locking.is_held(lease, now=clock.now(), processes=seen_from) is held


def test_a_lock_that_changed_hands_since_it_was_read_stays() -> None:
    api = FakeClusterApi()
    with locking.held(api, Waiter(clock=FakeClock()), Processes(), run_id="r1") as lock:
        seen = lease_of(api)
        lock.renew()
        with pytest.raises(ConflictError):
            locking.release(api, seen, is_held=False, force=False)
