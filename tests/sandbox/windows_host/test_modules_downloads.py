"""win_get_url, win_unzip and the archives behind them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile

import pytest

from bootstrap.sandbox.windows_host.archives import NoArchive, members
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.state import VirtualFile
from tests.sandbox.windows_host.hosts import FakeHooks, make_host
from tests.sandbox.windows_host.playing import changes, fails, play

URL = "https://dl.k8s.io/v1.34.5/kubernetes-node-windows-amd64.tar.gz"
SMALL = "https://example.com/small.zip"
SHA512 = "cd" * 64


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return buffer.getvalue()


SMALL_ZIP = zipped(**{"bin__a.txt": "a", "b.txt": "b"})


@pytest.fixture
def host() -> WindowsHost:
    big = VirtualFile(size=50, checksums={"sha512": SHA512}, url=URL)
    made = make_host(FakeHooks(files={URL: big, SMALL: SMALL_ZIP}))
    made.state.files.make_folder(r"C:\k")
    return made


def test_download_with_the_right_checksum_changes_once(host: WindowsHost) -> None:
    given = {"url": URL, "dest": r"C:\k\n.tgz", "checksum": SHA512.upper()}
    assert changes(host, "win_get_url", checksum_algorithm="sha512", **given) == [True, True, False]
    assert play(host, "win_stat", path=r"C:\k\n.tgz")["stat"]["size"] == 50


def test_wrong_checksum_is_refused_and_leaves_nothing(host: WindowsHost) -> None:
    message = fails(
        host,
        "win_get_url",
        url=URL,
        dest=r"C:\k\n.tgz",
        checksum="00",
        checksum_algorithm="sha512",
    )
    assert message == f"The checksum for {URL} did not match '00', it was '{SHA512}'"
    assert not host.state.files.exists(r"C:\k\n.tgz")


def test_url_that_serves_nothing_is_refused(host: WindowsHost) -> None:
    message = fails(host, "win_get_url", url="https://example.com/no", dest=r"C:\k\no")
    assert message == (
        r"Error downloading 'https://example.com/no' to 'C:\k\no':"
        " The remote server returned an error: (404) Not Found."
    )


def test_folder_that_is_not_there_is_refused(host: WindowsHost) -> None:
    message = fails(host, "win_get_url", url=SMALL, dest=r"C:\no\x.zip")
    assert message.startswith(r"The path 'C:\no' does not exist for destination 'C:\no\x.zip'")


def test_checksum_and_its_url_exclude_each_other(host: WindowsHost) -> None:
    message = fails(
        host, "win_get_url", url=SMALL, dest=r"C:\k\x.zip", checksum="a", checksum_url="b"
    )
    assert message == "parameters are mutually exclusive: checksum, checksum_url"


def test_unchecked_tls_is_refused(host: WindowsHost) -> None:
    message = fails(host, "win_get_url", url=SMALL, dest=r"C:\k\x.zip", validate_certs=False)
    assert message == "sandbox: the parameter validate_certs is not imitated"


def test_download_into_a_folder_takes_the_name_of_the_url(host: WindowsHost) -> None:
    assert play(host, "win_get_url", url=SMALL, dest=r"C:\k")["dest"] == r"C:\k\small.zip"


def test_file_that_is_there_is_kept_without_force(host: WindowsHost) -> None:
    host.state.files.write(r"C:\k\x.zip", b"mine")
    given = {"url": SMALL, "dest": r"C:\k\x.zip", "force": False}
    assert not play(host, "win_get_url", **given)["changed"]
    assert host.state.files.read(r"C:\k\x.zip") == b"mine"


def test_zip_is_unpacked(host: WindowsHost) -> None:
    host.state.files.write(r"C:\k\x.zip", SMALL_ZIP)
    play(host, "community.windows.win_unzip", src=r"C:\k\x.zip", dest=r"C:\out", rm=True)
    assert host.state.files.read(r"C:\out\bin\a.txt") == b"a"
    assert not host.state.files.exists(r"C:\k\x.zip")


def test_unzip_is_skipped_when_its_result_is_there(host: WindowsHost) -> None:
    given = {"src": r"C:\no.zip", "dest": r"C:\out", "creates": r"C:\k"}
    result = play(host, "community.windows.win_unzip", **given)
    assert (result["skipped"], result["changed"]) == (True, False)


def test_archive_that_is_no_zip_is_refused(host: WindowsHost) -> None:
    host.state.files.write(r"C:\k\x.tgz", b"")
    message = fails(host, "community.windows.win_unzip", src=r"C:\k\x.tgz", dest=r"C:\out")
    assert message.startswith("PowerShellCommunityExtensions PowerShell Module (PSCX) is required")


def test_file_that_is_no_archive_is_refused(host: WindowsHost) -> None:
    host.state.files.write(r"C:\k\x.zip", b"text")
    message = fails(host, "community.windows.win_unzip", src=r"C:\k\x.zip", dest=r"C:\out")
    assert message.startswith(r"Error unzipping 'C:\k\x.zip' to 'C:\out'!.")


def test_zip_that_leaves_its_folder_is_refused(host: WindowsHost) -> None:
    host.state.files.write(r"C:\k\x.zip", zipped(**{"..__..__evil.txt": "x"}))
    message = fails(host, "community.windows.win_unzip", src=r"C:\k\x.zip", dest=r"C:\out\in")
    assert "extract outside the destination" in message


def test_tar_is_read() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("./a.exe")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"a"))
    assert members(buffer.getvalue(), "x.tar.gz") == {"./a.exe": b"a"}


def test_published_archive_holds_its_programs_with_checksums_of_their_own() -> None:
    found = members(VirtualFile(size=1, checksums={"sha512": SHA512}, url=URL), "n.tgz")
    program = found["kubernetes/node/bin/kubelet.exe"]
    assert isinstance(program, VirtualFile)
    assert len(program.checksums["sha256"]) == len(hashlib.sha256().hexdigest())


def test_virtual_archive_that_nobody_knows_is_refused() -> None:
    with pytest.raises(NoArchive):
        members(VirtualFile(size=1, checksums={}, url="https://example.com/x.tgz"), "x.tgz")
