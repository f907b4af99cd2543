"""Ansible modules carried out on a simulated host's state, as their documentation says.

``MODULES`` maps a module's full name to its imitation: ``(host, arguments, check) -> result``. A
parameter or value that is not imitated is refused, never ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules import basics, features, firewall, powershell_module

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

Module = Callable[["WindowsHost", dict[str, Any], bool], dict[str, Any]]

MODULES: dict[str, Module] = {
    "ansible.windows.setup": basics.setup,
    "ansible.legacy.setup": basics.setup,
    "ansible.windows.win_ping": basics.win_ping,
    "ansible.legacy.win_ping": basics.win_ping,
    "win_ping": basics.win_ping,
    "ansible.windows.win_feature": features.win_feature,
    "ansible.windows.win_powershell": powershell_module.win_powershell,
    "community.windows.win_firewall_rule": firewall.win_firewall_rule,
}
