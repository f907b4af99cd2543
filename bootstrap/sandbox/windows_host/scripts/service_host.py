"""New-ServiceHost: the program that runs other programs as services, compiled on the node."""

from __future__ import annotations

from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts.request import Request, answer, field
from bootstrap.sandbox.windows_host.state import VirtualFile

_RUN_BY_IT = ("flanneld", "cri-dockerd")


def compile_host(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Put the program there, unless it is."""
    path = str(field(request, "path"))
    missing = not host.state.files.exists(path)
    if missing and not check:
        for name in _RUN_BY_IT:
            host.services.stop(name)
        host.state.files.write(path, VirtualFile(size=8192, checksums={}))
    return answer(changed=missing)
