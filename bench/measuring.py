"""One measurement: fresh hosts, one playbook, what it took."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import node
from bench.counting import Row, per_task
from bench.hosts import Fleet, Host, fleet
from bootstrap.model.secret import Secret

FORKS = 20
"""As add-node runs them (``model.host.PlaybookRun``); both playbooks have the same."""
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to measure, and for how long at most."""

    kind: str
    hosts: int
    latency_ms: int
    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A controller that has ended."""

    cpu_s: float
    wall_s: float
    failure: str


def measure(wanted: Wanted) -> tuple[Row, dict[str, str]]:
    """Run one playbook over fresh hosts; returns the numbers and what the first host is then."""
    load = os.getloadavg()[0]
    with (
        fleet(wanted.hosts, wanted.latency_ms / 1000) as running,
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
    ):
        folder = Path(scratch)
        # A configuration that the user has for other playbooks would measure something else.
        (folder / "ansible.cfg").write_text("[defaults]\n", encoding="ascii")
        command, given = _controller(wanted.kind, running.hosts, folder)
        before = running.spent()
        ended = _run(command, given, folder, wanted.limit_s)
        after = running.spent()
        row = Row(
            kind=wanted.kind,
            hosts=wanted.hosts,
            latency_ms=wanted.latency_ms,
            requests=(after.requests - before.requests) / wanted.hosts,
            kilobytes=(after.bytes - before.bytes) / 1024 / wanted.hosts,
            cpu_s=ended.cpu_s / wanted.hosts,
            wall_s=ended.wall_s,
            hosts_cpu_s=after.cpu_s - before.cpu_s,
            load=load,
            failure=ended.failure,
            tasks=_tasks(folder, running) if wanted.hosts == 1 else (),
        )
        return row, running.state()


def _controller(kind: str, hosts: list[Host], folder: Path) -> tuple[list[str], str]:
    """Return the command of a controller and what it gets on stdin."""
    variables = {host.name: node.ours(host) for host in hosts}
    if kind == "ours":
        job = {
            "forks": FORKS,
            "hosts": [{"host": asdict(h), "variables": variables[h.name]} for h in hosts],
        }
        return [sys.executable, "-m", "bench.controller"], _json(job)
    inventory = {h.name: node.stock(variables[h.name]) | _connection(h, folder) for h in hosts}
    path = folder / "hosts.json"
    path.write_text(_json({"all": {"hosts": inventory}}), encoding="utf-8")
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(path), "-f", str(FORKS)]
    return [*command, str(HERE / "stock_node.yml")], ""


def _connection(host: Host, folder: Path) -> dict[str, object]:
    certificate = folder / f"{host.name}.pem"
    certificate.write_text(host.certificate, encoding="ascii")
    return {
        "ansible_connection": "winrm",
        "ansible_shell_type": "powershell",
        "ansible_host": host.address,
        "ansible_port": 5986,
        "ansible_user": "Administrator",
        "ansible_password": host.password,
        "ansible_winrm_scheme": "https",
        "ansible_winrm_transport": "ntlm",
        "ansible_winrm_server_cert_validation": "validate",
        "ansible_winrm_ca_trust_path": str(certificate),
    }


def _json(value: object) -> str:
    def revealed(item: Any) -> str:
        assert isinstance(item, Secret)
        return item.reveal()

    return json.dumps(value, default=revealed)


def _run(command: list[str], given: str, folder: Path, limit_s: float) -> Ended:
    log = folder / "output"
    with log.open("w") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            text=True,
            env=os.environ | _environment(folder),
            cwd=HERE.parent,
            start_new_session=True,
        )
        too_late = threading.Event()
        timer = threading.Timer(limit_s, _end, (process.pid, too_late))
        timer.start()
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(given)
            process.stdin.close()
        # What it used itself, and what those of its children did that it has waited for.
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - started
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    failure = ""
    if too_late.is_set():
        failure = f"ended after {limit_s:.0f} s"
    elif process.returncode:
        print(log.read_text()[-3000:], file=sys.stderr)
        failure = f"the playbook failed ({process.returncode})"
    return Ended(cpu_s=usage.ru_utime + usage.ru_stime, wall_s=wall_s, failure=failure)


def _end(pid: int, too_late: threading.Event) -> None:
    too_late.set()
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _environment(folder: Path) -> dict[str, str]:
    return {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "BENCH_TASK_CLOCK": str(_clock(folder)),
        "PYTHONWARNINGS": "ignore",
    }


def _clock(folder: Path) -> Path:
    return folder / "tasks.jsonl"


def _tasks(folder: Path, running: Fleet) -> tuple:
    path = _clock(folder)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    starts = [(moment, name) for moment, name in map(json.loads, lines)]
    return per_task(starts, running.log())
