"""Our playbook through the adapter that add-node uses: ``python -m bench.controller < JOB``.

A process of its own, so that its CPU and that of its children is the controller's and nothing else.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from bootstrap.adapters.playbooks import AnsiblePlaybookRunner
from bootstrap.adapters.processes import LocalProcesses
from bootstrap.model.host import HostTarget, PlaybookEnded, PlaybookHost, PlaybookRun
from bootstrap.model.node import NodeName
from bootstrap.model.secret import Secret
from bootstrap.resources import data_path

PLAYBOOK = "our_node.yml"
PLUGINS = "callback_plugins"
HERE = Path(__file__).resolve().parent


def prepare(folder: Path) -> Path:
    """Copy our playbooks, with the benchmark's beside them; returns their folder."""
    playbooks = folder / "playbooks"
    shutil.copytree(data_path("playbooks"), playbooks)
    shutil.copy(HERE / PLAYBOOK, playbooks)
    # Ansible loads it since it lies beside the playbook; the adapter lets no settings through.
    shutil.copytree(HERE / PLUGINS, playbooks / PLUGINS)
    # The roles find the scripts beside the playbooks.
    (folder / "scripts").symlink_to(data_path("scripts"))
    return playbooks


def playbook_host(given: dict[str, Any]) -> PlaybookHost:
    """Return a host with what the adapter needs to reach it."""
    host = given["host"]
    target = HostTarget(
        node=NodeName(host["name"]),
        host=host["address"],
        ca_pem=host["certificate"],
        user="Administrator",
        password=Secret(host["password"]),
    )
    return PlaybookHost(target=target, variables=given["variables"])


def main() -> None:
    """Run the job that stands on stdin."""
    job = json.load(sys.stdin)
    processes = LocalProcesses()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        runner = AnsiblePlaybookRunner(
            prepare(folder),
            folder / "logs",
            identity=processes.me(),
            is_alive=processes.is_alive,
        )
        hosts = tuple(playbook_host(item) for item in job["hosts"])
        run = PlaybookRun(playbook=PLAYBOOK, hosts=hosts, forks=job["forks"])
        for event in runner.run(run, should_stop=lambda: False):
            if isinstance(event, PlaybookEnded) and event.failed:
                raise SystemExit(Path(event.log_path).read_text()[-3000:])


if __name__ == "__main__":
    main()
