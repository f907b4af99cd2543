"""Simulated hosts driven by the real ansible-core: a stock playbook, run, run again, refused."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.services import Agent
from bootstrap.sandbox.windows_host.state import FeatureState, Service, VirtualFile
from tests.sandbox.windows_host.simulated import World, running_host

_ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
pytestmark = pytest.mark.skipif(not _ANSIBLE.exists(), reason="no ansible-playbook beside python")
_TIMEOUT_S = 120
_URL = "https://dl.k8s.io/v1.34.5/bin/windows/amd64/kubelet.exe"
_DIGEST = "ab" * 32

_STOCK: list[dict[str, Any]] = [
    {"ansible.windows.win_ping": {}},
    {"ansible.windows.setup": {"gather_subset": ["min"]}},
    {"ansible.windows.win_feature": {"name": "Containers"}, "register": "feature"},
    {
        "ansible.windows.win_reboot": {"reboot_timeout": 60, "pre_reboot_delay": 0},
        "when": "feature.reboot_required",
    },
    {"ansible.windows.win_file": {"path": r"C:\k", "state": "directory"}},
    {
        "ansible.windows.win_get_url": {
            "url": _URL,
            "dest": r"C:\k\kubelet.exe",
            "checksum": _DIGEST,
            "checksum_algorithm": "sha256",
            "force": False,
        }
    },
    {"ansible.windows.win_copy": {"content": "kind: Config\n", "dest": r"C:\k\kubelet.conf"}},
    {"ansible.windows.win_copy": {"src": "many/", "dest": r"C:\k\many"}},
    {"ansible.windows.win_template": {"src": "t.j2", "dest": r"C:\k\t.txt"}},
    {"ansible.windows.win_stat": {"path": r"C:\k\kubelet.conf"}, "register": "stat"},
    {"ansible.builtin.assert": {"that": ["stat.stat.exists", "stat.stat.size == 13"]}},
    {"ansible.builtin.fetch": {"src": r"C:\k\t.txt", "dest": "fetched/", "flat": True}},
    {"ansible.windows.win_path": {"elements": [r"C:\k"]}},
    {
        "ansible.windows.win_environment": {
            "name": "NODE",
            "value": "win-1",
            "level": "machine",
            "state": "present",
        }
    },
    {
        "ansible.windows.win_regedit": {
            "path": r"HKLM:\SYSTEM\CurrentControlSet\Services\hns\State",
            "name": "EnableCompartmentNamespace",
            "type": "dword",
            "data": 1,
        }
    },
    {
        "community.windows.win_firewall_rule": {
            "name": "kubelet",
            "localport": 10250,
            "protocol": "tcp",
            "action": "allow",
            "direction": "in",
        }
    },
    {
        "ansible.windows.win_service": {
            "name": "kubelet",
            "path": r"C:\k\kubelet.exe --windows-service",
            "start_mode": "auto",
            "state": "started",
        }
    },
    {"ansible.windows.win_wait_for": {"path": r"C:\k\kubelet.conf", "timeout": 5}},
    {"ansible.windows.win_command": {"argv": ["hostname.exe"]}, "changed_when": False},
    {"ansible.windows.win_shell": "hostname", "changed_when": False},
    {"ansible.builtin.wait_for_connection": {"timeout": 10}},
]


class _Idle:
    def run(self, stop: Any) -> int:
        stop.wait()
        return 0


def _idle(host: WindowsHost, service: Service, words: tuple[str, ...]) -> Agent:
    return _Idle()


@dataclass
class Ansible:
    """One host with its inventory, and what a run of a playbook says."""

    host: WindowsHost
    world: World
    folder: Path

    def run(self, tasks: list[dict[str, Any]], *options: str) -> tuple[int, dict[str, Any]]:
        play = {"hosts": "all", "gather_facts": False, "tasks": tasks}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        ended = subprocess.run(
            [str(_ANSIBLE), "-i", "inventory.json", "play.yml", *options],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                "ANSIBLE_LOCALHOST_WARNING": "False",
                "ANSIBLE_DEPRECATION_WARNINGS": "False",
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        assert "{" in ended.stdout, ended.stdout + ended.stderr
        return ended.returncode, json.loads(ended.stdout[ended.stdout.index("{") :])


def changed_tasks(report: dict[str, Any]) -> list[str]:
    """Name the tasks that report a change."""
    return [
        task["task"]["name"] or task["hosts"]["win"]["action"]
        for task in report["plays"][0]["tasks"]
        if task["hosts"]["win"].get("changed")
    ]


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ansible]:
    folder = tmp_path_factory.mktemp("ansible")
    (folder / "t.j2").write_text("node {{ inventory_hostname }}\n")
    (folder / "many" / "sub").mkdir(parents=True)
    (folder / "many" / "a.txt").write_text("a")
    (folder / "many" / "sub" / "b.txt").write_text("b")
    published = VirtualFile(size=10, checksums={"sha256": _DIGEST}, url=_URL)
    world = World(urls={_URL: published})
    with running_host(world, agents={"kubelet.exe": _idle}) as host:
        (folder / "host.pem").write_text(ssl.get_server_certificate((host.spec.address, 5986)))
        variables = {
            "ansible_host": host.spec.address,
            "ansible_port": 5986,
            "ansible_connection": "winrm",
            "ansible_winrm_transport": "ntlm",
            "ansible_user": "Administrator",
            "ansible_password": world.passwords[0],
            "ansible_winrm_server_cert_validation": "validate",
            "ansible_winrm_ca_trust_path": str(folder / "host.pem"),
            "ansible_shell_type": "powershell",
        }
        inventory = {"all": {"hosts": {"win": variables}}}
        (folder / "inventory.json").write_text(json.dumps(inventory))
        yield Ansible(host, world, folder)


@pytest.fixture(scope="module")
def stock(ansible: Ansible) -> tuple[int, dict[str, Any]]:
    """The first run of the stock playbook."""
    return ansible.run(_STOCK)


def test_stock_playbook_ends_well(stock: tuple[int, dict[str, Any]]) -> None:
    code, report = stock
    failed = [
        task["hosts"]["win"].get("msg")
        for task in report["plays"][0]["tasks"]
        if task["hosts"]["win"].get("failed")
    ]
    assert (code, failed) == (0, [])


def test_stock_playbook_changes_the_host(
    ansible: Ansible, stock: tuple[int, dict[str, Any]]
) -> None:
    state = ansible.host.state
    assert state.features["containers"] is FeatureState.INSTALLED
    assert state.boots == 2
    assert state.files.read(r"C:\k\kubelet.conf") == b"kind: Config\n"
    assert state.files.read(r"C:\k\many\sub\b.txt") == b"b"
    assert state.files.read(r"C:\k\t.txt") == b"node win\r\n"
    assert (ansible.folder / "fetched" / "t.txt").read_bytes() == b"node win\r\n"
    assert [service.name for service in state.running_services()] == ["kubelet"]


def test_no_file_is_left_in_temporary_folders(
    ansible: Ansible, stock: tuple[int, dict[str, Any]]
) -> None:
    # win_template leaves an empty folder behind: win_copy, which it calls, makes one of its own.
    temporary = r"C:\Users\Administrator\AppData\Local\Temp"
    assert ansible.host.state.files.below(temporary) == []


def test_second_run_changes_nothing(ansible: Ansible, stock: tuple[int, dict[str, Any]]) -> None:
    code, report = ansible.run(_STOCK)
    assert (code, changed_tasks(report)) == (0, [])


def test_check_mode_changes_nothing(ansible: Ansible, stock: tuple[int, dict[str, Any]]) -> None:
    tasks: list[dict[str, Any]] = [
        {"ansible.windows.win_file": {"path": r"C:\new", "state": "directory"}},
        {"ansible.windows.win_copy": {"content": "x", "dest": r"C:\k\new.txt"}},
        {"ansible.windows.win_feature": {"name": "Hyper-V-PowerShell"}},
    ]
    code, report = ansible.run(tasks, "--check")
    assert (code, len(changed_tasks(report))) == (0, 3)
    assert not ansible.host.state.files.exists(r"C:\new")
    assert not ansible.host.state.files.exists(r"C:\k\new.txt")


def test_module_that_is_not_imitated_fails(ansible: Ansible) -> None:
    task = {"ansible.windows.win_dns_client": {"adapter_names": "x", "dns_servers": []}}
    code, report = ansible.run([task])
    assert code == 2
    message = report["plays"][0]["tasks"][0]["hosts"]["win"]["msg"]
    assert "ansible.windows.win_dns_client is not imitated" in message


def test_unknown_parameter_fails_with_the_words_of_ansible(ansible: Ansible) -> None:
    code, report = ansible.run([{"ansible.windows.win_stat": {"path": r"C:\k", "colour": "red"}}])
    assert code == 2
    message = report["plays"][0]["tasks"][0]["hosts"]["win"]["msg"]
    assert message.startswith(
        "Unsupported parameters for (ansible.windows.win_stat) module: colour"
    )
