"""Modules played on a simulated host, as they come from Ansible, without Ansible."""

from __future__ import annotations

from typing import Any

from bootstrap.sandbox.windows_host.host import WindowsHost


def play(host: WindowsHost, module: str, *, check: bool = False, **given: Any) -> dict[str, Any]:
    """Run a module that has to end well; returns its result."""
    result = _run(host, module, check=check, **given)
    assert not result.get("failed"), result
    return result


def fails(host: WindowsHost, module: str, **given: Any) -> str:
    """Run a module that has to fail; returns its message."""
    result = _run(host, module, check=False, **given)
    assert result.get("failed"), result
    return str(result["msg"])


def changes(host: WindowsHost, module: str, **given: Any) -> list[bool]:
    """Tell what a module says of changes in check mode, for real, and when it runs again."""
    return [
        bool(play(host, module, check=check, **given)["changed"]) for check in (True, False, False)
    ]


def _run(host: WindowsHost, module: str, *, check: bool, **given: Any) -> dict[str, Any]:
    name = module if "." in module else f"ansible.windows.{module}"
    arguments = {"_ansible_module_name": name, "_ansible_check_mode": check, **given}
    return host.run_module(name, arguments)
