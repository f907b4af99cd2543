"""The renderings of our scripts: what they answer, change, leave alone and refuse."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from bootstrap.resources import data_path
from bootstrap.sandbox.windows_host.agents.containerd_config import default_view
from bootstrap.sandbox.windows_host.agents.runtime import (
    CONTAINERD_PIPE,
    DOCKER_PIPE,
    RuntimeView,
)
from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.scripts import SCRIPTS
from bootstrap.sandbox.windows_host.state import Service, ServiceState, VirtualFile
from tests.sandbox.windows_host.fake_machine import eventually
from tests.sandbox.windows_host.hosts import ADDRESS, FakeHooks, make_host

CONTENT = b"the program"
URL = "https://dl.k8s.io/v1.34.5/bin/windows/amd64/kubelet.exe"
ARCHIVE = "https://dl.k8s.io/v1.34.5/kubernetes-node-windows-amd64.tar.gz"
NETWORK: dict[str, Any] = {
    "managementAddress": ADDRESS,
    "gateway": "127.20.0.1",
    "network": {
        "name": "External",
        "vsid": 9999,
        "prefix": "192.168.255.0/30",
        "gateway": "192.168.255.1",
    },
    "metadataAddresses": ["169.254.169.254"],
    "overlay": {"network": "flannel.4096", "kubeProxyConfig": r"C:\k\kube-proxy.conf"},
}


def run(host: Any, script: str, request: dict[str, Any], *, check: bool = False) -> ScriptOutcome:
    return SCRIPTS[f"{script}.ps1"](host, request, check)


def changes(host: Any, script: str, request: dict[str, Any]) -> list[bool]:
    """Run in check mode, then twice; returns what each said of changes."""
    first = run(host, script, request, check=True)
    return [
        bool(outcome.answer["changed"])
        for outcome in (first, run(host, script, request), run(host, script, request))
    ]


def test_every_script_but_the_user_data_has_a_rendering():
    names = {path.name for path in data_path("scripts").glob("*.ps1")}
    assert set(SCRIPTS) == names - {"Enable-WinRmTls.ps1"}


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_request_that_lacks_its_fields_is_refused(script: str):
    assert SCRIPTS[script](make_host(), {}, False).error.startswith("WN0001")


HOST_REQUEST: dict[str, Any] = {
    "expectedBuild": 17763,
    "dynamicPorts": {"start": 34000, "count": 31536},
    "powerPlan": "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c",
    "defenderExclusions": [r"C:\ProgramData\containerd"],
    "firewall": [
        {"name": "bootstrap-kubelet", "protocol": "TCP", "port": 10250, "remote": ["10.0.0.0/16"]}
    ],
    "hosts": [{"address": "127.20.0.5", "name": "api.internal.tiny.example.com"}],
}


def test_host_settings_are_made_once_and_not_in_check_mode():
    host = make_host()
    assert changes(host, "Initialize-NodeHost", HOST_REQUEST) == [True, True, False]
    assert host.state.dynamic_ports == (34000, 31536)
    assert host.state.firewall["bootstrap-kubelet"].remote == "10.0.0.0/16"


def test_hosts_file_keeps_foreign_lines_and_loses_entries_of_ours_that_are_gone():
    host = make_host()
    path = r"C:\Windows\System32\drivers\etc\hosts"
    host.state.files.write(path, b"10.0.0.1 printer\r\n10.0.0.2 old # bootstrap\r\n")
    run(host, "Initialize-NodeHost", HOST_REQUEST)
    assert (host.state.files.read(path) or b"").decode().splitlines() == [
        "10.0.0.1 printer",
        "127.20.0.5 api.internal.tiny.example.com # bootstrap",
    ]


def test_wrong_windows_build_is_refused():
    outcome = run(make_host(), "Initialize-NodeHost", HOST_REQUEST | {"expectedBuild": 20348})
    assert outcome.error == "WN0101 this host runs Windows build 17763, expected is 20348"


def test_pending_reboot_is_told():
    host = make_host()
    host.state.reboot_pending = True
    assert run(host, "Initialize-NodeHost", HOST_REQUEST).answer["rebootPending"] is True


def artifact(**fields: Any) -> dict[str, Any]:
    wanted = {
        "name": "kubelet",
        "url": URL,
        "algorithm": "sha256",
        "checksum": hashlib.sha256(CONTENT).hexdigest(),
        "unpack": "none",
        "files": [{"from": "", "to": r"C:\k\kubelet.exe"}],
    } | fields
    return {"artifacts": [wanted], "manifest": r"C:\k\manifest.json", "proxy": ""}


def test_artifact_is_installed_once_and_stands_in_the_manifest():
    host = make_host(FakeHooks(files={URL: CONTENT}))
    assert changes(host, "Install-NodeArtifact", artifact()) == [True, True, False]
    manifest = json.loads(host.state.files.read(r"C:\k\manifest.json") or b"")
    assert manifest["artifacts"][0]["url"] == URL


def test_artifact_whose_file_was_changed_is_installed_again():
    host = make_host(FakeHooks(files={URL: CONTENT}))
    run(host, "Install-NodeArtifact", artifact())
    host.state.files.write(r"C:\k\kubelet.exe", b"other")
    assert run(host, "Install-NodeArtifact", artifact()).answer["changed"] is True


def test_wrong_checksum_is_refused_and_nothing_is_put_into_place():
    host = make_host(FakeHooks(files={URL: b"tampered"}))
    error = run(host, "Install-NodeArtifact", artifact()).error
    assert error.startswith("WN0202") and URL in error
    assert host.state.files.get(r"C:\k\kubelet.exe") is None


def test_address_that_nobody_knows_cannot_be_downloaded():
    assert run(make_host(), "Install-NodeArtifact", artifact()).error.startswith("WN0201")


@pytest.mark.parametrize(
    ("member", "code"), [("kubernetes/node/bin/kubelet.exe", ""), ("bin/kubelet.exe", "WN0203")]
)
def test_archive_has_the_members_of_the_published_one(member: str, code: str):
    file = VirtualFile(size=1, checksums={"sha512": "ab" * 64}, url=ARCHIVE)
    host = make_host(FakeHooks(files={ARCHIVE: file}))
    files = [{"from": member, "to": r"C:\k\kubelet.exe"}]
    request = artifact(
        url=ARCHIVE, algorithm="sha512", checksum="ab" * 64, unpack="tgz", files=files
    )
    assert run(host, "Install-NodeArtifact", request).error[:6] == code


def test_files_are_written_as_utf_8_and_secrets_are_for_the_system_alone():
    host = make_host()
    file = {"path": r"C:\etc\kubernetes\x.conf", "content": "ä", "secret": True}
    request = {"folders": [r"C:\var\log\kubelet"], "files": [file]}
    assert changes(host, "Set-NodeFile", request) == [True, True, False]
    written = host.state.files.get(file["path"])
    assert written is not None and written.content == "ä".encode()
    assert all("Users" not in entry for entry in written.acl)


def service(**fields: Any) -> dict[str, Any]:
    wanted = {
        "name": "containerd",
        "displayName": "containerd",
        "binaryPath": r'"C:\Program Files\containerd\containerd.exe" --run-service',
        "dependencies": [],
        "environment": {},
        "recoveryDelaysMs": [10000],
        "resetSeconds": 3600,
        "state": "running",
        "watches": [],
    } | fields
    return {"services": [wanted]}


def host_with_containerd() -> Any:
    host = make_host()
    program = VirtualFile(size=1, checksums={}, url="https://x/containerd-1.7.35.tar.gz")
    host.state.files.write(r"C:\Program Files\containerd\containerd.exe", program)
    return host


def test_service_is_registered_and_started_once():
    host = host_with_containerd()
    assert changes(host, "Set-NodeService", service()) == [True, True, False]
    eventually(lambda: CONTAINERD_PIPE.lower() in host.state.pipes)
    stop = run(host, "Set-NodeService", service(state="stopped"))
    assert stop.answer["services"] == [{"name": "containerd", "changed": True, "state": "stopped"}]
    eventually(lambda: not host.state.pipes)


def test_service_is_restarted_once_when_a_file_that_it_watches_is_newer():
    host = host_with_containerd()
    wanted = service(watches=[r"C:\k\config.toml"])
    assert changes(host, "Set-NodeService", wanted) == [True, True, False]
    host.state.files.write(r"C:\k\config.toml", b"")
    assert changes(host, "Set-NodeService", wanted) == [True, True, False]
    assert host.state.services["containerd"].starts == 2


def test_service_that_is_to_be_restarted_is_restarted_every_time():
    host = host_with_containerd()
    run(host, "Set-NodeService", service())
    assert changes(host, "Set-NodeService", service(state="restarted")) == [True, True, True]
    assert host.state.services["containerd"].starts == 3


def test_service_whose_program_is_missing_is_refused_in_windows_words():
    outcome = run(make_host(), "Set-NodeService", service())
    assert "The system cannot find the file specified" in outcome.error


def test_first_network_is_made_by_a_task_and_moves_the_address():
    host = make_host()
    first = run(host, "Initialize-NodeNetwork", NETWORK)
    assert (first.answer["pending"], first.answer["changed"]) == (True, True)
    eventually(lambda: host.state.routes)
    again = run(host, "Initialize-NodeNetwork", NETWORK)
    assert again.answer == {"changed": False, "pending": False, "routes": []}
    assert host.state.main_adapter().name == "vEthernet (Ethernet)"
    assert host.state.tasks["bootstrap-network"].at_startup


def test_network_in_check_mode_only_says_what_it_would_do():
    host = make_host()
    assert run(host, "Initialize-NodeNetwork", NETWORK, check=True).answer["pending"] is True
    assert not host.state.tasks and not host.state.hns.networks


def test_network_without_the_address_is_refused():
    outcome = run(
        make_host(), "Initialize-NodeNetwork", NETWORK | {"managementAddress": "10.9.9.9"}
    )
    assert outcome.error == "WN0501 no adapter has the address 10.9.9.9"


def test_lost_metadata_route_cannot_be_restored_while_the_fault_is_set():
    hooks = FakeHooks(faults={"lost-metadata-route"})
    host = make_host(hooks)
    run(host, "Initialize-NodeNetwork", NETWORK)
    eventually(lambda: host.state.hns.network("External"))
    assert run(host, "Initialize-NodeNetwork", NETWORK).answer["routes"] == ["169.254.169.254"]
    assert host.state.routes == []


def test_waiting_for_an_overlay_that_does_not_come_names_what_is_there(
    monkeypatch: pytest.MonkeyPatch,
):
    from bootstrap.sandbox.windows_host.scripts import node_network

    monkeypatch.setattr(node_network, "_SHORTEST_TIMEOUT_S", 0.0)
    host = make_host()
    request = {"network": "flannel.4096", "timeoutSeconds": 0}
    assert run(host, "Wait-NodeOverlay", request).error == (
        "WN0601 network flannel.4096 did not come up in 0 s; HNS has: "
    )


def host_with_overlay() -> Any:
    host = make_host()
    host.state.hns.networks["1"] = {
        "ID": "1",
        "Name": "flannel.4096",
        "Type": "Overlay",
        "ManagementIP": ADDRESS,
        "Subnets": [{"AddressPrefix": "100.96.4.0/24", "GatewayAddress": "100.96.4.1"}],
    }
    host.state.files.write(r"C:\run\flannel\subnet.env", b"")
    host.state.files.write(r"C:\k\cni\host-local.exe", b"")
    host.state.files.write(r"C:\k\kube-proxy.template.conf", b"winkernel:\n  sourceVip: ''\n")
    return host


VIP = {
    "network": "flannel.4096",
    "hostLocal": r"C:\k\cni\host-local.exe",
    "template": r"C:\k\kube-proxy.template.conf",
    "config": r"C:\k\kube-proxy.conf",
}


def test_source_vip_is_the_second_address_and_stays():
    host = host_with_overlay()
    outcome = run(host, "Set-SourceVip", VIP)
    assert outcome.answer == {"changed": True, "sourceVip": "100.96.4.2"}
    assert b"sourceVip: '100.96.4.2'" in (host.state.files.read(VIP["config"]) or b"")
    assert run(host, "Set-SourceVip", VIP).answer == {"changed": False, "sourceVip": "100.96.4.2"}


def test_source_vip_of_another_subnet_is_given_up():
    host = host_with_overlay()
    old = r"C:\var\lib\cni\networks\flannel.4096\100.96.9.2"
    host.state.files.write(old, b"kube-proxy-source-vip\r\nvip")
    assert run(host, "Set-SourceVip", VIP).answer["sourceVip"] == "100.96.4.2"
    assert host.state.files.get(old) is None


def test_source_vip_needs_the_network_and_host_local():
    assert run(make_host(), "Set-SourceVip", VIP).error == "WN0701 HNS has no network flannel.4096"
    host = host_with_overlay()
    host.state.files.remove(VIP["hostLocal"])
    assert run(host, "Set-SourceVip", VIP).error.startswith("WN0701 host-local")


def test_programs_run_by_the_service_host_are_stopped_before_it_is_replaced():
    host = host_with_containerd()
    run(host, "Set-NodeService", service())
    running = host.state.service("containerd")
    assert running is not None and running.state is ServiceState.RUNNING
    host.state.services["cri-dockerd"] = Service(
        name="cri-dockerd", binary_path="x.exe", state=ServiceState.RUNNING
    )
    path = {"path": r"C:\k\service-host.exe"}
    assert changes(host, "New-ServiceHost", path) == [True, True, False]
    assert host.state.services["cri-dockerd"].state is ServiceState.STOPPED
    assert running.state is ServiceState.RUNNING


PULL: dict[str, object] = {"pull": ["pull"], "environment": {}}


def test_images_are_pulled_once_and_only_for_this_build():
    host = host_with_containerd()
    ctr = r"C:\Program Files\containerd\ctr.exe"
    request = {
        "runtime": "containerd",
        "program": ctr,
        **PULL,
        "images": ["registry.k8s.io/pause:3.10.1"],
    }
    assert run(host, "Set-NodeImage", request).error.startswith("WN0801 ctr images list ended")
    host.state.files.write(ctr, b"")
    host.state.pipes[CONTAINERD_PIPE.lower()] = default_view()
    assert changes(host, "Set-NodeImage", request) == [True, True, False]
    other = request | {"images": ["mcr.microsoft.com/windows/nanoserver:ltsc2022"]}
    assert run(host, "Set-NodeImage", other).error.startswith("WN0801")


def test_docker_is_asked_for_images_by_its_own_pipe():
    host = host_with_containerd()
    program = r"C:\Program Files\docker\docker.exe"
    images = ["registry.k8s.io/pause:3.10.1"]
    request = {"runtime": "docker", "program": program, **PULL, "images": images}
    host.state.files.write(program, b"")
    host.state.pipes[CONTAINERD_PIPE.lower()] = default_view()
    assert run(host, "Set-NodeImage", request).error.startswith("WN0801 docker version ended")
    host.state.pipes[DOCKER_PIPE.lower()] = RuntimeView(
        name="docker", pipe=DOCKER_PIPE, has_cri=False
    )
    assert changes(host, "Set-NodeImage", request) == [True, True, False]


def test_running_state_of_a_foreign_service_is_left_alone():
    host = host_with_containerd()
    host.state.services["other"] = Service(name="other", binary_path="x.exe")
    run(host, "Set-NodeService", service())
    assert host.state.services["other"].state is ServiceState.STOPPED
