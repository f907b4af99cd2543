"""Carry out a plan and yield what happens; the only way in which the tool changes the world.

The plan's nodes are worked on in threads; one queue brings their events to one consumer. Closing
the generator, an interrupt or a lost lock stop every thread before its next change.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bootstrap.engine.joining import Joiner, jobs_of
from bootstrap.engine.reporting import NodeReport
from bootstrap.model.event import Event
from bootstrap.model.node import NodeName, ObservedInstance
from bootstrap.model.plan import Plan
from bootstrap.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What broke the worker itself: a bug, raised again in the consumer."""

    error: BaseException


def execute(
    plan: Plan,
    *,
    instances: Sequence[ObservedInstance],
    joiner: Joiner,
    clock: Clock,
    stop: threading.Event,
) -> Iterator[Event]:
    """Join the plan's nodes; yields events until every node has ended or ``stop`` is set."""
    events: queue.Queue[Event | Failure | None] = queue.Queue()

    def report_for(node: NodeName) -> NodeReport:
        return NodeReport(node, clock, events.put)

    jobs = jobs_of(plan, instances, report_for)
    worker = threading.Thread(
        target=_work, args=(lambda: joiner.join(jobs), events), name="joiner", daemon=True
    )
    worker.start()
    try:
        while (event := events.get()) is not None:
            if isinstance(event, Failure):
                raise event.error
            yield event
    finally:
        stop.set()
        worker.join()


def _work(act: Callable[[], None], events: queue.Queue[Event | Failure | None]) -> None:
    try:
        act()
    except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
        events.put(Failure(error=error))
    finally:
        events.put(None)
