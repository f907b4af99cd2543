"""Our playbooks through ansible-runner.

Credentials stand in one inventory file (0600, in memory where /dev/shm is there) below a folder
that goes away with the run; the child has none in its arguments or environment, and no event is
stored.
The folders of runs that were killed are swept by the next one.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ansible_runner

from bootstrap.errors import DeadlineError, RemoteError
from bootstrap.model.host import (
    HostTarget,
    PlaybookEnded,
    PlaybookEvent,
    PlaybookHost,
    PlaybookRun,
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from bootstrap.model.node import NodeName
from bootstrap.model.secret import Secret

PREFIX = "bootstrap-playbook-"
OPERATION_TIMEOUT_S = 60
READ_TIMEOUT_S = 90
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own, 0700, is made in it
_OWNER = "owner"

# A connection that breaks in the middle of a task is a failure for Ansible; only before it, it is
# "unreachable".
LOST_CONNECTION = re.compile(
    r"Connection aborted|RemoteDisconnected|Connection reset|Broken pipe|Max retries exceeded"
    r"|winrm connection error|winrm send_input failed|shell was not found"
)

# ansible-playbook dies with us, also when we are killed; SIGKILL, since it may be waiting for ever.
_CHILD = """#!{python}
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
os.execv({python!r}, [{python!r}, "-m", "ansible", "playbook", *sys.argv[1:]])
"""

_ENVIRONMENT = {
    "ANSIBLE_RETRY_FILES_ENABLED": "False",
    "ANSIBLE_NOCOLOR": "True",
    "ANSIBLE_GATHERING": "explicit",
    "ANSIBLE_DEPRECATION_WARNINGS": "False",
    "PYTHONWARNINGS": "ignore",
}


class AnsiblePlaybookRunner:
    """Implement ``ports.PlaybookRunner``.

    ``identity`` and ``is_alive`` name this process and tell of others (``ports.ProcessTable``).
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
        self._sweep()
        folder = self._folder()
        events: queue.Queue[PlaybookEvent | BaseException | None] = queue.Queue()
        abandoned = threading.Event()
        stop = _any(should_stop, abandoned.is_set)
        worker = threading.Thread(
            target=self._work, args=(run, folder, events, stop), name="ansible", daemon=True
        )
        try:
            self._write_inventory(folder, run)
            worker.start()
            while (event := events.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            abandoned.set()
            if worker.is_alive():
                worker.join()
            shutil.rmtree(folder, ignore_errors=True)

    # -- folders --
    def _root(self) -> Path:
        return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())

    def _folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._root()))
        (folder / _OWNER).write_text(self._identity, encoding="ascii")
        # Whatever configuration the user has for other playbooks is not ours.
        (folder / "ansible.cfg").write_text("[defaults]\n", encoding="ascii")
        child = folder / "ansible-playbook"
        child.write_text(_CHILD.format(python=sys.executable), encoding="utf-8")
        child.chmod(stat.S_IRWXU)
        return folder

    def _sweep(self) -> None:
        """Remove the folders of runs whose process is gone."""
        for folder in self._root().glob(f"{PREFIX}*"):
            try:
                owner = (folder / _OWNER).read_text(encoding="ascii")
                is_ours = folder.stat().st_uid == os.getuid()
            except OSError:
                continue
            if is_ours and not self._is_alive(owner):
                shutil.rmtree(folder, ignore_errors=True)

    def _write_inventory(self, folder: Path, run: PlaybookRun) -> None:
        hosts = {host.target.node: _host_variables(folder, host) for host in run.hosts}
        path = folder / "hosts.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps({"all": {"hosts": hosts}}, default=_revealed), encoding="utf-8")

    # -- the run --
    def _work(
        self,
        run: PlaybookRun,
        folder: Path,
        events: queue.Queue[PlaybookEvent | BaseException | None],
        should_stop: Callable[[], bool],
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
                private_data_dir=str(folder),
                playbook=str(self._playbooks / run.playbook),
                inventory=str(folder / "hosts.json"),
                envvars=_environment(folder),
                forks=max(1, min(run.forks, len(run.hosts))),
                verbosity=run.verbosity or None,
                cmdline="--check" if run.check else None,
                event_handler=handle,
                cancel_callback=should_stop,
                timeout=int(self._timeout_s),
                quiet=True,
                suppress_env_files=True,
            )
            log = self._keep_log(folder)
            if outcome.status == "canceled":
                return
            if outcome.status == "timeout":
                events.put(_too_late(self._timeout_s, log))
                return
            if outcome.rc != 0 and not failed:
                events.put(_broken(outcome.rc, log))
                return
            names = [host.target.node for host in run.hosts]
            ended = PlaybookEnded(
                ok=tuple(name for name in names if name not in failed),
                failed=tuple(failed),
                log_path=str(log),
            )
            events.put(ended)
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            events.put(error)
        finally:
            events.put(None)

    def _keep_log(self, folder: Path) -> Path:
        """Keep Ansible's own output; tasks with secrets are ``no_log``."""
        self._logs.mkdir(parents=True, exist_ok=True)
        target = self._logs / f"playbook-{folder.name.removeprefix(PREFIX)}.log"
        for source in folder.glob("artifacts/*/stdout"):
            target.touch(mode=0o600)
            target.write_bytes(source.read_bytes())
        return target


