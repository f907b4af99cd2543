"""Playbooks run by the real Ansible on this machine: events, ends, and that nothing is left."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bootstrap.adapters.playbooks import AnsiblePlaybookRunner
from bootstrap.adapters.playbooks.events import HIDDEN, translate
from bootstrap.adapters.processes import LocalProcesses
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

pytest.importorskip("ansible", reason="Ansible is not installed")

DEADLINE_S = 120
PASSWORD, TOKEN = "pass-word-of-test", "to-ken-of-test"
# Variables of a play go before those of the inventory, so these hosts are this machine.
HEAD = """
- hosts: all
  gather_facts: false
  vars:
    ansible_connection: local
    ansible_shell_type: sh
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""
WAIT = """
  tasks:
    - name: Wait
      ansible.builtin.command: sleep 300
      changed_when: false
"""


@dataclass
class Bench:
    """A folder of playbooks and a runner for them."""

    folder: Path
    timeout_s: float = DEADLINE_S

    def runner(self) -> AnsiblePlaybookRunner:
        return AnsiblePlaybookRunner(
            self.folder / "playbooks",
            self.folder / "logs",
            identity=LocalProcesses().me(),
            is_alive=LocalProcesses().is_alive,
            timeout_s=self.timeout_s,
        )

    def play(
        self,
        tasks: str,
        *,
        nodes: tuple[str, ...] = ("win-1",),
        head: str = HEAD,
        should_stop: Callable[[], bool] = lambda: False,
        **options: Any,
    ) -> Iterator[PlaybookEvent]:
        """Run one play over hosts."""
        playbooks = self.folder / "playbooks"
        playbooks.mkdir(parents=True, exist_ok=True)
        (playbooks / "play.yml").write_text(head + tasks)
        run = PlaybookRun(playbook="play.yml", hosts=tuple(host(node) for node in nodes), **options)
        return self.runner().run(run, should_stop=should_stop)

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in (self.folder / "logs").glob("*"))


def folders(identity: str = "") -> list[Path]:
    """Folders of the runs of a process, of this one by default.

    Runs of others on this machine clear up after dead ones, so identities have to be true.
    """
    found = []
    for root in (Path("/dev/shm"), Path(tempfile.gettempdir())):
        for path in root.glob("bootstrap-playbook-*/owner"):
            with contextlib.suppress(FileNotFoundError):
                if path.read_text() == (identity or LocalProcesses().me()):
                    found.append(path.parent)
    return found


def host(node: str) -> PlaybookHost:
    target = HostTarget(
        node=NodeName(node),
        host="127.0.0.1",
        ca_pem="no certificate",
        user="Administrator",
        password=Secret(PASSWORD),
        port=1,
    )
    return PlaybookHost(target=target, variables={"deep": {"list": [{"token": Secret(TOKEN)}]}})


def processes_of(folder: Path) -> list[int]:
    """Processes that were started with a folder's configuration."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"ANSIBLE_CONFIG={folder}/".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait until something is true; tells whether it became so."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# -- what a run tells --


def test_events_come_in_order_with_role_and_change(bench: Bench) -> None:
    role = bench.folder / "playbooks" / "roles" / "windows_base" / "tasks"
    role.mkdir(parents=True)
    (role / "main.yml").write_text(
        "- name: Change\n  ansible.builtin.command: 'true'\n"
        "- name: Leave\n  ansible.builtin.command: 'true'\n  changed_when: false\n"
        "- name: Skip\n  ansible.builtin.command: 'true'\n  when: false\n"
    )
    *events, ended = bench.play("  roles: [windows_base]\n")
    node = NodeName("win-1")
    assert [event for event in events if isinstance(event, TaskFinished)] == [
        TaskFinished(node=node, role="windows_base", task="Change", changed=True),
        TaskFinished(node=node, role="windows_base", task="Leave", changed=False),
        TaskFinished(node=node, role="windows_base", task="Skip", changed=False, skipped=True),
    ]
    assert events[0] == TaskStarted(node=node, role="windows_base", task="Change")
    assert isinstance(ended, PlaybookEnded)
    assert (ended.ok, ended.failed) == ((node,), ())
    assert "PLAY RECAP" in Path(ended.log_path).read_text()


def test_host_that_fails_does_not_hold_up_the_others(bench: Bench) -> None:
    tasks = """
  tasks:
    - name: Choose
      ansible.builtin.fail:
        msg: "WN0202 a checksum does not fit"
      when: inventory_hostname == 'win-2'
    - name: Go on
      ansible.builtin.command: 'true'
