"""Set-NodeFile: folders and text files, UTF-8 without a byte-order mark."""

from __future__ import annotations

from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts.request import Request, answer, field

_SECRET_ACL = ("NT AUTHORITY\\SYSTEM", "BUILTIN\\Administrators")


def set_files(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Write what differs."""
    files = host.state.files
    new_folders = [path for path in field(request, "folders") if not files.exists(path)]
    changed = []
    for entry in field(request, "files"):
        path, content = str(field(entry, "path")), str(field(entry, "content")).encode()
        if files.get(path) is not None and files.read(path) == content:
            continue
        changed.append(path)
        if not check:
            files.write(path, content, _SECRET_ACL if entry.get("secret") else ())
    if not check:
        for path in new_folders:
            files.make_folder(path)
    return answer(changed=bool(new_folders or changed), files=changed)
