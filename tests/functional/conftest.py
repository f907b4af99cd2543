"""Sandboxes for the tests of whole commands, and a way to call the command as a user does.

One sandbox serves all tests of a process; those that need flannel as kops left it start their own.
Tests share it, so each has pools of its own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
import yaml

from bootstrap import schemas
from bootstrap.resources import data_path
from bootstrap.sandbox import programs
from bootstrap.sandbox.cluster_client import ApiClient

STORE = data_path("config") / "demo-store"
# A join takes 20 s; the machine may have better things to do.
TIMEOUT_S = 300
COMMAND = [sys.executable, "-m", "bootstrap"]
LEASES = "/apis/coordination.k8s.io/v1/namespaces/windows-bootstrap/leases"
LIVING = ["pending", "running", "stopping", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout, which is as its schema says."""
        found: dict[str, Any] = json.loads(self.out)
        jsonschema.validate(found, schemas.schema_of(found["kind"]))
        return found

    def node(self, name: str) -> dict[str, Any]:
        """Return one node of a RunResult."""
        (found,) = [node for node in self.document["nodes"] if node["name"] == name]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A running sandbox and the environment that leads to it."""

    name: str
    env: Mapping[str, str]
    kubeconfig: str

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

    def start(self, *arguments: str) -> Running:
        """Start a command in a process group of its own, as a shell does."""
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=dict(self.env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        return Running(process)

    @contextlib.contextmanager
    def broken(self, *faults: str, node: str = "") -> Iterator[None]:
        """Break the world, or one node, for a while."""
        where = ["--node", node] if node else []
        try:
            for fault in faults:
                self._fault("set", fault, *where)
            yield
        finally:
            for fault in faults:
                self._fault("clear", fault, *where)

    def _fault(self, verb: str, *arguments: str) -> None:
        ended = self.run("sandbox", "fault", verb, *arguments, "--name", self.name)
        assert ended.code == 0, ended.err

    def ec2(self) -> Any:
        """Return a plain client of the sandbox's AWS."""
        return boto3.client(
            "ec2",
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            region_name=self.env["AWS_REGION"],
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )

    def living(self, pool: str) -> list[dict[str, Any]]:
        """List the living instances of a pool, asked of AWS itself."""
        found = self.ec2().describe_instances(
            Filters=[
                {"Name": "tag:bootstrap/pool", "Values": [pool]},
                {"Name": "instance-state-name", "Values": LIVING},
            ]
        )
        return [item for group in found["Reservations"] for item in group["Instances"]]

    def api(self) -> ApiClient:
        """Return a plain client of the cluster, made from the kubeconfig."""
        config = yaml.safe_load(Path(self.kubeconfig).read_text(encoding="utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        host, port = cluster["server"].removeprefix("https://").split(":")

        def text(data: str) -> str:
            return base64.b64decode(data).decode()

        return ApiClient(
            (host, int(port)),
            cluster["tls-server-name"],
            text(cluster["certificate-authority-data"]),
            certificate=(text(user["client-certificate-data"]), text(user["client-key-data"])),
        )

    def leftovers(self) -> list[str]:
        """List what a run must not leave: locks, and namespaces of probes that are not going."""
        api = self.api()
        spaces = [item["metadata"] for item in api.list("/api/v1/namespaces")]
        return [lease["metadata"]["name"] for lease in api.list(LEASES)] + [
            space["name"]
            for space in spaces
            if space["name"].startswith("windows-bootstrap-probe")
            and not space.get("deletionTimestamp")
        ]


@dataclass(frozen=True, slots=True)
class Running:
    """A command that is under way."""

    process: subprocess.Popen[str]

    def wait_for(self, phase: str) -> str:
        """Read progress until a phase has ended; returns what was read."""
        assert self.process.stderr is not None
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            if f" {phase}  " in line:
                return "".join(seen)
        raise AssertionError(f"it ended before {phase}:\n{''.join(seen)}")

    def signal(self, number: int, *, group: bool = False) -> Done:
        """Send a signal, to the whole group as a terminal does; then wait for the end."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.end()

    def end(self) -> Done:
        """Wait for the end."""
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        assert "Traceback" not in err, err
        return Done(code=self.process.returncode, out=out, err=err)


@contextlib.contextmanager
def started_sandbox(name: str) -> Iterator[Sandbox]:
    """Start a sandbox on the shipped store, and take it down."""
    cached = any(programs.cache_root().glob("*/kube-apiserver"))
    if not cached and not os.environ.get("KUBEBUILDER_ASSETS"):
        pytest.skip("no control-plane programs at hand: make demo gets them")
    env = dict(os.environ)
    up = [*COMMAND, "sandbox", "up", "--store", str(STORE), "--detach", "--name", name]
    try:
        done = subprocess.run(
            [*up, "-o", "json"], env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        jsonschema.validate(document, schemas.schema_of("Sandbox"))
        yield Sandbox(name=name, env=env | document["env"], kubeconfig=str(document["kubeconfig"]))
    finally:
        subprocess.run([*COMMAND, "sandbox", "down", "--name", name], env=env, check=False)


@pytest.fixture(scope="session")
def ready() -> Iterator[Sandbox]:
    """A sandbox with flannel mended, so that nodes can join."""
    with started_sandbox(f"functional-{os.getpid()}") as sandbox:
        done = sandbox.run("preflight", "--fix", "--yes")
        assert done.code == 0, done.err
        yield sandbox


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="bf-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
    """Poll until something is true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"after {timeout_s} s: {what}"
        time.sleep(0.1)


def add_node(pool: str, *more: str, count: int = 1) -> list[str]:
    """Return the arguments of an add-node that acts."""
    return ["add-node", "--pool", pool, "--count", str(count), "--yes", *more]


def joins(sandbox: Sandbox, pool: str, *, count: int = 1) -> None:
    """See that the command brings the pool to its end, with one instance for each node."""
    done = sandbox.run(*add_node(pool, "-o", "json", count=count))
    assert done.code == 0, done.err + done.out
    assert [node["ready"] for node in done.document["nodes"]] == [True] * count
    assert len(sandbox.living(pool)) == count
    assert sandbox.leftovers() == []
