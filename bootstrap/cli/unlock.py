"""``bootstrap unlock``: whose the cluster's lock is, and how to be rid of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bootstrap.cli.options import CommonOptions, common_options

if TYPE_CHECKING:
    from bootstrap.cli.documents import Document
    from bootstrap.model.kubernetes import LeaseFacts


@click.command(
    "unlock", short_help="Show who holds the cluster's lock, and give a dead run's lock free."
)
@click.option("--force", is_flag=True, help="Take it from a run that seems to live, too.")
@common_options
def unlock(options: CommonOptions, force: bool) -> int:
    """Show who holds the cluster's lock; with --yes release it.

    The lock of a run that has died ends by itself within a minute, so this is seldom needed. A run
    that lives loses its lock only with --force, and stops before its next change.

    \b
    Examples:
      bootstrap unlock
      bootstrap unlock --yes
      bootstrap unlock --force --yes
    """
    from bootstrap import wiring
    from bootstrap.cli import adding, render
    from bootstrap.engine import locking

    settings = options.load()
    ports = wiring.ports(settings, adding.access_of(options))
    now, lease = ports.clock.now(), ports.api.lease(locking.LEASE)
    held = lease is not None and locking.is_held(lease, now=now, processes=ports.processes)
    released = lease is not None and options.yes
    if lease is not None and released:
        locking.release(ports.api, lease, is_held=held, force=force)
    shown = lock_document(lease, cluster=settings.cluster, now=now, held=held, released=released)
    render.show_result(shown, options)
    return 0


def lock_document(
    lease: LeaseFacts | None, *, cluster: str, now: float, held: bool, released: bool
) -> Document:
    """Show a lock; ``age`` is the time since it was taken."""
    from bootstrap.cli import documents
    from bootstrap.engine import locking

    marks = lease.annotations if lease else {}
    taken = locking.seconds_of(lease.acquired_at) if lease else 0.0
    fields = {
        "present": lease is not None,
        "held": held,
        "released": released,
        "holder": lease.holder or None if lease else None,
        "host": marks.get(locking.HOST),
        "process": marks.get(locking.PID),
        "runId": marks.get(locking.RUN),
        "acquiredAt": lease.acquired_at or None if lease else None,
        "renewedAt": lease.renewed_at or None if lease else None,
        "endsAt": locking.rfc3339(locking.ends_at(lease)) if lease else None,
        "ageSeconds": round(now - taken, 3) if taken else None,
    }
    return documents.document("Lock", fields, cluster=cluster)
