"""A bundle on disk: both formats, private, never over something else."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from bootstrap.adapters.bundle_file import BundleFile
from bootstrap.errors import UsageError

FILES = {"bundle.json": b"{}\n", "logs/kubelet.log": b"one\n"}


@pytest.mark.parametrize("name", ["x-1.tar.gz", "x-1.tgz"])
def test_tar_holds_the_files_below_a_folder_of_its_name(tmp_path: Path, name: str) -> None:
    BundleFile(tmp_path / name).write(FILES)
    with tarfile.open(tmp_path / name) as archive:
        read = {entry.name: archive.extractfile(entry) for entry in archive}
        content = {entry: file.read() for entry, file in read.items() if file}
    assert content == {"x-1/bundle.json": b"{}\n", "x-1/logs/kubelet.log": b"one\n"}


def test_zip_holds_the_same(tmp_path: Path) -> None:
    BundleFile(tmp_path / "x-1.zip").write(FILES)
    with zipfile.ZipFile(tmp_path / "x-1.zip") as archive:
        assert archive.read("x-1/logs/kubelet.log") == b"one\n"
        assert archive.testzip() is None


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    BundleFile(tmp_path / "b.zip").write(FILES)
    assert (tmp_path / "b.zip").stat().st_mode & 0o077 == 0


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    BundleFile(tmp_path / "b.tgz").write(FILES)
    first = (tmp_path / "b.tgz").read_bytes()
    (tmp_path / "b.tgz").unlink()
    BundleFile(tmp_path / "b.tgz").write(FILES)
    assert (tmp_path / "b.tgz").read_bytes() == first


@pytest.mark.parametrize(
    ("name", "message"),
    [("b.rar", "a bundle is one of"), ("there.zip", "exists"), ("no/b.zip", "no folder")],
)
def test_path_that_cannot_be_written_is_refused_before(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "there.zip").write_text("mine")
    with pytest.raises(UsageError, match=message):
        BundleFile(tmp_path / name).check()


def test_file_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_text("mine")
    with pytest.raises(UsageError, match="cannot write"):
        BundleFile(tmp_path / "b.zip").write(FILES)
    assert (tmp_path / "b.zip").read_text() == "mine"
