"""``ansible.windows.win_feature``: Install-WindowsFeature and Uninstall-WindowsFeature.

https://docs.ansible.com/ansible/latest/collections/ansible/windows/win_feature_module.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments, Refused
from bootstrap.sandbox.windows_host.state import FeatureState

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_KNOWN = ("name", "state", "include_sub_features", "include_management_tools", "source")
# Features that take effect with the next start of the host.
_NEED_REBOOT = frozenset({"containers", "hyper-v"})
_DISPLAY = {
    "containers": "Containers",
    "hyper-v-powershell": "Hyper-V Module for Windows PowerShell",
}


def win_feature(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Install or remove features; some wait for a reboot."""
    arguments = Arguments(given, _KNOWN, "ansible.windows.win_feature")
    arguments.only_default({"source": ""})
    names = [name.lower() for name in arguments.names("name")]
    if not names:
        raise Refused("Get-AnsibleParam: Missing required argument: name")
    wanted = arguments.choice("state", ("absent", "present"), "present") == "present"
    states = host.state.features
    unknown = next((name for name in names if name not in states), "")
    if unknown:
        verb = "install" if wanted else "uninstall"
        raise Refused(
            f"Failed to {verb} Windows Feature: ArgumentNotValid: The role, role service, or"
            f" feature name is not valid: '{unknown}'. The name was not found."
        )
    changing = [name for name in names if _is_there(states[name]) is not wanted]
    waits = any(name in _NEED_REBOOT for name in changing)
    pending = any(states[name] is FeatureState.INSTALL_PENDING for name in names)
    if not check:
        for name in changing:
            _set(host, name, wanted)
    return {
        "changed": bool(changing),
        "reboot_required": waits or pending,
        "feature_result": [_row(name) for name in changing],
        "exitcode": _exit_code(changed=bool(changing), waits=waits),
        "success": True,
        "failed": False,
    }


def _exit_code(*, changed: bool, waits: bool) -> str:
    if not changed:
        return "NoChangeNeeded"
    return "SuccessRestartRequired" if waits else "Success"


def _row(name: str) -> dict[str, Any]:
    return {
        "id": sorted(_DISPLAY).index(name) + 1 if name in _DISPLAY else 0,
        "display_name": _DISPLAY.get(name, name),
        "message": [],
        "reboot_required": name in _NEED_REBOOT,
        "skip_reason": "NotSkipped",
        "success": True,
    }


def _is_there(state: FeatureState) -> bool:
    return state is not FeatureState.AVAILABLE


def _set(host: WindowsHost, name: str, wanted: bool) -> None:
    with host.state.lock:
        waits = name in _NEED_REBOOT
        installed = FeatureState.INSTALL_PENDING if waits else FeatureState.INSTALLED
        host.state.features[name] = installed if wanted else FeatureState.AVAILABLE
        host.state.reboot_pending = host.state.reboot_pending or waits
