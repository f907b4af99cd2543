"""What becomes of a pod on a simulated Windows host: image against build, commands, exit codes.

No container runs; a container's fate is read off its image and command. ``cmd /c exit 3`` ends with
3, a command that waits runs on, and so does an image's own entry point.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap.sandbox.windows_host.agents.images import image_problem

_EXIT = re.compile(r"\bexit\s*(?:/b\s+)?\(?(-?\d+)\)?", re.IGNORECASE)
_FOR_EVER = re.compile(r"ping\s+-t|pause|wait|sleep|while|server|listen|-NoExit", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFate:
    """How one container goes on: it waits for a reason, runs, or has ended."""

    name: str
    image: str
    waiting: str = ""
    """Reason of the kubelet (``ImagePullBackOff``), '' when it was started."""
    message: str = ""
    exit_code: int | None = None

    @property
    def is_running(self) -> bool:
        """Tell whether it was started and goes on."""
        return not self.waiting and self.exit_code is None


def fates(pod: Mapping[str, Any], build: int) -> tuple[ContainerFate, ...]:
    """Decide for every container of a pod on a host of that Windows build."""
    return tuple(_fate(container, build) for container in pod["spec"].get("containers") or [])


def _fate(container: Mapping[str, Any], build: int) -> ContainerFate:
    name, image = str(container["name"]), str(container.get("image", ""))
    problem = image_problem(image, build)
    if problem:
        pulled = problem.startswith("failed to create")
        reason = "CreateContainerError" if pulled else "ErrImagePull"
        return ContainerFate(name=name, image=image, waiting=reason, message=problem)
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    return ContainerFate(name=name, image=image, exit_code=_exit_code(" ".join(map(str, words))))


def _exit_code(command: str) -> int | None:
    if not command:
        return None
    found = _EXIT.search(command)
    if found:
        return int(found[1])
    return None if _FOR_EVER.search(command) else 0


def phase(found: tuple[ContainerFate, ...], restart_policy: str) -> str:
    """Return the pod's phase that follows from its containers (kubelet ``getPhase``)."""
    if any(fate.waiting for fate in found):
        return "Pending"
    if any(fate.is_running for fate in found):
        return "Running"
    failed = any(fate.exit_code for fate in found)
    if restart_policy == "Always" or (failed and restart_policy == "OnFailure"):
        return "Running"
    return "Failed" if failed else "Succeeded"
