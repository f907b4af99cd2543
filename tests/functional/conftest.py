"""A sandbox for the tests of whole commands, and a way to call the command as a user does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bootstrap.resources import data_path
from bootstrap.sandbox import programs

STORE = data_path("config") / "demo-store"
TIMEOUT_S = 150
COMMAND = [sys.executable, "-m", "bootstrap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A running sandbox and the environment that leads to it."""

    name: str
    env: Mapping[str, str]
    kubeconfig: str
    extra: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> Done:
        """Run a command to its end; without a traceback, whatever happens."""
        ended = subprocess.run(
            [*COMMAND, *arguments],
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return Done(code=ended.returncode, out=ended.stdout, err=ended.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; its progress is on stderr."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=dict(self.env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fault(self, verb: str, name: str, *, node: str = "") -> None:
        """Set or clear a fault."""
        where = ["--node", node] if node else []
        ended = self.run("sandbox", "fault", verb, name, *where, "--name", self.name)
        assert ended.code == 0, ended.err

    def living(self, pool: str) -> list[dict[str, Any]]:
        """List the living instances of a pool, asked of AWS itself."""
        import boto3

        ec2 = boto3.client(
            "ec2",
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            region_name=self.env["AWS_REGION"],
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        states = ["pending", "running", "stopping", "stopped"]
        found = ec2.describe_instances(
            Filters=[
                {"Name": "tag:bootstrap/pool", "Values": [pool]},
                {"Name": "instance-state-name", "Values": states},
            ]
        )
        return [item for group in found["Reservations"] for item in group["Instances"]]


def interrupt_at(process: subprocess.Popen[str], phase: str, number: int) -> tuple[int, str]:
    """Send a signal when a phase has ended on stderr; returns exit code and all of stderr."""
    seen = []
    assert process.stderr is not None
    for line in process.stderr:
        seen.append(line)
        if f" {phase}  " in line:
            process.send_signal(number)
            break
    rest = process.communicate(timeout=TIMEOUT_S)[1]
    return process.returncode, "".join(seen) + rest


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox on the shipped store; flannel is as kops left it until a test mends it."""
    cached = any(programs.cache_root().glob("*/kube-apiserver"))
    if not cached and not os.environ.get("KUBEBUILDER_ASSETS"):
        pytest.skip("no control-plane programs at hand: make demo gets them")
    name = f"functional-{os.getpid()}"
    env = dict(os.environ)
    up = [*COMMAND, "sandbox", "up", "--store", str(STORE), "--detach", "--name", name]
    try:
        done = subprocess.run(
            [*up, "-o", "json"], env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        yield Sandbox(name=name, env=env | document["env"], kubeconfig=str(document["kubeconfig"]))
    finally:
        subprocess.run([*COMMAND, "sandbox", "down", "--name", name], env=env, check=False)


@pytest.fixture(scope="session")
def ready(sandbox: Sandbox) -> Sandbox:
    """The sandbox with flannel mended, so that nodes can join."""
    done = sandbox.run("preflight", "--fix", "--yes")
    assert done.code == 0, done.err
    return sandbox


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="bf-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def wait_for(condition: Any, timeout_s: float = 30) -> None:
    """Poll until something is true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


def add_node(pool: str, *more: str, count: int = 1) -> Sequence[str]:
    """Return the arguments of an add-node that acts."""
    return ("add-node", "--pool", pool, "--count", str(count), "--yes", *more)


SIGKILL, SIGINT, SIGTERM = signal.SIGKILL, signal.SIGINT, signal.SIGTERM
