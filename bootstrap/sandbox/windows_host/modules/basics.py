"""``setup`` and ``win_ping``: https://docs.ansible.com/ansible/latest/collections/ansible/windows/"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost


def win_ping(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Answer ``pong``, or the data that was given; ``crash`` crashes."""
    data = Arguments(given, ("data",), "ansible.windows.win_ping").text("data", "pong")
    if data == "crash":
        return {"failed": True, "msg": "Unhandled exception while executing module: boom"}
    return {"changed": False, "ping": data}


def setup(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Return the facts that playbooks use most."""
    known = ("gather_subset", "gather_timeout", "fact_path", "filter")
    Arguments(given, known, "ansible.windows.setup")
    state = host.state
    adapter = state.main_adapter()
    facts = {
        "os_family": "Windows",
        "distribution": f"Microsoft {state.product_name}",
        "distribution_version": f"10.0.{state.build}.0",
        "kernel": f"10.0.{state.build}.0",
        "os_name": f"Microsoft {state.product_name}",
        "hostname": state.computer_name,
        "nodename": state.computer_name,
        "ip_addresses": [adapter.address],
        "interfaces": [{"connection_name": adapter.name, "interface_index": adapter.index}],
        "reboot_pending": state.reboot_pending,
        "powershell_version": 5,
        "env": dict(state.environment),
    }
    return {"changed": False, "ansible_facts": {f"ansible_{k}": v for k, v in facts.items()}}
