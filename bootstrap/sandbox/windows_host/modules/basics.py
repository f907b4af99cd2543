"""``setup`` and ``win_ping``: https://docs.ansible.com/ansible/latest/collections/ansible/windows/"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_SETUP = ("gather_subset", "gather_timeout", "fact_path", "filter")


def win_ping(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Answer ``pong``, or the data that was given; ``crash`` crashes."""
    data = Arguments(given, ("data",), "ansible.windows.win_ping").text("data", "pong")
    if data == "crash":
        return {"failed": True, "msg": "Unhandled exception while executing module: boom"}
    return {"changed": False, "ping": data}


def setup(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Return the facts that playbooks use most; every subset gives all of them."""
    arguments = Arguments(given, _SETUP, "ansible.windows.setup")
    arguments.only_default({"filter": None, "fact_path": None})
    state = host.state
    adapter = state.main_adapter()
    version = f"10.0.{state.build}.0"
    network = ipaddress.IPv4Network(f"{adapter.address}/{adapter.prefix_length}", strict=False)
    interface = {
        "connection_name": adapter.name,
        "interface_index": adapter.index,
        "default_gateway": adapter.gateway,
        "macaddress": adapter.mac.replace("-", ":"),
        "ipv4": {
            "address": adapter.address,
            "prefix": str(adapter.prefix_length),
            "network": str(network.network_address),
        },
    }
    facts = {
        "architecture": "64-bit",
        "architecture2": "x86_64",
        "distribution": f"Microsoft {state.product_name}",
        "distribution_major_version": "10",
        "distribution_version": version,
        "env": {name.upper(): value for name, value in state.environment.items()},
        "hostname": state.computer_name,
        "interfaces": [interface],
        "ip_addresses": [adapter.address],
        "kernel": version,
        "lastboot": datetime.fromtimestamp(state.boot_time, UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
        "netbios_name": state.computer_name,
        "nodename": state.computer_name,
        "os_family": "Windows",
        "os_installation_type": "Server",
        "os_name": f"Microsoft {state.product_name}",
        "os_product_type": "server",
        "powershell_version": 5,
        "reboot_pending": state.reboot_pending,
        "system": "Win32NT",
        "user_id": "Administrator",
    }
    return {"changed": False, "ansible_facts": {f"ansible_{k}": v for k, v in facts.items()}}
