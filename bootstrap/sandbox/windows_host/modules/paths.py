"""Paths as modules take them: variables expanded, back slashes, always on drive C.

The type ``path`` of ``Ansible.Basic`` expands ``%NAME%``; a variable that is not set stays as it is
(https://learn.microsoft.com/dotnet/api/system.environment.expandenvironmentvariables).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bootstrap.sandbox.windows_host.modules.arguments import Refused

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_PROFILE = r"C:\Users\Administrator"
TEMP = rf"{_PROFILE}\AppData\Local\Temp"
_PROCESS = {
    # What a process of the Administrator has beside the machine's own variables.
    "allusersprofile": r"C:\ProgramData",
    "localappdata": rf"{_PROFILE}\AppData\Local",
    "programdata": r"C:\ProgramData",
    "programfiles": r"C:\Program Files",
    "systemdrive": "C:",
    "systemroot": r"C:\Windows",
    "temp": TEMP,
    "tmp": TEMP,
    "userprofile": _PROFILE,
    "windir": r"C:\Windows",
}
_FORBIDDEN = re.compile(r'[<>"|?*\x00-\x1f]')


def expanded(host: WindowsHost, text: str) -> str:
    """Replace ``%NAME%`` by the variable's value."""
    with host.state.lock:
        machine = {name.lower(): value for name, value in host.state.environment.items()}
    known = _PROCESS | machine | {"computername": host.state.computer_name}
    return re.sub(r"%([^%]+)%", lambda found: known.get(found[1].lower(), found[0]), text)


def local_path(host: WindowsHost, text: str) -> str:
    """Return a full path on drive C, a back slash at its end kept; Refused for any other."""
    path = expanded(host, text.strip()).replace("/", "\\")
    if path.startswith("\\") and not path.startswith("\\\\"):
        path = f"C:{path}"
    drive, colon, rest = path.partition(":")
    if not colon or not rest.startswith("\\") and rest:
        raise Refused(f"sandbox: only full paths are imitated: '{text}'")
    if drive.upper() != "C":
        raise Refused(f"Cannot find drive. A drive with the name '{drive}' does not exist.")
    if _FORBIDDEN.search(rest) or ":" in rest:
        raise Refused(f"The given path's format is not supported: '{text}'")
    return _without_dots(path)


def _without_dots(path: str) -> str:
    if not re.search(r"\\\.{1,2}(\\|$)", path):
        return path
    parts: list[str] = []
    for part in path.split("\\"):
        if part == ".." and len(parts) > 1:
            parts.pop()
        elif part not in (".", ".."):
            parts.append(part)
    return "\\".join(parts)


def parent(path: str) -> str:
    """Return the folder that a path is in."""
    folder = path.rstrip("\\").rpartition("\\")[0]
    return f"{folder}\\" if folder.endswith(":") else folder


def leaf(path: str) -> str:
    """Return the last part of a path."""
    return path.rstrip("\\").rpartition("\\")[2]


def joined(folder: str, name: str) -> str:
    """Join a folder and what is in it."""
    return f"{folder.rstrip(chr(92))}\\{name.strip(chr(92))}"
