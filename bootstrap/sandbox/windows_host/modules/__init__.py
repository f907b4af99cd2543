"""Ansible modules carried out on a simulated host's state, as their documentation says.

``MODULES`` maps a module's full name to its imitation: ``(host, arguments, check) -> result``. A
parameter or value that is not imitated is refused, never ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules import (
    basics,
    commands,
    copying,
    downloads,
    environment,
    features,
    files,
    firewall,
    powershell_module,
    registry,
    service_module,
    waiting,
)

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

Module = Callable[["WindowsHost", dict[str, Any], bool], dict[str, Any]]

MODULES: dict[str, Module] = {
    "ansible.legacy.slurp": files.slurp,
    "ansible.legacy.stat": files.win_stat,
    "ansible.windows.slurp": files.slurp,
    "ansible.windows.setup": basics.setup,
    "ansible.legacy.setup": basics.setup,
    "ansible.windows.win_ping": basics.win_ping,
    "ansible.legacy.ping": basics.win_ping,
    "ansible.legacy.win_ping": basics.win_ping,
    "ansible.windows.win_command": commands.win_command,
    "ansible.windows.win_copy": copying.win_copy,
    "ansible.windows.win_environment": environment.win_environment,
    "ansible.windows.win_file": files.win_file,
    "ansible.windows.win_get_url": downloads.win_get_url,
    "ansible.windows.win_path": environment.win_path,
    "ansible.windows.win_regedit": registry.win_regedit,
    "ansible.windows.win_service": service_module.win_service,
    "ansible.windows.win_shell": commands.win_shell,
    "ansible.windows.win_stat": files.win_stat,
    "ansible.windows.win_tempfile": files.win_tempfile,
    "ansible.windows.win_wait_for": waiting.win_wait_for,
    "community.windows.win_unzip": downloads.win_unzip,
    "ansible.windows.win_feature": features.win_feature,
    "ansible.windows.win_powershell": powershell_module.win_powershell,
    "community.windows.win_firewall_rule": firewall.win_firewall_rule,
}
