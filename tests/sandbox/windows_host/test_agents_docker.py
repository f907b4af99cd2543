"""dockerd and cri-dockerd on a fake machine, and the kubelet beside them."""

from __future__ import annotations

import json

import pytest

from bootstrap.sandbox.windows_host.agents import cri_dockerd, dockerd
from bootstrap.sandbox.windows_host.agents.kubelet_config import KubeletSettings, settings
from bootstrap.sandbox.windows_host.agents.kubelet_flags import parse_kubelet_flags
from bootstrap.sandbox.windows_host.agents.pod_network import network_problem
from bootstrap.sandbox.windows_host.agents.runtime import (
    CONTAINERD_PIPE,
    CRI_DOCKERD_PIPE,
    DOCKER_PIPE,
    RuntimeView,
)
from tests.sandbox.windows_host.fake_machine import FakeMachine, Running, eventually

DAEMON_JSON = r"C:\ProgramData\docker\config\daemon.json"
DOCKERD = [r"C:\Program Files\docker\dockerd.exe", "--run-service", "--config-file", DAEMON_JSON]
ADAPTER = [r"C:\k\cri-dockerd.exe", "--network-plugin=cni", r"--cni-conf-dir=C:\k\cni\config"]
KUBELET_FILE = b"""
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupsPerQOS: false
enforceNodeAllocatable: []
resolvConf: ''
providerID: aws:///z/i-1
"""


def with_docker(version: str = "28.5.2") -> FakeMachine:
    machine = FakeMachine(version=version)
    view = RuntimeView(name="docker", version=version, pipe=DOCKER_PIPE, has_cri=False, cni_api=1)
    machine.listen(DOCKER_PIPE, view)
    return machine


def dockerd_with(content: bytes, *more: str, version: str = "20.10.23") -> Running:
    machine = FakeMachine(version=version)
    machine.write(DAEMON_JSON, content)
    return Running(machine, dockerd.run, [*DOCKERD, *more])


def test_dockerd_opens_its_pipe_and_closes_it_when_it_stops() -> None:
    machine = FakeMachine(version="20.10.23")
    machine.write(DAEMON_JSON, b'{"bridge": "none", "log-opts": {"max-size": "50m"}}')
    running = Running(machine, dockerd.run, DOCKERD)
    eventually(lambda: machine.listening(DOCKER_PIPE))
    assert machine.listening(DOCKER_PIPE) == RuntimeView(
        name="docker", version="20.10.23", pipe=DOCKER_PIPE, has_cri=False, cni_api=1
    )
    assert running.stopped() == 0
    assert machine.listening(DOCKER_PIPE) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"iptables": false}', "don't match any configuration option: iptables"),
        (b'{"data_root": "x"}', "don't match any configuration option: data_root"),
        (b'{"proxies": {}}', "don't match any configuration option: proxies"),
        (b'{"log-opts": {"max-file": 5}}', "cannot unmarshal"),
        (b"\xef\xbb\xbf{}", "invalid character"),
        (b"{", "invalid character"),
    ],
)
def test_dockerd_ends_for_a_file_that_it_does_not_understand(content: bytes, words: str) -> None:
    running = dockerd_with(content)
    assert running.ended() == 1
    assert words in running.log


def test_dockerd_takes_no_option_twice_and_no_flag_that_it_lacks() -> None:
    twice = dockerd_with(b'{"data-root": "D"}', "--data-root=E")
    assert twice.ended() == 1
    assert "both as a flag and in the configuration file: data-root" in twice.log
    unknown = dockerd_with(b"{}", "--network-plugin=cni")
    assert unknown.ended() == 1
    assert "unknown flag: --network-plugin" in unknown.log


