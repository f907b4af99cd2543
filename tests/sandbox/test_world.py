"""Around the sandbox's parts: faults by name, the control socket, folders of live and dead."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.errors import BootstrapError, UsageError
from bootstrap.sandbox.control import ControlServer, ask
from bootstrap.sandbox.errors import NoSandboxError, UnknownFaultError
from bootstrap.sandbox.faults import FAULTS, FaultBoard
from bootstrap.sandbox.world_folder import Running, SandboxFolder, names


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def running(name: str = "default") -> Running:
    return Running(
        name=name,
        store="/stores/a",
        cluster="play.example.net",
        state="s3://bucket",
        kubeconfig="/k",
        pid=1,
    )


def test_fault_of_one_node_leaves_the_others_alone():
    board = FaultBoard()
    board.set("wrong-certificate", "game-1")
    assert board.is_set("wrong-certificate", "game-1")
    assert not board.is_set("wrong-certificate", "game-2")


def test_fault_of_every_node_is_cleared_for_every_node():
    board = FaultBoard()
    board.set("slow-boot")
    board.set("slow-boot", "game-1")
    board.clear("slow-boot")
    assert board.active() == []


def test_wrong_fault_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownFaultError, match="did you mean 'slow-boot'"):
        FaultBoard().set("slowboot")


def test_fault_of_the_world_takes_no_node():
    with pytest.raises(UnknownFaultError, match="leave --node out"):
        FaultBoard().set("throttling", "game-1")


def test_listener_hears_what_was_set_and_cleared():
    heard: list[tuple[str, str, bool]] = []
    board = FaultBoard()
    board.listen(lambda fault, node, is_set: heard.append((fault.name, node, is_set)))
    board.set("throttling")
    board.clear("throttling")
    assert heard == [("throttling", "", True), ("throttling", "", False)]


def test_every_fault_says_what_it_does():
    assert all(len(fault.description) > 20 for fault in FAULTS.values())


def test_control_socket_works_in_a_folder_deeper_than_a_socket_path_may_be(tmp_path: Path):
    folder = tmp_path / ("deep" * 40)
    folder.mkdir()
    server = ControlServer(folder, lambda request: {"echo": request["word"]})
    try:
        assert ask(folder, {"word": "here"}) == {"echo": "here"}
        with pytest.raises(BootstrapError, match="bad request"):
            ask(folder, {})
    finally:
        server.close()
    with pytest.raises(NoSandboxError):
        ask(folder, {"word": "gone"})


def test_folder_without_a_live_lock_is_a_dead_sandbox():
    folder = SandboxFolder("one")
    with folder.lock() as lock:
        folder.publish(running("one"))
        assert folder.running().cluster == "play.example.net"
        assert names() == ["one"]
        assert lock is not None and folder.lock() is None
    with pytest.raises(NoSandboxError):
        folder.running()
    folder.clear()
    assert [entry.name for entry in folder.path.iterdir()] == ["lock"]


def test_removed_sandbox_leaves_no_folder(state_home: Path):
    folder = SandboxFolder("one")
    folder.path.mkdir(parents=True)
    folder.remove()
    assert list(state_home.iterdir()) == []


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "..", "-a", "a" * 33])
def test_bad_name_is_refused(name: str):
    with pytest.raises(UsageError):
        SandboxFolder(name)


def test_document_has_the_fields_of_the_contract():
    document = running().document("1.0")
    assert (document["apiVersion"], document["kind"]) == ("bootstrap/v1", "Sandbox")
    contract = {"env", "kubeconfig", "cluster", "state", "endpoints", "pid"}
    assert contract <= set(document)
