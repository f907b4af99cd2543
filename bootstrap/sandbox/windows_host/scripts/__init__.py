"""Our scripts in Python, for a simulated host: the same request, answer, checks and changes.

Each rendering follows its script in ``scripts/`` line by line where it decides, and works on
``WindowsState`` where the script works on Windows. The host looks a script up by its file name,
after it has made sure that what arrived is the script of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bootstrap.sandbox.windows_host.contract import ScriptOutcome, ScriptRendering
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts import (
    node_artifact,
    node_file,
    node_host,
    node_image,
    node_network,
    node_reset,
    node_script,
    node_service,
    node_state,
    service_host,
)
from bootstrap.sandbox.windows_host.scripts.request import Thrown


def _throwing(rendering: ScriptRendering) -> ScriptRendering:
    def run(host: WindowsHost, request: dict[str, Any], check: bool) -> ScriptOutcome:
        try:
            return rendering(host, request, check)
        except Thrown as thrown:
            return ScriptOutcome(error=str(thrown))

    return run


_RENDERINGS: Mapping[str, Callable[[WindowsHost, dict[str, Any], bool], ScriptOutcome]] = {
    "Initialize-NodeHost.ps1": node_host.initialize,
    "Install-NodeArtifact.ps1": node_artifact.install,
    "Invoke-NodeScript.ps1": node_script.invoke,
    "New-ServiceHost.ps1": service_host.compile_host,
    "Set-NodeFile.ps1": node_file.set_files,
    "Set-NodeService.ps1": node_service.set_services,
    "Initialize-NodeNetwork.ps1": node_network.initialize,
    "Wait-NodeOverlay.ps1": node_network.wait_for_overlay,
    "Set-SourceVip.ps1": node_network.set_source_vip,
    "Set-NodeImage.ps1": node_image.set_images,
    "Get-NodeState.ps1": node_state.read,
    "Reset-Node.ps1": node_reset.reset,
}
SCRIPTS: Mapping[str, ScriptRendering] = {
    name: _throwing(rendering) for name, rendering in _RENDERINGS.items()
}
