"""``win_get_url`` (ansible.windows 3.3) and ``win_unzip`` (community.windows), by their own source.

The internet is the host's hook: a URL that it does not know answers 404.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bootstrap.sandbox.windows_host.archives import NoArchive, members
from bootstrap.sandbox.windows_host.modules.arguments import Arguments, Refused
from bootstrap.sandbox.windows_host.modules.files import ALGORITHMS, existing_file, make_folder
from bootstrap.sandbox.windows_host.modules.paths import joined, leaf, local_path, parent
from bootstrap.sandbox.windows_host.state import File

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_WEB_IGNORED = ("headers", "http_agent", "maximum_redirection", "url_timeout", "follow_redirects")
"""Of no effect on an internet that answers at once, in one step, to everybody."""
_WEB_REFUSED = {
    "client_cert": None,
    "client_cert_password": None,
    "force_basic_auth": False,
    "proxy_password": None,
    "proxy_url": None,
    "proxy_use_default_credential": False,
    "proxy_username": None,
    "url_method": None,
    "url_password": None,
    "url_username": None,
    "use_default_credential": False,
    "use_proxy": True,
    "validate_certs": True,
    "checksum_url": None,
}
_GET_URL = ("url", "dest", "force", "checksum", "checksum_algorithm", *_WEB_IGNORED, *_WEB_REFUSED)
_ALIASES = {"timeout": "url_timeout", "method": "url_method"}


def win_get_url(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Download a file, unless the one that is there has the right checksum already."""
    arguments = Arguments(given, _GET_URL, "ansible.windows.win_get_url", aliases=_ALIASES)
    url = str(arguments.required("url", "dest"))
    arguments.exclusive("checksum", "checksum_url")
    arguments.only_default(_WEB_REFUSED)
    algorithm = arguments.choice("checksum_algorithm", ALGORITHMS, "sha1")
    wanted = arguments.text("checksum").strip().lower()
    dest = _destination(host, arguments, url)
    result: dict[str, Any] = {"changed": False, "url": url, "dest": dest, "elapsed": 0}
    present = host.state.files.get(dest)
    there = present.digest(algorithm) if present is not None else ""
    if not arguments.flag("force", True) and there and (not wanted or wanted == there):
        return result | _written(host, dest, algorithm)
    found = _fetched(host, url, dest)
    source = found.digest(algorithm)
    if wanted and wanted != source:
        raise Refused(f"The checksum for {url} did not match '{wanted}', it was '{source}'")
    if source != there:
        result["changed"] = True
        if not check:
            host.state.files.write(dest, found.content)
    result |= {"checksum_src": source, "status_code": 200, "msg": "OK"}
    return result | _written(host, dest, algorithm)


def _destination(host: WindowsHost, arguments: Arguments, url: str) -> str:
    dest = local_path(host, arguments.text("dest"))
    if host.state.files.is_folder(dest):
        split = urlsplit(url)
        return joined(dest, split.path.rstrip("/").rpartition("/")[2] or split.netloc)
    if dest.endswith("\\"):
        raise Refused(
            f"The destination path '{dest}' does not exist, or is not visible to the current user."
            " Ensure download destination folder exists (perhaps using win_file state=directory)"
            " before win_get_url runs."
        )
    return dest


def _fetched(host: WindowsHost, url: str, dest: str) -> File:
    folder = parent(dest)
    if not host.state.files.is_folder(folder):
        raise Refused(
            f"The path '{folder}' does not exist for destination '{dest}', or is not visible to"
            " the current user. Ensure download destination folder exists (perhaps using win_file"
            " state=directory) before win_get_url runs."
        )
    if urlsplit(url).scheme not in ("http", "https"):
        raise Refused(f"sandbox: only http and https are imitated: '{url}'")
    content = host.hooks.internet(url)
    if content is None:
        reason = "The remote server returned an error: (404) Not Found."
        raise Refused(f"Error downloading '{url}' to '{dest}': {reason}")
    return File(path=dest, content=content)


def _written(host: WindowsHost, dest: str, algorithm: str) -> dict[str, Any]:
    file = host.state.files.get(dest)
    if file is None:
        return {}
    return {"checksum_dest": file.digest(algorithm), "size": file.size}


def win_unzip(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Unpack a zip file; everything else needs PSCX, which no fresh Windows has."""
    known = ("src", "dest", "creates", "recurse", "delete_archive", "password")
    arguments = Arguments(
        given, known, "community.windows.win_unzip", aliases={"rm": "delete_archive"}
    )
    src = local_path(host, str(arguments.required("src", "dest")))
    dest = local_path(host, arguments.text("dest"))
    result: dict[str, Any] = {"changed": False, "dest": dest, "removed": False, "src": src}
    creates = arguments.text("creates")
    if creates and host.state.files.exists(local_path(host, creates)):
        reason = f"The file or directory '{creates}' already exists."
        return result | {"skipped": True, "msg": reason}
    source = existing_file(host, src, f"File '{src}' does not exist.")
    if not src.lower().endswith(".zip") or arguments.flag("recurse") or arguments.has("password"):
        raise Refused(
            "PowerShellCommunityExtensions PowerShell Module (PSCX) is required for non-'.zip'"
            " compressed archive types."
        )
    try:
        unpack(host, source, dest, check)
    except NoArchive as exc:
        reason = f"Method: System.IO.Compression.ZipFile, Exception: {exc}"
        raise Refused(f"Error unzipping '{src}' to '{dest}'!. {reason}") from exc
    delete = arguments.flag("delete_archive")
    if delete and not check:
        host.state.files.remove(src)
    return result | {"changed": True, "removed": delete}


def unpack(host: WindowsHost, source: File, dest: str, check: bool) -> None:
    """Put every file of an archive below a folder; NoArchive when it is none."""
    found = members(source.content, leaf(source.path))
    for name, content in found.items():
        path = local_path(host, joined(dest, name.removeprefix("./").replace("/", "\\")))
        if not path.lower().startswith(f"{dest.rstrip(chr(92)).lower()}\\"):
            raise Refused(
                f"Error unzipping '{source.path}' to '{dest}'! Filename contains relative paths"
                f" which would extract outside the destination: {joined(dest, name)}"
            )
        make_folder(host, parent(path), check)
        if not check:
            host.state.files.write(path, content)
