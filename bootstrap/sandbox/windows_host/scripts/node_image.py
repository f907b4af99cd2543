"""Set-NodeImage: images that containerd has before pods need them."""

from __future__ import annotations

from bootstrap.sandbox.windows_host.agents.containerd_config import DEFAULT_PIPE
from bootstrap.sandbox.windows_host.agents.images import image_problem
from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts.request import Request, Thrown, answer, field


def set_images(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Pull images that are missing; one that has no manifest for this build cannot be pulled."""
    program = str(field(request, "ctr"))
    if not host.state.files.exists(program) or DEFAULT_PIPE.lower() not in host.state.pipes:
        raise Thrown("WN0801 ctr images list ended with 1")
    missing = [image for image in field(request, "images") if image not in host.state.images]
    for image in missing if not check else ():
        problem = image_problem(image, host.state.build)
        if problem:
            raise Thrown(f"WN0801 {image} cannot be pulled: {problem}")
        host.state.images.add(image)
    return answer(changed=bool(missing), images=missing)
