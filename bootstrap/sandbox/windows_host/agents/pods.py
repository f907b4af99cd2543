"""What becomes of a pod on a simulated Windows host: image against build, commands, exit codes.

No container runs; a container's fate is read off its image and command. ``cmd /c exit 3`` ends with
3, a command that waits runs on, and so does an image's own entry point.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bootstrap.sandbox.kubelet import ContainerStatus
from bootstrap.sandbox.windows_host.agents.images import image_problem

_EXIT = re.compile(r"\bexit\s*(?:/b\s+)?\(?(-?\d+)\)?", re.IGNORECASE)
_FOR_EVER = re.compile(r"ping\s+-t|pause|wait|sleep|while|server|listen|-NoExit", re.IGNORECASE)


class WindowsRuntime:
    """The ``PodRuntime`` of a host of one Windows build."""

    def __init__(self, build: int, network_problem: Callable[[], str] = lambda: "") -> None:
        self._build = build
        self._network_problem = network_problem

    def start(self, pod: Mapping[str, Any]) -> Sequence[ContainerStatus]:
        """Tell how each container of a pod goes on."""
        containers = pod["spec"].get("containers") or []
        problem = self._network_problem()
        if problem:
            return [
                ContainerStatus(
                    name=str(container["name"]),
                    image=str(container.get("image", "")),
                    waiting="ContainerCreating",
                    message=problem,
                )
                for container in containers
            ]
        return [container_fate(container, self._build) for container in containers]

    def stop(self, pod: Mapping[str, Any]) -> None:
        """Stop a pod; nothing of it outlives it here."""


def container_fate(container: Mapping[str, Any], build: int) -> ContainerStatus:
    """Decide what becomes of one container on a host of that Windows build."""
    name, image = str(container["name"]), str(container.get("image", ""))
    problem = image_problem(image, build)
    if problem:
        was_pulled = problem.startswith("failed to create")
        reason = "CreateContainerError" if was_pulled else "ErrImagePull"
        return ContainerStatus(name=name, image=image, waiting=reason, message=problem)
    parts = [*(container.get("command") or []), *(container.get("args") or [])]
    return ContainerStatus(name=name, image=image, exit_code=_exit_code(" ".join(map(str, parts))))


def _exit_code(command: str) -> int | None:
    if not command:
        return None
    found = _EXIT.search(command)
    if found:
        return int(found[1])
    return None if _FOR_EVER.search(command) else 0
