"""win_powershell, win_feature, win_firewall_rule, setup: what they do and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bootstrap.resources import data_path
from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.state import FeatureState, FirewallRule
from tests.sandbox.windows_host.simulated import World, make_host

Calls = list[tuple[dict[str, Any], bool]]


def script(name: str = "Set-NodeFile.ps1") -> str:
    return (data_path("scripts") / name).read_text(encoding="utf-8")


def host_with(outcome: ScriptOutcome, calls: Calls) -> WindowsHost:
    """Return a host on which Set-NodeFile.ps1 gives an outcome."""

    def render(host: WindowsHost, request: dict[str, Any], check: bool) -> ScriptOutcome:
        calls.append((request, check))
        return outcome

    return make_host(World(), scripts={"Set-NodeFile.ps1": render})


def powershell(host: WindowsHost, **arguments: Any) -> dict[str, Any]:
    return host.run_module("ansible.windows.win_powershell", arguments)


def feature(host: WindowsHost, **arguments: Any) -> dict[str, Any]:
    return host.run_module("ansible.windows.win_feature", arguments)


def firewall(host: WindowsHost, **arguments: Any) -> dict[str, Any]:
    return host.run_module("community.windows.win_firewall_rule", arguments)


# -- win_powershell --
def test_script_answers_with_one_line_of_json() -> None:
    calls: Calls = []
    host = host_with(ScriptOutcome(answer={"changed": False, "files": []}), calls)
    result = powershell(host, script=script(), parameters={"Request": '{"files": []}'})
    assert result["output"] == ['{"changed":false,"files":[]}']
    assert result["changed"] and not result.get("failed")
    assert calls == [({"files": []}, False)]


def test_script_that_throws_leaves_an_error_record() -> None:
    host = host_with(ScriptOutcome(error="WN0201 a download failed"), [])
    result = powershell(host, script=script(), parameters={"Request": "{}"})
    assert result["failed"] and "msg" not in result
    assert result["error"][0]["exception"]["message"] == "WN0201 a download failed"
    assert result["error"][0]["output"].startswith("WN0201 a download failed")


def test_script_runs_in_check_mode_when_it_can() -> None:
    calls: Calls = []
    host = host_with(ScriptOutcome(answer={"changed": True}), calls)
    powershell(host, script=script(), parameters={"Request": "{}"}, _ansible_check_mode=True)
    assert calls == [({}, True)]


def test_script_without_whatif_is_skipped_in_check_mode() -> None:
    host = host_with(ScriptOutcome(), [])
    text = script("Enable-WinRmTls.ps1")
    result = powershell(host, script=text, _ansible_check_mode=True)
    assert (result["changed"], result["msg"]) == (True, "skipped, running in check mode")


def test_line_endings_do_not_make_another_script() -> None:
    host = host_with(ScriptOutcome(), [])
    text = script().replace("\n", "\r\n")
    assert not powershell(host, script=text, parameters={"Request": "{}"}).get("failed")


def test_script_that_differs_by_a_word_is_refused() -> None:
    host = host_with(ScriptOutcome(), [])
    result = powershell(host, script=script() + "\nexit 0", parameters={"Request": "{}"})
    assert "not a script of this version" in result["msg"]


def test_script_that_creates_what_is_there_is_skipped() -> None:
    calls: Calls = []
    host = host_with(ScriptOutcome(), calls)
    host.state.files.write(r"C:\k\a", b"")
    result = powershell(host, script=script(), creates=r"C:\k\a")
    assert (result["changed"], calls) == (False, [])


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"Request": {"files": []}}, "Cannot convert value to type System.String"),
        ({}, "missing mandatory parameters: Request"),
        ({"Request": "{}", "Verbos": 1}, "matches parameter name 'Verbos'"),
        ({"Request": "nonsense"}, "Invalid JSON primitive: nonsense"),
        ({"Request": "[]"}, "WN0001"),
    ],
    ids=["dict", "missing", "unknown", "no json", "no object"],
)
def test_parameters_bind_as_in_powershell(parameters: dict[str, Any], said: str) -> None:
    result = powershell(host_with(ScriptOutcome(), []), script=script(), parameters=parameters)
    assert result["failed"]
    assert said in result["error"][0]["output"]


def test_secret_request_is_no_text() -> None:
    result = powershell(
        host_with(ScriptOutcome(), []),
        script=script(),
        sensitive_parameters=[{"name": "Request", "value": "{}"}],
    )
    assert "System.Security.SecureString" in result["error"][0]["output"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "one of the following is required: path, script"),
        ({"script": "x", "path": "y"}, "mutually exclusive: path, script"),
        ({"script": "x", "error_action": "ignore"}, "value of error_action must be one of"),
        ({"script": "x", "executable": "pwsh.exe"}, "executable is not imitated"),
        ({"script": "x", "parameter": {}}, "Unsupported parameters for (ansible.windows.win_pow"),
    ],
    ids=["nothing", "both", "error_action", "executable", "misspelt"],
)
def test_win_powershell_refuses(arguments: dict[str, Any], said: str) -> None:
    result = powershell(host_with(ScriptOutcome(), []), **arguments)
    assert result["failed"] and said in result["msg"]


# -- win_feature --
def test_containers_wait_for_a_reboot() -> None:
    host = make_host(World())
    result = feature(host, name="Containers", state="present")
    assert (result["changed"], result["reboot_required"]) == (True, True)
    assert result["exitcode"] == "SuccessRestartRequired"
    assert host.state.features["containers"] is FeatureState.INSTALL_PENDING
    assert host.state.reboot_pending


def test_installed_feature_needs_nothing() -> None:
    host = make_host(World())
    host.state.features["containers"] = FeatureState.INSTALLED
    result = feature(host, name=["Containers"])
    assert (result["changed"], result["reboot_required"]) == (False, False)
    assert result["exitcode"] == "NoChangeNeeded"


def test_feature_that_waits_still_asks_for_the_reboot() -> None:
    host = make_host(World())
    feature(host, name="Containers")
    result = feature(host, name="Containers")
    assert (result["changed"], result["reboot_required"]) == (False, True)


def test_check_mode_installs_nothing() -> None:
    host = make_host(World())
    result = feature(host, name="Containers", _ansible_check_mode=True)
    assert result["changed"]
    assert host.state.features["containers"] is FeatureState.AVAILABLE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "Docker"}, "feature name is not valid: 'docker'. The name was not found."),
        ({}, "Missing required argument: name"),
        ({"name": "Containers", "state": "installed"}, "value of state must be one of"),
        ({"name": "Containers", "restart": True}, "Unsupported parameters"),
    ],
    ids=["unknown", "no name", "state", "misspelt"],
)
def test_win_feature_refuses(arguments: dict[str, Any], said: str) -> None:
    result = feature(make_host(World()), **arguments)
    assert result["failed"] and said in result["msg"]


# -- win_firewall_rule --
KUBELET = {"name": "Kubelet", "localport": "10250", "protocol": "tcp", "direction": "in"}


def test_rule_is_made_once() -> None:
    host = make_host(World())
    first = firewall(host, **KUBELET, action="allow", enabled=True)
    second = firewall(host, **KUBELET, action="allow", enabled=True)
    assert (first["changed"], second["changed"]) == (True, False)
    assert host.state.firewall["kubelet"].local_port == "10250"


def test_what_is_not_named_stays_as_it_is() -> None:
    host = make_host(World())
    host.state.firewall["kubelet"] = FirewallRule(
        name="Kubelet", protocol="tcp", local_port="10250", enabled=False
    )
    result = firewall(host, **KUBELET)
    assert not result["changed"]
    assert not host.state.firewall["kubelet"].enabled


def test_other_port_changes_the_rule() -> None:
    host = make_host(World())
    firewall(host, **KUBELET)
    result = firewall(host, name="kubelet", localport="10255")
    assert result["changed"]
    assert host.state.firewall["kubelet"].local_port == "10255"


def test_rule_is_removed_once() -> None:
    host = make_host(World())
    firewall(host, **KUBELET)
    results = [firewall(host, name="Kubelet", state="absent")["changed"] for _ in range(2)]
    assert (results, host.state.firewall) == ([True, False], {})


def test_check_mode_makes_no_rule() -> None:
    host = make_host(World())
    assert firewall(host, **KUBELET, _ansible_check_mode=True)["changed"]
    assert host.state.firewall == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"localport": "1"}, "Either name or group must be specified"),
        ({"name": "a", "localport": "1"}, "The parameter is incorrect"),
        ({"name": "a", "protocol": "vxlan"}, "Unknown protocol 'vxlan'."),
        ({"name": "a", "action": "permit"}, "value of action must be one of"),
        ({"name": "a", "direction": "out"}, "not imitated"),
        ({"name": "a", "profiles": "home"}, "Unknown profile 'home'."),
        ({"name": "a", "program": "x.exe"}, "program is not imitated"),
        ({"name": "a", "port": "1"}, "Unsupported parameters"),
    ],
    ids=["name", "port", "protocol", "action", "direction", "profile", "program", "misspelt"],
)
def test_win_firewall_rule_refuses(arguments: dict[str, Any], said: str) -> None:
    result = firewall(make_host(World()), **arguments)
    assert result["failed"] and said in result["msg"]


# -- setup, win_ping --
@pytest.mark.parametrize(
    ("release", "version"), [("2019", "10.0.17763.0"), ("2022", "10.0.20348.0")]
)
def test_facts_tell_the_release(release: str, version: str) -> None:
    host = make_host(World(), release=release)
    facts = host.run_module("ansible.legacy.setup", {})["ansible_facts"]
    assert facts["ansible_distribution"] == f"Microsoft Windows Server {release} Datacenter"
    assert facts["ansible_distribution_version"] == version
    assert facts["ansible_ip_addresses"] == [host.spec.address]
    json.dumps(facts)


def test_ping_refuses_what_it_does_not_know() -> None:
    result = make_host(World()).run_module("ansible.windows.win_ping", {"date": "x"})
    assert result["failed"] and "Unsupported parameters" in result["msg"]
