"""``bootstrap sandbox`` as a user runs it: up, env, status, faults, down, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bootstrap.resources import data_path
from bootstrap.sandbox import programs

STORE = data_path("config") / "demo-store"
SANDBOX = [sys.executable, "-m", "bootstrap", "sandbox"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A state folder of these tests' own; the programs' cache stays the user's."""
    return os.environ | {"XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))}


@pytest.fixture(scope="module")
def assets() -> None:
    cached = any(programs.cache_root().glob("*/kube-apiserver"))
    if not cached and not os.environ.get("KUBEBUILDER_ASSETS"):
        pytest.skip("no control-plane programs at hand: make demo gets them")


def run(environment: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [*SANDBOX, *words], env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended


@pytest.fixture(scope="module")
def running(assets: None, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    up = run(environment, "up", "--store", str(STORE), "--detach", "-o", "json")
    assert up.returncode == 0, up.stderr
    yield json.loads(up.stdout)
    run(environment, "down")


def children_of(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(word) for word in (task / "children").read_text().split()}
    return found


def await_end(pids: set[int], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while left := {pid for pid in pids if _is_alive(pid)}:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_document_names_all_that_others_need(running: dict[str, Any]):
    assert (running["kind"], running["cluster"]) == ("Sandbox", "play.example.net")
    assert Path(running["kubeconfig"]).is_file()
    assert Path(running["env"]["BOOTSTRAP_PRIVATE_KEY"]).stat().st_mode & 0o077 == 0
    with urllib.request.urlopen(running["endpoints"]["aws"], timeout=5) as answer:
        assert answer.status == 200


def test_env_sets_a_shell_up(running: dict[str, Any], environment: Mapping[str, str]):
    lines = run(environment, "env").stdout.splitlines()
    assert lines[0].startswith("unset AWS_PROFILE")
    script = "AWS_PROFILE=x; " + "\n".join(lines) + '\necho "$AWS_PROFILE|$KOPS_CLUSTER_NAME"'
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout == "|play.example.net\n"


def test_second_up_on_the_same_store_returns_what_runs(
    running: dict[str, Any], environment: Mapping[str, str]
):
    again = run(environment, "up", "--store", str(STORE), "--detach", "-o", "json")
    assert (again.returncode, json.loads(again.stdout)["pid"]) == (0, running["pid"])


def test_second_up_on_another_store_is_refused(
    running: dict[str, Any], environment: Mapping[str, str], tmp_path: Path
):
    other = tmp_path / "other"
    subprocess.run(["cp", "-r", str(STORE), str(other)], check=True)
    refused = run(environment, "up", "--store", str(other), "--detach")
    assert refused.returncode == 64
    assert "runs already on the store" in refused.stderr


def test_status_lists_ready_linux_nodes(running: dict[str, Any], environment: Mapping[str, str]):
    status = json.loads(run(environment, "status", "-o", "json").stdout)["status"]
    assert {(node["os"], node["status"]) for node in status["nodes"]} == {("linux", "Ready")}
    assert 0 < status["memoryBytes"] < 1_000_000_000


def test_fault_is_set_before_its_node_exists_and_cleared(
    running: dict[str, Any], environment: Mapping[str, str]
):
    assert run(environment, "fault", "set", "slow-boot", "--node", "game-9").returncode == 0
    assert "[set: game-9]" in run(environment, "fault", "list").stdout
    assert run(environment, "fault", "clear", "slow-boot").returncode == 0
    assert "[set:" not in run(environment, "fault", "list").stdout


def test_api_server_goes_and_comes_back(running: dict[str, Any], environment: Mapping[str, str]):
    run(environment, "fault", "set", "api-server-down")
    assert "does not answer" in api_server(environment)
    run(environment, "fault", "clear", "api-server-down")
    deadline = time.monotonic() + 20
    while api_server(environment) != "answers":
        assert time.monotonic() < deadline


def api_server(environment: Mapping[str, str]) -> str:
    status = json.loads(run(environment, "status", "-o", "json").stdout)["status"]
    return str(status["kubernetes"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "--store", "/nowhere"), "does not exist"),
        (("up", "--store", "/proc"), "is not a store folder"),
        (("up",), "--store"),
        (("up", "--store", str(STORE), "--name", "No Name"), "is no name for a sandbox"),
        (("up", "--store", str(STORE), "--fault", "slowboot"), "did you mean 'slow-boot'"),
        (("fault", "set", "throttling", "--node", "a"), "leave --node out"),
        (("env", "--name", "nobody"), "no sandbox 'nobody' is up"),
        (("status", "--name", "nobody"), "no sandbox 'nobody' is up"),
        (("down", "--name", "nobody"), "no sandbox 'nobody' is up"),
    ],
)
def test_wrong_use_is_answered_with_exit_code_64(
    environment: Mapping[str, str], words: tuple[str, ...], said: str
):
    ended = run(environment, *words)
    assert (ended.returncode, said in ended.stderr) == (64, True), ended.stderr


def test_killed_sandbox_takes_its_programs_along_and_down_leaves_nothing(
    assets: None, tmp_path: Path
):
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path)}
    up = ("up", "--store", str(STORE), "--detach", "-o", "json")
    first = json.loads(run(environment, *up).stdout)["pid"]
    children = children_of(first)
    assert len(children) == 4
    os.kill(first, signal.SIGKILL)
    await_end(children)
    assert run(environment, "env").returncode == 64
    second = run(environment, *up)
    assert second.returncode == 0, second.stderr
    pid = json.loads(second.stdout)["pid"]
    children = children_of(pid)
    assert run(environment, "down").returncode == 0
    await_end({pid, *children})
    assert list(tmp_path.iterdir()) == []


def test_foreground_ends_with_the_signal_and_cleans_up(assets: None, tmp_path: Path):
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [*SANDBOX, "up", "--store", str(STORE), "-o", "json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "Ctrl-C" in line:
            break
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, json.loads(out)["kind"]) == (0, "Sandbox")
    assert list(tmp_path.iterdir()) == []
