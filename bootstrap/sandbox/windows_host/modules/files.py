"""``win_stat``, ``win_file``, ``win_tempfile``, ``slurp`` of ansible.windows 3.3, by their code."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments, Refused
from bootstrap.sandbox.windows_host.modules.paths import expanded, joined, leaf, local_path, parent
from bootstrap.sandbox.windows_host.state import File

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

ALGORITHMS = ("md5", "sha1", "sha256", "sha384", "sha512")
_PATH_ALIASES = {"dest": "path", "name": "path"}
_OWNER = r"BUILTIN\Administrators"
_NOT = ("isarchive", "isdir", "ishidden", "isjunction", "islnk", "isreadonly", "isreg", "isshared")


def win_stat(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Tell what is known of a path; there are no links here, so ``follow`` changes nothing."""
    known = ("path", "get_checksum", "get_size", "checksum_algorithm", "follow")
    arguments = Arguments(given, known, "ansible.windows.win_stat", aliases=_PATH_ALIASES)
    path = local_path(host, str(arguments.required("path")))
    algorithm = arguments.choice("checksum_algorithm", ALGORITHMS, "sha1")
    want_sum, want_size = arguments.flag("get_checksum", True), arguments.flag("get_size", True)
    file = host.state.files.get(path)
    if file is not None:
        stat = _common(file.path) | {"isreg": True, "isarchive": True, "attributes": "Archive"}
        name, dot, extension = leaf(file.path).rpartition(".")
        stat |= {"extension": f"{dot}{extension}" if dot else "", "lastwritetime": file.written}
        stat |= {"checksum": file.digest(algorithm)} if want_sum else {}
        stat |= {"size": file.size} if want_size else {}
    elif host.state.files.is_folder(path):
        stat = _common(path.rstrip("\\")) | {"isdir": True, "attributes": "Directory"}
        below = host.state.files.below(path)
        stat |= {"size": sum(item.size for item in below)} if want_size else {}
    else:
        stat = {"exists": False}
    return {"changed": False, "stat": stat}


def _common(path: str) -> dict[str, Any]:
    return {
        "exists": True,
        "path": path,
        "filename": leaf(path),
        "owner": _OWNER,
        "nlink": 1,
        "hlnk_targets": [],
    } | dict.fromkeys(_NOT, False)


def win_file(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Make folders, touch files, remove either; a file is never made by ``state: file``."""
    known = ("path", "state", "_original_basename")
    arguments = Arguments(given, known, "ansible.windows.win_file", aliases=_PATH_ALIASES)
    path = local_path(host, str(arguments.required("path")))
    state = arguments.choice("state", ("absent", "directory", "file", "touch"), "")
    files = host.state.files
    if state == "absent":
        there = files.exists(path)
        if there and not check:
            files.remove(path)
        return {"changed": there}
    if state == "touch":
        return _touched(host, path, check)
    if files.exists(path):
        _require_kind(host, path, state)
        return {"changed": False}
    if state == "directory" or (not state and path.endswith("\\")):
        make_folder(host, path, check)
        return {"changed": True}
    raise Refused(f"path {path} will not be created")


def _require_kind(host: WindowsHost, path: str, state: str) -> None:
    is_folder = host.state.files.is_folder(path)
    if state == "directory" and not is_folder:
        raise Refused(f"path {path} is not a directory")
    if state == "file" and is_folder:
        raise Refused(f"path {path} is not a file")


def _touched(host: WindowsHost, path: str, check: bool) -> dict[str, Any]:
    files = host.state.files
    file = files.get(path)
    if file is None and not files.exists(path) and not files.is_folder(parent(path)):
        raise Refused(f"Could not find a part of the path '{path}'.")
    if not check and not files.is_folder(path):
        files.write(path, file.content if file is not None else b"")
    return {"changed": True}


def make_folder(host: WindowsHost, path: str, check: bool) -> None:
    """Make a folder with its parents; Refused where a file is in the way."""
    folder = path.rstrip("\\")
    while "\\" in folder:
        if host.state.files.get(folder) is not None:
            raise Refused(f"path {path} is not a directory")
        folder = folder.rpartition("\\")[0]
    if not check:
        host.state.files.make_folder(path.rstrip("\\"))


def slurp(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Read a file whole; one that is too big to be held here is refused."""
    arguments = Arguments(given, ("src",), "ansible.windows.slurp", aliases={"path": "src"})
    path = local_path(host, str(arguments.required("src")))
    if host.state.files.is_folder(path):
        raise Refused(f"Path {path} is a directory")
    content = existing_file(host, path, f"Path {path} is not found").content
    if not isinstance(content, bytes):
        raise Refused(f"sandbox: what is in {path} is not known")
    encoded = base64.b64encode(content).decode()
    return {"changed": False, "content": encoded, "encoding": "base64"}


def win_tempfile(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Make a file or folder with a name that nothing else has."""
    known = ("path", "state", "prefix", "suffix")
    arguments = Arguments(given, known, "ansible.windows.win_tempfile", aliases={"dest": "path"})
    folder = local_path(host, arguments.text("path", "%TEMP%"))
    state = arguments.choice("state", ("directory", "file"), "file")
    # GetRandomFileName: eleven characters as 8.3.
    name = f"{secrets.token_hex(4)}.{secrets.token_hex(2)[:3]}"
    prefix, suffix = arguments.text("prefix", "ansible."), arguments.text("suffix")
    path = joined(folder, f"{expanded(host, prefix)}{name}{expanded(host, suffix)}")
    if not host.state.files.is_folder(folder):
        raise Refused(
            "No random temporary file worked in 5 attempts. Error:"
            f" Could not find a part of the path '{path}'."
        )
    if not check:
        if state == "file":
            host.state.files.write(path, b"")
        else:
            host.state.files.make_folder(path)
    return {"changed": True, "state": state, "path": path}


def existing_file(host: WindowsHost, path: str, otherwise: str) -> File:
    """Return a file that has to be there; Refused with the text given."""
    file = host.state.files.get(path)
    if file is None:
        raise Refused(otherwise)
    return file
