"""win_stat, win_file, win_copy, win_tempfile, slurp: what they do, leave alone and refuse."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from typing import Any

import pytest

from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.state import VirtualFile
from tests.sandbox.windows_host.hosts import make_host
from tests.sandbox.windows_host.playing import changes, fails, play

ONCE = [True, True, False]
TEXT = b"kind: Config\n"
SUM = hashlib.sha1(TEXT).hexdigest()


@pytest.fixture
def host() -> WindowsHost:
    made = make_host()
    made.state.files.write(r"C:\k\a.conf", TEXT)
    return made


# -- win_stat --
def test_stat_tells_size_and_checksum_of_a_file(host: WindowsHost) -> None:
    stat = play(host, "win_stat", path="c:/K/A.CONF")["stat"]
    seen = (stat["path"], stat["size"], stat["checksum"], stat["isreg"], stat["extension"])
    assert seen == (r"C:\k\a.conf", 13, SUM, True, ".conf")


def test_stat_of_nothing_exists_not(host: WindowsHost) -> None:
    assert play(host, "win_stat", path=r"C:\nothing")["stat"] == {"exists": False}


def test_stat_of_a_folder_adds_up_its_files(host: WindowsHost) -> None:
    stat = play(host, "win_stat", path="C:\\k\\")["stat"]
    assert (stat["isdir"], stat["size"]) == (True, 13)


def test_stat_refuses_a_checksum_algorithm_that_there_is_not(host: WindowsHost) -> None:
    message = fails(host, "win_stat", path=r"C:\k", checksum_algorithm="crc32")
    assert message == (
        "value of checksum_algorithm must be one of: md5, sha1, sha256, sha384, sha512."
        " Got no match for: crc32"
    )


def test_stat_refuses_to_be_without_a_path(host: WindowsHost) -> None:
    assert fails(host, "win_stat") == "missing required arguments: path"


def test_stat_refuses_what_is_no_bool(host: WindowsHost) -> None:
    message = fails(host, "win_stat", path=r"C:\k", get_size="perhaps")
    assert message.startswith(
        "argument for get_size is of type System.String and we were unable to convert to bool:"
        " The value 'perhaps' is not a valid boolean."
    )


@pytest.mark.parametrize("path", [r"D:\k", r"k\a.conf", r"\\server\share", r"C:\a?b"])
def test_path_that_the_host_cannot_have_is_refused(host: WindowsHost, path: str) -> None:
    assert fails(host, "win_stat", path=path)


def test_variables_in_a_path_are_expanded(host: WindowsHost) -> None:
    host.state.files.write(r"C:\Windows\x.txt", b"")
    assert play(host, "win_stat", path=r"%SystemRoot%\x.txt")["stat"]["exists"]


# -- win_file --
def test_folder_is_made_with_its_parents_once(host: WindowsHost) -> None:
    assert changes(host, "win_file", path=r"C:\a\b", state="directory") == ONCE
    assert host.state.files.is_folder(r"C:\a")


def test_check_mode_makes_no_folder(host: WindowsHost) -> None:
    assert play(host, "win_file", path=r"C:\a", state="directory", check=True)["changed"]
    assert not host.state.files.exists(r"C:\a")


def test_folder_is_removed_with_what_is_in_it(host: WindowsHost) -> None:
    assert changes(host, "win_file", path=r"C:\k", state="absent") == ONCE
    assert not host.state.files.exists(r"C:\k\a.conf")


def test_touch_makes_an_empty_file(host: WindowsHost) -> None:
    play(host, "win_file", path=r"C:\k\new", state="touch")
    assert host.state.files.read(r"C:\k\new") == b""


def test_touch_keeps_what_is_in_a_file(host: WindowsHost) -> None:
    play(host, "win_file", path=r"C:\k\a.conf", state="touch")
    assert host.state.files.read(r"C:\k\a.conf") == TEXT


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"path": r"C:\no", "state": "file"}, r"path C:\no will not be created"),
        ({"path": r"C:\k", "state": "file"}, r"path C:\k is not a file"),
        (
            {"path": r"C:\k\a.conf", "state": "directory"},
            r"path C:\k\a.conf is not a directory",
        ),
        (
            {"path": r"C:\k\a.conf\b", "state": "directory"},
            r"path C:\k\a.conf\b is not a directory",
        ),
        (
            {"path": r"C:\no\x", "state": "touch"},
            r"Could not find a part of the path 'C:\no\x'.",
        ),
    ],
)
def test_file_refuses_what_cannot_be(
    host: WindowsHost, given: dict[str, Any], message: str
) -> None:
    assert fails(host, "win_file", **given) == message


def test_unknown_parameter_is_refused(host: WindowsHost) -> None:
    message = fails(host, "win_file", path=r"C:\k", mode="0755")
    assert "Unsupported parameters for (ansible.windows.win_file) module: mode." in message


# -- win_copy, as its action plug-in drives it --
def query(host: WindowsHost, dest: str, name: str, content: bytes, **more: Any) -> dict[str, Any]:
    wanted = {"src": f"/tmp/{name}", "dest": name, "checksum": hashlib.sha1(content).hexdigest()}
    given = {"_copy_mode": "query", "dest": dest, "files": [wanted], "directories": []} | more
    return play(host, "win_copy", **given)


def test_query_names_the_files_that_differ(host: WindowsHost) -> None:
    assert query(host, r"C:\k", "a.conf", TEXT)["files"] == []
    assert len(query(host, r"C:\k", "a.conf", b"other")["files"]) == 1
    assert len(query(host, r"C:\k", "new.conf", TEXT)["files"]) == 1


def test_query_without_force_leaves_a_file_that_is_there(host: WindowsHost) -> None:
    assert query(host, r"C:\k", "a.conf", b"other", force=False)["files"] == []


def test_uploaded_file_is_put_in_place(host: WindowsHost) -> None:
    host.state.files.write(r"C:\tmp\source", b"new")
    given = {"_copy_mode": "single", "src": r"C:\tmp\source", "_original_basename": "b.conf"}
    play(host, "win_copy", dest="C:\\k\\", **given)
    assert host.state.files.read(r"C:\k\b.conf") == b"new"


def test_copy_into_a_folder_that_is_not_there_is_refused(host: WindowsHost) -> None:
    host.state.files.write(r"C:\tmp\source", b"new")
    message = fails(
        host, "win_copy", _copy_mode="single", src=r"C:\tmp\source", dest=r"C:\no\b.conf"
    )
    assert message == r"Destination directory 'C:\no' does not exist"


def test_copy_below_a_file_is_refused(host: WindowsHost) -> None:
    host.state.files.write(r"C:\tmp\source", b"new")
    message = fails(
        host, "win_copy", _copy_mode="single", src=r"C:\tmp\source", dest=r"C:\k\a.conf\b"
    )
    assert message == r"object at destination parent dir 'C:\k\a.conf' is currently a file"


def test_zip_of_many_files_is_unpacked(host: WindowsHost) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(base64.b64encode(b"sub/c.txt").decode(), "c")
    host.state.files.write(r"C:\tmp\source.zip", buffer.getvalue())
    play(host, "win_copy", _copy_mode="explode", src=r"C:\tmp\source.zip", dest=r"C:\k")
    assert host.state.files.read(r"C:\k\sub\c.txt") == b"c"


def test_copy_on_the_host_changes_once(host: WindowsHost) -> None:
    given = {"_copy_mode": "remote", "remote_src": True, "src": r"C:\k\a.conf"}
    assert changes(host, "win_copy", dest=r"C:\k\b.conf", **given) == ONCE
    assert host.state.files.read(r"C:\k\b.conf") == TEXT


def test_folder_is_copied_on_the_host(host: WindowsHost) -> None:
    host.state.files.write(r"C:\k\sub\big.exe", VirtualFile(size=9, checksums={"sha256": "ab"}))
    assert changes(host, "win_copy", _copy_mode="remote", src=r"C:\k", dest=r"C:\copy") == ONCE
    assert play(host, "win_stat", path=r"C:\copy\k\sub\big.exe")["stat"]["size"] == 9


def test_copy_on_the_host_from_nowhere_is_refused(host: WindowsHost) -> None:
    message = fails(host, "win_copy", _copy_mode="remote", src=r"C:\no", dest=r"C:\k\x")
    assert message == r"Cannot copy src file: 'C:\no' as it does not exist"


def test_backup_is_refused(host: WindowsHost) -> None:
    assert "backup" in fails(host, "win_copy", src="x", dest=r"C:\k\x", backup=True)


# -- win_tempfile, slurp --
def test_temporary_folder_has_a_name_of_its_own(host: WindowsHost) -> None:
    paths = {play(host, "win_tempfile", state="directory", suffix=".x")["path"] for _ in range(2)}
    assert len(paths) == 2
    assert all(host.state.files.is_folder(path) and path.endswith(".x") for path in paths)


def test_temporary_file_in_a_folder_that_is_not_there_is_refused(host: WindowsHost) -> None:
    message = fails(host, "win_tempfile", path=r"C:\no")
    assert message.startswith("No random temporary file worked in 5 attempts. Error:")


def test_slurp_reads_a_file(host: WindowsHost) -> None:
    assert base64.b64decode(play(host, "slurp", src=r"C:\k\a.conf")["content"]) == TEXT


@pytest.mark.parametrize(
    ("src", "message"),
    [(r"C:\k", r"Path C:\k is a directory"), (r"C:\no", r"Path C:\no is not found")],
)
def test_slurp_refuses_what_is_no_file(host: WindowsHost, src: str, message: str) -> None:
    assert fails(host, "slurp", src=src) == message