def _environment(folder: Path) -> dict[str, str]:
    """Return what the child's environment has beyond ours: our ansible-playbook is found first."""
    path = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return _ENVIRONMENT | {"ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "PATH": path}


def _host_variables(folder: Path, host: PlaybookHost) -> dict[str, object]:
    return {**host.variables, **_connection(folder, host.target)}


def _connection(folder: Path, target: HostTarget) -> dict[str, object]:
    certificate = folder / f"{target.node}.pem"
    certificate.write_text(target.ca_pem, encoding="ascii")
    return {
        "ansible_connection": "winrm",
        "ansible_shell_type": "powershell",
        "ansible_host": target.host,
        "ansible_port": target.port,
        "ansible_user": target.user,
        "ansible_password": target.password.reveal(),
        "ansible_winrm_scheme": "https",
        "ansible_winrm_transport": "ntlm",
        "ansible_winrm_server_cert_validation": "validate",
        "ansible_winrm_ca_trust_path": str(certificate),
        "ansible_winrm_operation_timeout_sec": OPERATION_TIMEOUT_S,
        "ansible_winrm_read_timeout_sec": READ_TIMEOUT_S,
    }


def _revealed(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a host variable holds a {type(value).__name__}")


def translate(event: Mapping[str, Any]) -> PlaybookEvent | None:
    """Turn an event of ansible-runner into ours; None for those that tell nothing new."""
    data = event.get("event_data") or {}
    node, role, task = NodeName(str(data.get("host", ""))), _text(data, "role"), _text(data, "task")
    match event.get("event"):
        case "playbook_on_task_start":
            return TaskStarted(role=role, task=task)
        case "runner_on_ok":
            changed = bool((data.get("res") or {}).get("changed"))
            return TaskFinished(node=node, role=role, task=task, changed=changed)
        case "runner_on_skipped":
            return TaskFinished(node=node, role=role, task=task, changed=False, skipped=True)
        case "runner_on_failed" if not data.get("ignore_errors"):
            result = data.get("res") or {}
            lost = bool(LOST_CONNECTION.search(str(result.get("msg", ""))))
            return _failure(node, role, task, result, unreachable=lost)
        case "runner_on_unreachable":
            return _failure(node, role, task, data.get("res") or {}, unreachable=True)
        case _:
            return None


def _failure(
    node: NodeName, role: str, task: str, result: Mapping[str, Any], *, unreachable: bool
) -> TaskFailed:
    records = result.get("error") or ()
    texts = [str(item.get("output", "")) for item in records if isinstance(item, Mapping)]
    message = next((text for text in texts if text), "") or str(result.get("msg", ""))
    return TaskFailed(
        node=node,
        role=role,
        task=task,
        message=message.strip()[:1000],
        unreachable=unreachable,
        result={key: result[key] for key in ("msg", "rc") if key in result},
    )


def _text(data: Mapping[str, Any], key: str) -> str:
    return str(data.get(key) or "")


def _any(*conditions: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: any(condition() for condition in conditions)


def _too_late(timeout_s: float, log: Path) -> DeadlineError:
    return DeadlineError(
        f"the playbook took longer than {timeout_s:.0f} s",
        name="PlaybookDeadline",
        target=str(log),
        evidence="timeouts.playbook of the configuration",
        fix="run the same command again: it goes on from here",
    )


def _broken(code: int, log: Path) -> RemoteError:
    lines = log.read_text(encoding="utf-8").strip().splitlines() if log.exists() else []
    return RemoteError(
        f"ansible-playbook ended with {code}",
        name="PlaybookBroken",
        target=str(log),
        evidence="\n".join(lines[-5:]),
    )
