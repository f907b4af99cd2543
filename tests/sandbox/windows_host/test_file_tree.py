"""The files of a simulated host."""

from __future__ import annotations

import threading

import pytest

from bootstrap.sandbox.windows_host.file_tree import File, FileTree, VirtualFile


@pytest.fixture
def tree() -> FileTree:
    return FileTree(threading.RLock())


@pytest.mark.parametrize("path", [r"c:\K\A.txt", "C:/k/a.txt", r"\k\a.txt", r"C:\k\.\a.txt"])
def test_file_is_found_however_its_path_is_written(tree: FileTree, path: str) -> None:
    tree.write(r"C:\k\a.txt", b"a")
    assert tree.read(path) == b"a"


@pytest.mark.parametrize("path", [r"C:\k\a.txt", "/k/a.txt"])
def test_names_in_a_folder_are_listed_as_they_were_written(tree: FileTree, path: str) -> None:
    tree.write(path, b"")
    tree.make_folder(r"C:\k\Sub\deep")
    assert tree.names_in("c:\\K\\") == ["Sub", "a.txt"]


def test_folder_exists_through_the_files_in_it(tree: FileTree) -> None:
    tree.write(r"C:\k\sub\a.txt", b"")
    assert tree.is_folder(r"C:\k") and tree.is_folder("C:\\")


def test_removing_a_folder_spares_its_neighbours(tree: FileTree) -> None:
    tree.write(r"C:\k\a", b"")
    tree.write(r"C:\kk\a", b"")
    assert tree.remove("C:\\k\\")
    assert [file.path for file in tree.below("C:")] == [r"C:\kk\a"]


def test_removing_nothing_says_so(tree: FileTree) -> None:
    assert not tree.remove(r"C:\no")


def test_virtual_file_has_the_checksums_that_were_published(tree: FileTree) -> None:
    file = File(path=r"C:\big", content=VirtualFile(size=5, checksums={"sha256": "ab"}))
    assert (file.size, file.checksum("sha256"), file.checksum("sha1")) == (5, "ab", "")


def test_unknown_checksum_of_a_virtual_file_is_its_own() -> None:
    one, other = (
        File(path="C:\\x", content=VirtualFile(size=1, checksums={"sha256": digest}))
        for digest in ("ab", "cd")
    )
    assert len(one.digest("sha1")) == 40
    assert one.digest("sha1") != other.digest("sha1")
