"""Reset-Node: in which order a node is taken apart, what stays, and what half a node does to it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.resources import data_path
from tests.powershell.windows_node import SERVICES, STATE_STUBS, WindowsNode

DEFAULTS = data_path("playbooks") / "roles" / "reset" / "defaults" / "main.yml"
HOSTS = r"C:\Windows\System32\drivers\etc\hosts"
CTR = r"C:\Program Files\containerd\ctr.exe"
CTR_SCRIPT = """
echo "$*" >> "$0.log"
case "$3 $4" in
  "tasks list") echo pod-1;;
  "containers list") echo pod-1;;
  "images list") echo pause:3.9;;
esac
"""
RUNNING = ("containerd", "kubelet", "flanneld", "kube-proxy")
ALL_STEPS = [
    "task",
    "services",
    "containers",
    "runtimes",
    "loadBalancers",
    "endpoints",
    "routes",
    "firewall",
    "exclusions",
    "hosts",
    "folders",
    "networks",
]


@pytest.fixture
def full(tmp_path: Path, pwsh: str) -> WindowsNode:
    """A node with everything of ours, and something of others beside each."""
    node = WindowsNode(tmp_path, pwsh)
    node.modules = (STATE_STUBS,)
    for name in (*RUNNING, "Spooler"):
        node.state["registry"][f"{SERVICES}\\{name}"] = {"ImagePath": name}
        node.state["services"][name] = "Running"
    node.state |= {"broken": [], "exclusions": [r"C:\ProgramData\containerd", r"D:\mine"]}
    node.state["rows"] = {
        "HnsEndpoint": [
            {"Name": "sourceVip", "VirtualNetworkName": "flannel.4096"},
            {"Name": "other", "VirtualNetworkName": "nat"},
        ],
        "HnsPolicyList": [{"ID": "1"}, {"ID": "2"}],
        "NetFirewallRule": [{"Name": "bootstrap-kubelet"}, {"Name": "WINRM-HTTPS"}],
    }
    node.state["networks"] = [{"Name": n} for n in ("nat", "External", "flannel.4096")]
    node.state["routes"] = [
        {"DestinationPrefix": prefix, "InterfaceAlias": alias, "NextHop": "172.20.32.1"}
        for prefix, alias in (
            ("0.0.0.0/0", "vEthernet (Ethernet)"),
            ("169.254.169.254/32", "vEthernet (Ethernet)"),
            ("169.254.169.123/32", "Ethernet"),
        )
    ]
    node.state["tasks"] = {"bootstrap-network": "Ready", "Defrag": "Ready"}
    node.program(CTR, CTR_SCRIPT)
    for path in (r"C:\k\kubelet.exe", r"C:\etc\kubernetes\kubelet.conf", r"C:\var\log\mine\x.log"):
        node.write(path, "x")
    node.write(HOSTS, "127.0.0.1 localhost\n10.0.0.1 api.internal # bootstrap\n")
    return node


def request() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))["reset_node"]
    return found


def finish_task(node: WindowsNode) -> None:
    """Do what the detached task does."""
    node.state["networks"] = [n for n in node.state["networks"] if n["Name"] == "nat"]
    del node.state["tasks"]["bootstrap-reset"]


def test_a_whole_node_is_taken_apart_users_before_what_they_use(full: WindowsNode) -> None:
    done = full.run("Reset-Node", request())
    assert done.answer == {"changed": True, "pending": True, "steps": ALL_STEPS}, done.error
    deleted = [call[2] for call in done.calls if call[:2] == ["sc", "delete"]]
    assert deleted == ["kube-proxy", "flanneld", "kubelet", "containerd"]
    order = done.commands
    assert order.index("Unregister-ScheduledTask") < order.index("Stop-Service")
    assert order.index("Remove-HnsPolicyList") < order.index("Remove-HnsEndpoint")
    assert order[-2:] == ["Register-ScheduledTask", "Start-ScheduledTask"]
    (task,) = [call for call in done.calls if call[0] == "Register-ScheduledTask"]
    assert "@('flannel.4096','External')" in task[2]
    assert "Unregister-ScheduledTask -TaskName 'bootstrap-reset'" in task[2]


def test_what_belongs_to_others_stays(full: WindowsNode) -> None:
    assert full.run("Reset-Node", request()).exit_code == 0
    state = full.state
    assert state["services"] == {"Spooler": "Running"}
    assert [item["Name"] for item in state["rows"]["HnsEndpoint"]] == ["other"]
    assert [item["Name"] for item in state["rows"]["NetFirewallRule"]] == ["WINRM-HTTPS"]
    routes = [item["DestinationPrefix"] for item in state["routes"]]
    assert routes == ["0.0.0.0/0", "169.254.169.123/32"]
    assert state["exclusions"] == [r"D:\mine"]
    assert state["tasks"] == {"Defrag": "Ready", "bootstrap-reset": "Running"}
    assert full.path(HOSTS).read_text() == "127.0.0.1 localhost\n"
    assert full.path(r"C:\var\log\mine\x.log").exists()
    for folder in (r"C:\k", r"C:\etc", r"C:\Program Files\containerd"):
        assert not full.path(folder).exists()


def test_the_runtime_removes_its_containers_while_it_runs(full: WindowsNode) -> None:
    log = full.path(f"{CTR}.log")
    wanted = request()
    wanted["folders"].remove(r"C:\Program Files\containerd")
    assert full.run("Reset-Node", wanted).exit_code == 0
    changing = [line for line in log.read_text().splitlines() if "list" not in line]
    assert changing == [
        "--namespace k8s.io tasks delete --force pod-1",
        "--namespace k8s.io containers delete pod-1",
        "--namespace k8s.io images delete --sync pause:3.9",
    ]


def test_a_second_run_changes_nothing(full: WindowsNode) -> None:
    assert full.run("Reset-Node", request()).answer["pending"]
    finish_task(full)
    again = full.run("Reset-Node", request())
    assert again.answer == {"changed": False, "pending": False, "steps": []}, again.error
    assert again.calls == []


def test_while_the_task_runs_it_is_not_started_again(full: WindowsNode) -> None:
    assert full.run("Reset-Node", request()).answer["pending"]
    again = full.run("Reset-Node", request())
    assert again.answer == {"changed": True, "pending": True, "steps": ["networks"]}
    assert again.calls == []


def test_half_a_node_is_reset_too(full: WindowsNode) -> None:
    for name in ("kubelet", "containerd"):
        del full.state["services"][name]
        del full.state["registry"][f"{SERVICES}\\{name}"]
    full.state["rows"] = {"HnsEndpoint": [], "HnsPolicyList": [], "NetFirewallRule": []}
    full.state |= {"networks": [{"Name": "nat"}], "tasks": {}, "routes": [], "exclusions": []}
    full.path(HOSTS).unlink()
    done = full.run("Reset-Node", request())
    assert done.answer == {"changed": True, "pending": False, "steps": ["services", "folders"]}
    assert full.state["services"] == {"Spooler": "Running"}


def test_what_if_changes_nothing_and_says_the_same(full: WindowsNode) -> None:
    before = copy.deepcopy(full.state)
    planned = full.run("Reset-Node", request(), "-WhatIf")
    assert planned.answer == {"changed": True, "pending": True, "steps": ALL_STEPS}, planned.error
    assert (planned.calls, full.state) == ([], before)
    assert full.path(r"C:\k\kubelet.exe").exists()


def test_a_step_that_fails_is_named_and_the_others_are_done(full: WindowsNode) -> None:
    full.state["broken"] = ["Remove-HnsPolicyList"]
    done = full.run("Reset-Node", request())
    assert "WN0901 the host is not reset: loadBalancers: Element not found." in done.error
    assert full.state["services"] == {"Spooler": "Running"}
    assert not full.path(r"C:\k").exists()
