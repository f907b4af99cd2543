"""Set-NodeService: what is registered, changed, restarted, left alone, and refused."""

from __future__ import annotations

from typing import Any

from tests.powershell.windows_node import SERVICES, WindowsNode

LINE = (
    r'"C:\Program Files\containerd\containerd.exe" --config "C:\Program Files\c.toml" --run-service'
)
CONFIG = r"C:\k\kubelet.conf"


def service(**fields: Any) -> dict[str, Any]:
    wanted = {
        "name": "kubelet",
        "displayName": "Kubernetes kubelet",
        "binaryPath": LINE,
        "dependencies": ["containerd", "hns"],
        "environment": {"B": "2", "A": "1"},
        "recoveryDelaysMs": [10000, 30000],
        "resetSeconds": 300,
        "state": "running",
        "watches": [CONFIG, r"C:\k\none.conf"],
    }
    return {"services": [wanted | fields]}


def settings(node: WindowsNode) -> dict[str, Any]:
    found: dict[str, Any] = node.state["registry"][f"{SERVICES}\\kubelet"]
    return found


def test_fresh_service_is_registered_with_its_quotes_and_started(node: WindowsNode):
    done = node.run("Set-NodeService", service())
    assert done.answer == {
        "changed": True,
        "services": [{"name": "kubelet", "changed": True, "state": "running"}],
    }, done.error
    assert settings(node) == {
        "ImagePath": LINE,
        "Start": 2,
        "DependOnService": ["containerd", "hns"],
        "DisplayName": "Kubernetes kubelet",
        "FailureActionsOnNonCrashFailures": 1,
        "Environment": ["A=1", "B=2"],
    }
    assert [
        "sc",
        "failure",
        "kubelet",
        "reset=",
        "300",
        "actions=",
        "restart/10000/restart/30000",
    ] in (done.calls)
    assert node.state["services"] == {"kubelet": "Running"}


def test_service_that_is_right_is_left_alone(node: WindowsNode):
    node.run("Set-NodeService", service())
    again = node.run("Set-NodeService", service())
    assert (again.answer["changed"], again.calls) == (False, []), again.error


def test_check_mode_says_what_would_change_and_changes_nothing(node: WindowsNode):
    done = node.run("Set-NodeService", service(), "-WhatIf")
    assert (done.answer["changed"], done.calls) == (True, []), done.error


def test_changed_command_line_is_set_and_the_service_restarted(node: WindowsNode):
    node.run("Set-NodeService", service())
    done = node.run("Set-NodeService", service(binaryPath=r"C:\k\kubelet.exe --v=4"))
    assert settings(node)["ImagePath"] == r"C:\k\kubelet.exe --v=4", done.error
    assert done.commands[-1] == "Restart-Service"


def test_service_is_restarted_once_when_a_file_is_newer_than_its_process(node: WindowsNode):
    node.write(CONFIG, "a: 1")
    node.run("Set-NodeService", service())
    assert node.run("Set-NodeService", service()).answer["changed"] is False
    node.write(CONFIG, "a: 2")
    done = node.run("Set-NodeService", service(), "-WhatIf")
    assert (done.answer["changed"], done.calls) == (True, []), done.error
    assert node.run("Set-NodeService", service()).commands == ["Restart-Service"]
    assert node.run("Set-NodeService", service()).answer["changed"] is False


def test_stopped_service_that_watches_a_newer_file_is_started_not_restarted(node: WindowsNode):
    node.run("Set-NodeService", service())
    node.state["services"]["kubelet"] = "Stopped"
    node.write(CONFIG, "a: 2")
    assert node.run("Set-NodeService", service()).commands == ["Start-Service"]


def test_service_without_dependencies_and_environment_is_right_the_second_time(node: WindowsNode):
    alone = service(dependencies=[], environment={})
    node.run("Set-NodeService", alone)
    again = node.run("Set-NodeService", alone)
    assert again.answer["changed"] is False, again.error


def test_environment_that_is_no_longer_wanted_is_removed(node: WindowsNode):
    node.run("Set-NodeService", service())
    node.run("Set-NodeService", service(environment={}))
    assert "Environment" not in settings(node)
    assert node.run("Set-NodeService", service(environment={})).answer["changed"] is False


def test_stopped_service_is_stopped_once(node: WindowsNode):
    node.run("Set-NodeService", service())
    assert node.run("Set-NodeService", service(state="stopped")).commands == ["Stop-Service"]
    assert node.run("Set-NodeService", service(state="stopped")).answer["changed"] is False


def test_service_that_is_to_be_restarted_is_restarted_every_time(node: WindowsNode):
    node.run("Set-NodeService", service())
    for _ in range(2):
        done = node.run("Set-NodeService", service(state="restarted"))
        assert (done.answer["changed"], done.commands) == (True, ["Restart-Service"]), done.error


def test_service_that_is_to_be_restarted_and_is_stopped_is_started(node: WindowsNode):
    node.run("Set-NodeService", service())
    node.state["services"]["kubelet"] = "Stopped"
    assert node.run("Set-NodeService", service(state="restarted")).commands == ["Start-Service"]


def test_service_that_does_not_start_is_named(node: WindowsNode):
    node.state["brokenServices"] = ["kubelet"]
    done = node.run("Set-NodeService", service())
    assert done.exit_code == 1
    assert "WN0401 Failed to start service 'kubelet'" in done.error


def test_service_that_stays_stopped_is_named_with_the_time(node: WindowsNode):
    node.state["stuckServices"] = ["kubelet"]
    done = node.run("Set-NodeService", service())
    assert "WN0401 service kubelet is not Running after 120 s" in done.error


def test_program_that_fails_is_named(node: WindowsNode):
    node.state["exitCodes"] = {"sc": 5}
    assert (
        "WN0401 sc.exe config kubelet ended with 5" in node.run("Set-NodeService", service()).error
    )
