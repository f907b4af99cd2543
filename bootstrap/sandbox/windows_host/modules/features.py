"""``ansible.windows.win_feature``: Install-WindowsFeature and Uninstall-WindowsFeature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments
from bootstrap.sandbox.windows_host.state import FeatureState

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_KNOWN = ("name", "state", "include_sub_features", "include_management_tools", "source")
# Features that take effect with the next start of the host.
_NEED_REBOOT = frozenset({"containers", "hyper-v"})


def win_feature(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Install or remove features; some wait for a reboot."""
    arguments = Arguments(given, _KNOWN, "ansible.windows.win_feature")
    names = [name.lower() for name in arguments.names("name")]
    wanted = arguments.choice("state", ("absent", "present"), "present") == "present"
    unknown = [name for name in names if name not in host.state.features]
    if unknown:
        return {
            "failed": True,
            "changed": False,
            "msg": f"Failed to find windows feature '{unknown[0]}'",
        }
    changing = [n for n in names if _is_there(host.state.features[n]) is not wanted]
    needs_reboot = any(name in _NEED_REBOOT for name in changing)
    pending = any(host.state.features[n] is FeatureState.INSTALL_PENDING for n in names)
    if not check:
        for name in changing:
            _set(host, name, wanted)
    return {
        "changed": bool(changing),
        "reboot_required": needs_reboot or pending,
        "feature_result": [{"display_name": name, "restart_needed": True} for name in changing],
        "exitcode": "SuccessRestartRequired" if needs_reboot else "Success",
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
