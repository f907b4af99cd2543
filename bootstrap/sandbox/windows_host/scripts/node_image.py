"""Set-NodeImage: images that containerd or Docker has before pods need them."""

from __future__ import annotations

from bootstrap.sandbox.windows_host.agents.images import image_problem
from bootstrap.sandbox.windows_host.agents.runtime import CONTAINERD_PIPE, DOCKER_PIPE
from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts.request import Request, Thrown, answer, field


def set_images(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Pull images that are missing; one that has no manifest for this build cannot be pulled."""
    is_docker = field(request, "runtime") == "docker"
    pipe = DOCKER_PIPE if is_docker else CONTAINERD_PIPE
    program = str(field(request, "program"))
    if not host.state.files.exists(program) or pipe.lower() not in host.state.pipes:
        asked = "docker version" if is_docker else "ctr images list"
        raise Thrown(f"WN0801 {asked} ended with 1")
    field(request, "pull")
    field(request, "environment")
    missing = [image for image in field(request, "images") if image not in host.state.images]
    for image in missing if not check else ():
        problem = image_problem(image, host.state.build)
        if problem:
            raise Thrown(f"WN0801 {image} cannot be pulled: {problem}")
        host.state.images.add(image)
    return answer(changed=bool(missing), images=missing)