"""
    *events, ended = bench.play(tasks, nodes=("win-1", "win-2"))
    (failure,) = [event for event in events if isinstance(event, TaskFailed)]
    assert (failure.node, failure.task) == ("win-2", "Choose")
    assert failure.message.endswith("WN0202 a checksum does not fit")
    assert not failure.unreachable
    went_on = [e.node for e in events if isinstance(e, TaskFinished) and e.task == "Go on"]
    assert went_on == ["win-1"]
    assert isinstance(ended, PlaybookEnded)
    assert (ended.ok, ended.failed) == (("win-1",), ("win-2",))


def test_host_that_does_not_answer_is_unreachable(bench: Bench) -> None:
    head = "- hosts: all\n  gather_facts: false\n"
    task = "  tasks:\n    - name: Ping\n      ansible.windows.win_ping:\n"
    *events, ended = bench.play(task, head=head)
    (failure,) = [event for event in events if isinstance(event, TaskFailed)]
    assert failure.unreachable
    assert "Connection refused" in failure.message
    assert isinstance(ended, PlaybookEnded)
    assert ended.failed == ("win-1",)


def test_check_mode_reaches_ansible(bench: Bench) -> None:
    target = bench.folder / "made"
    task = f"  tasks:\n    - ansible.builtin.file:\n        path: {target}\n        state: touch\n"
    list(bench.play(task, check=True))
    assert not target.exists()


def test_playbook_that_ansible_cannot_read_is_broken(bench: Bench) -> None:
    with pytest.raises(RemoteError) as caught:
        list(bench.play("  tasks:\n    - no.such.module:\n"))
    assert caught.value.name == "PlaybookBroken"
    assert "no.such.module" in caught.value.evidence
    assert folders() == []


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"msg": "non-zero return code"}, "non-zero return code"),
        ({"msg": "m", "error": [{"output": ""}, {"output": "WN0401 x\n"}]}, "WN0401 x"),
        ({"msg": "m", "error": [{"output": "first"}, {"output": "thrown"}]}, "thrown"),
        ({"censored": "the output has been hidden"}, HIDDEN),
        ({}, ""),
    ],
)
def test_failure_says_what_the_script_threw(result: dict[str, Any], message: str) -> None:
    data = {"host": "win-1", "role": "kubelet", "task": "Run", "res": result}
    event = translate({"event": "runner_on_failed", "event_data": data})
    assert isinstance(event, TaskFailed)
    assert (event.message, event.unreachable) == (message, False)


@pytest.mark.parametrize(
    "message",
    ["Connection aborted.", "winrm send_input failed; stdout", "Connection reset by peer"],
)
def test_connection_that_is_lost_in_a_task_is_unreachable(message: str) -> None:
    data = {"host": "win-1", "res": {"msg": message}}
    event = translate({"event": "runner_on_failed", "event_data": data})
    assert isinstance(event, TaskFailed)
    assert event.unreachable


def test_failure_that_the_playbook_ignores_is_none() -> None:
    data = {"host": "win-1", "res": {"msg": "x"}, "ignore_errors": True}
    assert translate({"event": "runner_on_failed", "event_data": data}) is None


# -- secrets --


def test_secrets_reach_the_hosts_and_stay_nowhere_else(bench: Bench) -> None:
    tasks = f"""
  tasks:
    - name: Compare
      ansible.builtin.assert:
        that: deep.list[0].token == '{TOKEN}' and ansible_password == '{PASSWORD}'
    - name: Hand over and fail
      ansible.builtin.command: "false {{{{ deep.list[0].token }}}}"
      no_log: true
