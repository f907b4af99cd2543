"""``ansible.windows.win_copy`` as its action plug-in drives it: query, single, explode, remote.

The plug-in asks which files differ (``query``), uploads one file or a zip of many into a temporary
folder, then lets the module put it in place; ``win_template`` comes through here, too. With
``remote_src`` everything happens on the host. Source: ansible.windows 3.3 ``win_copy.{py,ps1}``.
"""

from __future__ import annotations

import base64
import binascii
import io
import zipfile
from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments, Refused
from bootstrap.sandbox.windows_host.modules.files import existing_file, make_folder
from bootstrap.sandbox.windows_host.modules.paths import joined, leaf, local_path, parent
from bootstrap.sandbox.windows_host.state import File

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_KNOWN = (
    "_copy_mode",
    "_original_basename",
    "backup",
    "content",
    "decrypt",
    "dest",
    "directories",
    "files",
    "force",
    "local_follow",
    "remote_src",
    "src",
    "symlinks",
)
# What win_template's plug-in leaves in the arguments.
_TEMPLATE = (
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "lstrip_blocks",
    "trim_blocks",
    "newline_sequence",
    "output_encoding",
)


def win_copy(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do one step of a copy."""
    arguments = Arguments(given, (*_KNOWN, *_TEMPLATE), "ansible.windows.win_copy")
    arguments.required("dest")
    if arguments.flag("backup"):
        raise Refused("sandbox: backup=True is not imitated")
    mode = arguments.choice("_copy_mode", ("explode", "query", "remote", "single"), "single")
    match mode:
        case "query":
            return _query(host, arguments)
        case "explode":
            return _explode(host, arguments, check)
        case "remote":
            return _Remote(host, arguments, check).run()
        case _:
            return _single(host, arguments)


def _query(host: WindowsHost, arguments: Arguments) -> dict[str, Any]:
    dest = local_path(host, arguments.text("dest"))
    force = arguments.flag("force", True)
    changed = [file for file in arguments.get("files") or [] if _differs(host, dest, file, force)]
    folders = [item for item in arguments.get("directories") or [] if _lacks(host, dest, item)]
    return {"changed": False, "files": changed, "directories": folders, "symlinks": []}


def _differs(host: WindowsHost, dest: str, wanted: dict[str, Any], force: bool) -> bool:
    path = joined(dest, str(wanted["dest"]).replace("/", "\\"))
    if host.state.files.is_folder(path):
        path = joined(path, str(wanted["src"]).rpartition("/")[2])
    if host.state.files.is_folder(path):
        raise Refused(f"cannot copy file to dest '{path}': object at path is already a directory")
    present = host.state.files.get(path)
    return present is None or (force and present.digest("sha1") != wanted["checksum"])


def _lacks(host: WindowsHost, dest: str, wanted: dict[str, Any]) -> bool:
    path = joined(dest, str(wanted["dest"]).replace("/", "\\"))
    if host.state.files.get(parent(path)) is not None:
        raise Refused(
            f"cannot copy folder to dest '{path}': object at parent directory path is already"
            " a file"
        )
    if host.state.files.get(path) is not None:
        raise Refused(f"cannot copy folder to dest '{path}': object at path is already a file")
    return not host.state.files.is_folder(path)


def _single(host: WindowsHost, arguments: Arguments) -> dict[str, Any]:
    src = local_path(host, str(arguments.required("src")))
    missing = f"Cannot copy src file: '{src}' as it does not exist"
    source = existing_file(host, src, missing)
    dest = _target(host, arguments, arguments.text("_original_basename"))
    host.state.files.write(dest, source.content)
    return {"changed": True}


def _target(host: WindowsHost, arguments: Arguments, name: str, *, check: bool = False) -> str:
    """Return where a file goes; its folder has to be there unless ``dest`` names a folder."""
    dest = local_path(host, arguments.text("dest"))
    target = joined(dest, name) if _is_folder_name(host, dest) else dest
    folder = parent(target)
    if host.state.files.get(folder) is not None:
        raise Refused(f"object at destination parent dir '{folder}' is currently a file")
    if not host.state.files.is_folder(folder):
        if target == dest:
            raise Refused(f"Destination directory '{folder}' does not exist")
        make_folder(host, folder, check)
    return target


def _is_folder_name(host: WindowsHost, dest: str) -> bool:
    return dest.endswith("\\") or host.state.files.is_folder(dest)


def _explode(host: WindowsHost, arguments: Arguments, check: bool) -> dict[str, Any]:
    src = local_path(host, str(arguments.required("src")))
    source = existing_file(host, src, f"Cannot expand src zip file: '{src}' as it does not exist")
    dest = local_path(host, arguments.text("dest"))
    assert isinstance(source.content, bytes)  # the plug-in has uploaded it
    with zipfile.ZipFile(io.BytesIO(source.content)) as archive:
        for entry in archive.infolist():
            # The plug-in encodes names, since Windows' zip does not keep Unicode in them.
            try:
                name = base64.b64decode(entry.filename.rstrip("/"), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as exc:
                raise Refused(f"invalid base64 archive name '{entry.filename}'") from exc
            path = joined(dest, name.replace("/", "\\"))
            if entry.is_dir():
                make_folder(host, path, check)
            elif not check:
                make_folder(host, parent(path), check)
                host.state.files.write(path, archive.read(entry))
    return {"changed": True}


class _Remote:
    """A copy with ``remote_src``, from one place on the host to another."""

    def __init__(self, host: WindowsHost, arguments: Arguments, check: bool) -> None:
        self._host = host
        self._arguments = arguments
        self._check = check
        self._force = arguments.flag("force", True)
        self._changed = False

    def run(self) -> dict[str, Any]:
        """Copy a file or a folder; a back slash at the end of a folder means what is in it."""
        src = local_path(self._host, str(self._arguments.required("src")))
        file = self._host.state.files.get(src)
        if file is not None:
            return self._file(src, file)
        if not self._host.state.files.is_folder(src):
            raise Refused(f"Cannot copy src file: '{src}' as it does not exist")
        dest = local_path(self._host, self._arguments.text("dest"))
        target = dest if src.endswith("\\") else joined(dest, leaf(src))
        below = self._host.state.files.below(src)
        if not self._host.state.files.is_folder(target):
            self._changed = True
            make_folder(self._host, target, self._check)
        for item in below:
            self._copy(item, joined(target, item.path[len(src.rstrip("\\")) :]))
        size = sum(item.size for item in below)
        return self._result(src, target.rstrip("\\"), "folder_copy") | {"size": size}

    def _file(self, src: str, file: File) -> dict[str, Any]:
        name = leaf(file.path)
        target = _target(self._host, self._arguments, name, check=self._check)
        self._copy(file, target)
        result = self._result(src, target, "file_copy") | {"original_basename": name}
        written = self._host.state.files.get(target)
        size = written.size if written is not None else None
        return result | {"checksum": file.digest("sha1") if self._force else None, "size": size}

    def _copy(self, file: File, target: str) -> None:
        files = self._host.state.files
        if files.is_folder(target):
            raise Refused(
                f"cannot copy file from '{file.path}' to '{target}': dest is already a folder"
            )
        present = files.get(target)
        if present is not None and not self._force:
            return
        if present is not None and present.digest("sha1") == file.digest("sha1"):
            return
        self._changed = True
        make_folder(self._host, parent(target), self._check)
        if not self._check:
            files.write(target, file.content)

    def _result(self, src: str, dest: str, operation: str) -> dict[str, Any]:
        return {"changed": self._changed, "src": src, "dest": dest, "operation": operation}