def test_adapter_ends_without_docker_or_with_one_that_is_too_old() -> None:
    alone = Running(FakeMachine(), cri_dockerd.run, ADAPTER)
    assert alone.ended() == 1
    assert "docker daemon is not running" in alone.log
    assert Running(with_docker("20.10.23"), cri_dockerd.run, ADAPTER).ended() == 1


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--run-service", "unknown flag: --run-service"),
        ("--network-plugin=flannel", "not found"),
        ("--streaming-bind-addr=localhost", "Could not parse"),
    ],
)
def test_adapter_ends_for_a_flag_that_it_does_not_take(flag: str, words: str) -> None:
    running = Running(with_docker(), cri_dockerd.run, [*ADAPTER, flag])
    assert running.ended() == 1
    assert words in running.log


def test_adapter_is_a_cri_with_dockers_version_and_schema() -> None:
    machine = with_docker()
    running = Running(machine, cri_dockerd.run, ADAPTER)
    eventually(lambda: machine.listening(CRI_DOCKERD_PIPE))
    view = machine.listening(CRI_DOCKERD_PIPE)
    assert view is not None
    assert (view.name, view.version, view.has_cri, view.cni_api) == ("docker", "28.5.2", True, 1)
    assert running.stopped() == 0


def kubelet(minor: int, *flags: str) -> KubeletSettings:
    return settings(
        parse_kubelet_flags(flags, minor),
        KUBELET_FILE,
        minor=minor,
        computer_name="X",
        log=lambda _: None,
    )


def test_kubelet_up_to_1_23_speaks_with_docker_by_itself() -> None:
    found = kubelet(23, "--network-plugin=cni", r"--cni-conf-dir=C:\k\cni\config")
    assert found.is_dockershim
    assert (found.endpoint, found.cni_conf_dir) == (
        "npipe:////./pipe/docker_engine",
        r"C:\k\cni\config",
    )


@pytest.mark.parametrize(
    ("minor", "provider_id", "resolver"),
    [(18, "", "/etc/resolv.conf"), (19, "aws:///z/i-1", "/etc/resolv.conf")]
    + [(23, "aws:///z/i-1", "")],
)
def test_old_kubelet_leaves_out_what_its_file_has_no_field_for(
    minor: int, provider_id: str, resolver: str
) -> None:
    found = kubelet(minor)
    assert (found.provider_id, found.resolv_conf) == (provider_id, resolver)
    assert kubelet(minor, "--resolv-conf=").resolv_conf == ""


def conf(api_version: int | None) -> bytes:
    delegate = {"type": "win-overlay"} | ({"apiVersion": api_version} if api_version else {})
    return json.dumps({"type": "flannel", "delegate": delegate}).encode()


@pytest.mark.parametrize(
    ("is_docker", "api_version", "is_fine"),
    [(True, 1, True), (True, None, True), (True, 2, False), (False, 2, True), (False, 1, False)],
)
def test_pod_gets_its_network_only_with_the_schema_of_its_runtime(
    is_docker: bool, api_version: int | None, is_fine: bool
) -> None:
    folder = r"C:\k\cni\config"
    machine = with_docker("20.10.23")
    machine.write(rf"{folder}\10-flannel.conf", conf(api_version))
    found = kubelet(23, "--network-plugin=cni", f"--cni-conf-dir={folder}")
    if not is_docker:
        machine.listen(
            CONTAINERD_PIPE,
            RuntimeView(name="containerd", pipe=CONTAINERD_PIPE, conf_dir=folder),
        )
        found = kubelet(
            23,
            "--container-runtime=remote",
            "--container-runtime-endpoint=npipe:////./pipe/containerd-containerd",
        )
    assert (network_problem(machine, found) == "") == is_fine


def test_kubelet_of_today_asks_the_host_for_its_resolver_by_default() -> None:
    without = KUBELET_FILE.replace(b"resolvConf: ''", b"containerRuntimeEndpoint: npipe:////./x")
    found = settings({}, without, minor=27, computer_name="X", log=lambda _: None)
    assert found.resolv_conf == "Host"


def test_pod_gets_no_sandbox_where_the_kubelet_looks_for_a_resolver_of_linux() -> None:
    assert "/etc/resolv.conf" in network_problem(with_docker(), kubelet(22))
