"""Set-NodeFile: bytes as wanted, secrets closed before they are written, no second write."""

from __future__ import annotations

from typing import Any

from tests.powershell.windows_node import WindowsNode

CONF = r"C:\etc\kubernetes\kubelet.conf"


def request(content: str = "kind: Config\n", *, secret: bool = False) -> dict[str, Any]:
    file = {"path": CONF, "content": content, "secret": secret}
    return {"folders": [r"C:\var\log\kubelet"], "files": [file]}


def test_files_are_written_as_utf_8_without_a_mark(node: WindowsNode):
    done = node.run("Set-NodeFile", request("name: 'Zoë'\n"))
    assert done.answer == {"changed": True, "files": [CONF]}, done.error
    assert node.path(CONF).read_bytes() == "name: 'Zoë'\n".encode()
    assert node.path(r"C:\var\log\kubelet").is_dir()


def test_files_that_are_right_are_left_alone(node: WindowsNode):
    node.run("Set-NodeFile", request())
    before = node.path(CONF).stat().st_mtime_ns
    assert node.run("Set-NodeFile", request()).answer == {"changed": False, "files": []}
    assert node.path(CONF).stat().st_mtime_ns == before


def test_changed_file_is_replaced(node: WindowsNode):
    node.write(CONF, "something longer than what is wanted\r\n")
    assert node.run("Set-NodeFile", request()).answer["files"] == [CONF]
    assert node.path(CONF).read_bytes() == b"kind: Config\n"
    assert list(node.path(CONF).parent.iterdir()) == [node.path(CONF)]


def test_empty_file_is_written_once(node: WindowsNode):
    assert node.run("Set-NodeFile", request("")).answer["changed"] is True
    assert node.path(CONF).read_bytes() == b""
    assert node.run("Set-NodeFile", request("")).answer["changed"] is False


def test_secret_is_for_the_system_and_administrators_alone(node: WindowsNode):
    done = node.run("Set-NodeFile", request(secret=True))
    grants = ["/inheritance:r", "/grant:r", "*S-1-5-18:F", "/grant:r", "*S-1-5-32-544:F"]
    assert done.calls == [["icacls", f"{CONF}.part", *grants]], done.error


def test_secret_that_cannot_be_closed_is_not_written(node: WindowsNode):
    node.state["exitCodes"] = {"icacls": 5}
    done = node.run("Set-NodeFile", request("token", secret=True))
    assert "WN0301 icacls ended with 5" in done.error
    assert not node.path(CONF).exists()
    assert not any(b"token" in file.read_bytes() for file in node.path(CONF).parent.iterdir())


def test_check_mode_writes_nothing(node: WindowsNode):
    done = node.run("Set-NodeFile", request(), "-WhatIf")
    assert done.answer == {"changed": True, "files": [CONF]}, done.error
    assert list(node.drive.iterdir()) == []
