"""One run of a playbook: a thread for ansible-runner, a queue of events, an end in every case."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ansible_runner

from bootstrap.adapters.playbooks import run_folder
from bootstrap.adapters.playbooks.events import translate
from bootstrap.adapters.playbooks.run_folder import RunFolder
from bootstrap.errors import DeadlineError, RemoteError
from bootstrap.model.host import PlaybookEnded, PlaybookEvent, PlaybookRun, TaskFailed
from bootstrap.model.node import NodeName

_Events = queue.Queue[PlaybookEvent | BaseException | None]


class AnsiblePlaybookRunner:
    """Implement ``ports.PlaybookRunner``.

    Credentials stand in one inventory file below a folder that goes away with the run; the child
    has none in its arguments or environment, and no event is stored. ``identity`` and ``is_alive``
    name this process and tell of others (``ports.ProcessTable``): what runs that were killed left
    is cleared up by the next one.
    """

    def __init__(
        self,
        playbooks: Path,
        logs: Path,
        *,
        identity: str,
        is_alive: Callable[[str], bool],
        timeout_s: float = 3600,
    ) -> None:
        self._playbooks = playbooks
        self._logs = logs
        self._identity = identity
        self._is_alive = is_alive
        self._timeout_s = timeout_s

    def run(self, run: PlaybookRun, *, should_stop: Callable[[], bool]) -> Iterator[PlaybookEvent]:
        """Run a playbook and yield what happens; ends with PlaybookEnded unless stopped."""
        run_folder.sweep(self._is_alive)
        folder = RunFolder.make(self._identity)
        events: _Events = queue.Queue()
        abandoned = threading.Event()

        def is_over() -> bool:
            if not (abandoned.is_set() or should_stop()):
                return False
            folder.kill()
            return True

        worker = threading.Thread(
            target=self._work, args=(run, folder, events, is_over), name="ansible", daemon=True
        )
        try:
            folder.write_inventory(run)
            worker.start()
            while (event := events.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            abandoned.set()
            if worker.is_alive():
                worker.join()
            folder.kill()
            folder.remove()

    def _work(
        self, run: PlaybookRun, folder: RunFolder, events: _Events, is_over: Callable[[], bool]
    ) -> None:
        failed: dict[NodeName, bool] = {}

        def handle(event: dict[str, Any]) -> bool:
            found = translate(event)
            if found is not None:
                if isinstance(found, TaskFailed):
                    failed[found.node] = True
                events.put(found)
            return False  # ansible-runner must not store it

        try:
            outcome = ansible_runner.run(
                private_data_dir=str(folder.path),
                playbook=str(self._playbooks / run.playbook),
                inventory=str(folder.inventory),
                envvars=folder.environment(),
                forks=max(1, min(run.forks, len(run.hosts))),
                verbosity=run.verbosity or None,
                cmdline="--check" if run.check else None,
                event_handler=handle,
                cancel_callback=is_over,
                timeout=int(self._timeout_s),
                quiet=True,
                suppress_env_files=True,
            )
            log = self._keep_log(folder)
            last = self._last_event(run, outcome, tuple(failed), log)
            if last is not None:
                events.put(last)
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            events.put(error)
        finally:
            events.put(None)

    def _last_event(
        self, run: PlaybookRun, outcome: Any, failed: tuple[NodeName, ...], log: Path
    ) -> PlaybookEvent | BaseException | None:
        if outcome.status == "canceled":
            return None
        if outcome.status == "timeout":
            return _too_late(self._timeout_s, log)
        if outcome.rc != 0 and not failed:
            return _broken(outcome.rc, log)
        names = (host.target.node for host in run.hosts)
        ok = tuple(name for name in names if name not in failed)
        return PlaybookEnded(ok=ok, failed=failed, log_path=str(log))

    def _keep_log(self, folder: RunFolder) -> Path:
        """Keep Ansible's own output; tasks with secrets are ``no_log``."""
        self._logs.mkdir(parents=True, exist_ok=True)
        name = folder.path.name.removeprefix(run_folder.PREFIX)
        target = self._logs / f"playbook-{name}.log"
        target.touch(mode=0o600)
        target.write_bytes(folder.log())
        return target


def _too_late(timeout_s: float, log: Path) -> DeadlineError:
    return DeadlineError(
        f"the playbook took longer than {timeout_s:.0f} s",
        name="PlaybookDeadline",
        target=str(log),
        evidence="timeouts.playbook of the configuration",
        fix="run the same command again: it goes on from here",
    )


def _broken(code: int, log: Path) -> RemoteError:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return RemoteError(
        f"ansible-playbook ended with {code}",
        name="PlaybookBroken",
        target=str(log),
        evidence="\n".join(lines[-5:]),
    )