"""
    seen: dict[str, Any] = {}
    events = []
    for event in bench.play(tasks, verbosity=3):
        if not seen:
            seen = _look_at(*folders())
        events.append(event)
    assert seen["folder"] == 0o700
    assert seen["secret files"] == {"hosts.json": 0o600}
    assert not seen["secret in a process"]
    (failure,) = [event for event in events if isinstance(event, TaskFailed)]
    assert (failure.task, failure.message) == ("Hand over and fail", HIDDEN)
    assert folders() == []
    # The first task names both itself.
    log = bench.log.replace(f"'{TOKEN}'", "").replace(f"'{PASSWORD}'", "")
    assert TOKEN not in log
    assert PASSWORD not in log


def _look_at(folder: Path) -> dict[str, Any]:
    """Say how a folder and the processes of a run keep secrets."""
    secret = {}
    for path in folder.rglob("*"):
        if path.is_file() and PASSWORD.encode() in path.read_bytes():
            secret[path.name] = path.stat().st_mode & 0o777
    shown = b""
    for process in processes_of(folder):
        for name in ("cmdline", "environ"):
            try:
                shown += Path(f"/proc/{process}/{name}").read_bytes()
            except OSError:
                continue
    return {
        "folder": folder.stat().st_mode & 0o777,
        "secret files": secret,
        "secret in a process": PASSWORD.encode() in shown or TOKEN.encode() in shown,
    }


# -- ends --


def test_stop_ends_the_task_that_runs_and_leaves_nothing(bench: Bench) -> None:
    stop = threading.Event()
    events = bench.play(WAIT, should_stop=stop.is_set)
    assert next(events) == TaskStarted(node=NodeName("win-1"), role="", task="Wait")
    (folder,) = folders()
    assert eventually(lambda: len(processes_of(folder)) > 2)
    stop.set()
    assert list(events) == []
    assert processes_of(folder) == []
    assert not folder.exists()


def test_consumer_that_goes_away_ends_the_run(bench: Bench) -> None:
    events = bench.play(WAIT)
    assert next(events) == TaskStarted(node=NodeName("win-1"), role="", task="Wait")
    (folder,) = folders()
    events.close()  # type: ignore[attr-defined]
    assert processes_of(folder) == []
    assert not folder.exists()


def test_run_that_takes_too_long_is_ended(bench: Bench) -> None:
    bench.timeout_s = 1
    with pytest.raises(DeadlineError) as caught:
        list(bench.play(WAIT))
    assert caught.value.name == "PlaybookDeadline"
    assert folders() == []


_TOOL = """
import sys
from pathlib import Path
from bootstrap.adapters.processes import LocalProcesses
from tests.adapters.test_playbooks import WAIT, Bench
for event in Bench(Path(sys.argv[1])).play(WAIT):
    print(LocalProcesses().me(), flush=True)
"""


def test_nothing_outlives_a_tool_that_is_killed_and_the_next_run_clears_up(bench: Bench) -> None:
    line = [sys.executable, "-c", textwrap.dedent(_TOOL), str(bench.folder)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(line, cwd=root, stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        (folder,) = folders(tool.stdout.readline().strip())
        # ansible-playbook and its worker; what a worker runs, here on this machine, is none of it.
        assert eventually(lambda: len(ansible_of(folder)) > 1)
        tool.send_signal(signal.SIGKILL)
    assert eventually(lambda: ansible_of(folder) == [])
    list(bench.play("  tasks: []\n"))
    assert processes_of(folder) == []
    assert not folder.exists()


def ansible_of(folder: Path) -> list[int]:
    """Ansible's own processes of a run."""
    return [process for process in processes_of(folder) if b"child.py" in _line(process)]


def _line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def test_run_that_lives_is_left_alone_by_another(bench: Bench) -> None:
    events = bench.play(WAIT)
    next(events)
    (folder,) = folders()
    list(Bench(bench.folder / "other").play("  tasks: []\n"))
    assert folder.exists()
    events.close()  # type: ignore[attr-defined]


# -- what is the user's, and not ours --


def test_users_settings_for_ansible_do_not_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    plugin = home / ".ansible" / "collections" / "ansible_collections" / "ansible" / "windows"
    (plugin / "plugins" / "modules").mkdir(parents=True)
    (plugin / "plugins" / "modules" / "win_ping.py").write_text("raise SystemExit(9)\n")
    (home / ".ansible.cfg").write_text("[defaults]\nforks = none\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ansible.cfg").write_text("[defaults]\nforks = none\n")
    task = """
  tasks:
    - name: Tell
      ansible.builtin.debug:
        msg: "{{ lookup('ansible.builtin.config', 'COLLECTIONS_PATHS') }} {{ q('pipe', 'env') }}"
"""
    *_, ended = bench.play(task, verbosity=1)
    assert isinstance(ended, PlaybookEnded)
    assert ended.ok == ("win-1",)
    assert str(home / ".ansible") not in bench.log
    assert "ANSIBLE_VAULT_PASSWORD_FILE" not in bench.log
    assert not (home / ".ansible" / "tmp").exists()
