"""containerd.exe: reads its configuration, opens its pipe, and waits."""

from __future__ import annotations

from dataclasses import replace

from bootstrap.sandbox.windows_host.agents.command_line import FlagError, parse_pflags, words
from bootstrap.sandbox.windows_host.agents.containerd_config import (
    default_view,
    load_containerd_config,
)
from bootstrap.sandbox.windows_host.agents.files import FileRefused
from bootstrap.sandbox.windows_host.agents.machine import Invocation, missing_file
from bootstrap.sandbox.windows_host.agents.runtime import RuntimeView

DEFAULT_CONFIG = r"C:\Program Files\containerd\config.toml"
_FLAGS = words("config log-level log-file address root state service-name run-service")
_START_S = 2.0


def run(invocation: Invocation) -> int:
    """Run containerd until it is told to stop; exit code 1 when it refuses its configuration."""
    try:
        config = _configuration(invocation)
    except (FlagError, FileRefused) as error:
        invocation.log(f"containerd: {error}")
        return 1
    if invocation.pause(_START_S):
        return 0
    invocation.machine.listen(config.pipe, config)
    invocation.log(f'level=info msg=serving... address="{config.pipe}"')
    try:
        invocation.stop.wait()
    finally:
        invocation.machine.listen(config.pipe, None)
    return 0


def _configuration(invocation: Invocation) -> RuntimeView:
    arguments = [
        f"-{argument}" if argument.startswith("-") and not argument.startswith("--") else argument
        for argument in invocation.arguments
    ]
    flags = parse_pflags(arguments, known=_FLAGS, booleans={"run-service"})
    path = flags.get("config", DEFAULT_CONFIG)
    content = invocation.machine.read(path)
    version = invocation.machine.program_version(invocation.executable)
    if content is None:
        if "config" in flags:
            raise FileRefused(f"failed to load TOML: {missing_file(path)}: file does not exist")
        return replace(default_view(), version=version)
    view = load_containerd_config(content, path=path, major=int(version.split(".")[0]))
    return replace(view, version=version)
