"""What a simulated host looks like, as flat text, so that two of them can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from bootstrap.planning.node_config import HIGH_PERFORMANCE
from bootstrap.sandbox.windows_host.file_tree import File, FileTree, VirtualFile
from bootstrap.sandbox.windows_host.state import WindowsState

TEMPORARY = r"c:\users\administrator\appdata\local\temp"
"""Ansible's own files; they are no part of a state that somebody wants."""
_PLANS = {HIGH_PERFORMANCE: "High performance"}
"""The simulator keeps the GUID that our script gives, but a name for the one powercfg is given."""
_FIELDS = (
    "binary_path",
    "display_name",
    "start_mode",
    "state",
    "dependencies",
    "environment",
    "recovery",
    "recovery_reset_s",
    "failure_flag",
    "account",
)


def snapshot(state: WindowsState) -> dict[str, str]:
    """Describe files, folders, services, features, firewall, ports, power plan and Defender."""
    found = {f"feature {name}": str(value) for name, value in state.features.items()}
    found |= {f"firewall rule {rule.name}": repr(rule) for rule in state.firewall.values()}
    found |= {f"Defender exclusion {path}": "" for path in state.defender_exclusions}
    found |= {f"environment {name}": value for name, value in state.environment.items()}
    found |= {f"registry {key}": repr(values) for key, values in state.registry.items()}
    for service in state.services.values():
        for field in _FIELDS:
            found[f"service {service.name}, {field}"] = str(getattr(service, field))
    found["dynamic ports"] = str(state.dynamic_ports)
    found["power plan"] = _PLANS.get(state.power_plan, state.power_plan)
    return found | dict(_below("C:", state.files))


def _below(folder: str, files: FileTree) -> Iterator[tuple[str, str]]:
    for name in files.names_in(folder):
        path = f"{folder}\\{name}"
        if path.lower() == TEMPORARY:
            continue
        file = files.get(path)
        if file is not None:
            yield f"file {path}", _content(file)
            yield f"access to {path}", ", ".join(sorted(file.acl))
        else:
            yield f"folder {path}", ""
            yield from _below(path, files)


def _content(file: File) -> str:
    if isinstance(file.content, VirtualFile):
        # What is in a published archive is not known; where a program came from is.
        return file.content.url.partition("#")[0]
    return hashlib.sha256(file.content).hexdigest()


def differences(ours: Mapping[str, str], stock: Mapping[str, str]) -> list[str]:
    """Name what only one of two hosts has, or what is not the same on both; sorted."""
    lines = [f"only ours: {key}" for key in ours.keys() - stock.keys() if not _follows(key, stock)]
    lines += [f"only stock: {key}" for key in stock.keys() - ours.keys() if not _follows(key, ours)]
    lines += [
        f"not the same: {key}" for key in ours.keys() & stock.keys() if ours[key] != stock[key]
    ]
    return sorted(lines)


def _follows(key: str, other: Mapping[str, str]) -> bool:
    """Tell whether a line says nothing new: access to a file that the other host has not."""
    return key.startswith("access to ") and f"file {key.removeprefix('access to ')}" not in other
