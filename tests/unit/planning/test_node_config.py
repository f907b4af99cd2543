"""What a node is given, for each Kubernetes that decides something differently."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.model.cluster import ClusterFacts, NameResolution
from bootstrap.model.node import WindowsRelease
from bootstrap.model.runtimes import Link
from bootstrap.model.secret import Secret
from bootstrap.planning import hostvars, node_config, node_runtime
from bootstrap.planning.node_config import Inputs, NodeConfig
from bootstrap.resources import data_path
from bootstrap.sandbox.windows_host.agents import kubelet_config
from bootstrap.sandbox.windows_host.agents.kubelet_flags import parse_kubelet_flags
from tests.node_cases import BEHIND_PROXY, CASES, expected, inputs, shown

WS2019, WS2022, WS2025 = WindowsRelease.WS2019, WindowsRelease.WS2022, WindowsRelease.WS2025


def built(version: str = "1.34.5", windows: WindowsRelease = WS2019, **change: Any) -> NodeConfig:
    return node_config.build(inputs("modern-public-flannel", version, windows, **change))


def content(config: NodeConfig, path: str) -> str:
    """Return what a file of the configuration holds, also a secret one."""
    requests: list[Any] = [config.runtime_files, config.kubelet_files]
    found = next(f for request in requests for f in request["files"] if f["path"] == path)
    text = found["content"]
    return text.reveal() if isinstance(text, Secret) else str(text)


def command_line(request: Any) -> str:
    return str(request["services"][0]["binaryPath"])


@pytest.mark.parametrize("name", CASES)
def test_configuration_is_that_of_its_case(name: str) -> None:
    assert shown(node_config.build(CASES[name]())) == expected(name)


@pytest.mark.parametrize("name", CASES)
def test_kubelet_of_that_minor_takes_flags_and_file(name: str) -> None:
    given = CASES[name]()
    config = node_config.build(given)
    _, _, line = command_line(config.kubelet_services).partition(r"C:\k\kubelet.exe ")
    log: list[str] = []
    settings = kubelet_config.settings(
        parse_kubelet_flags(line.split(), given.minor),
        content(config, r"C:\k\kubelet.conf").encode(),
        minor=given.minor,
        computer_name="EC2AMAZ-1",
        log=log.append,
    )
    assert settings.name == given.placed.node_name
    assert settings.provider_id == given.placed.provider_id
    assert (settings.resolv_conf, settings.is_dockershim) == (
        "",
        given.row.link is Link.DOCKERSHIM,
    )
    assert {taint["key"] for taint in settings.taints} >= {"os", "bootstrap.node/not-ready"}
    assert log == []


@pytest.mark.parametrize("minor", [20, 21, 22])
def test_taints_are_a_flag_where_the_file_has_no_field_for_them(minor: int) -> None:
    # k8s.io/kubelet 0.22 ignores the field without an error; the node would register untainted.
    config = built(_any_patch(minor))
    assert "registerWithTaints" not in content(config, r"C:\k\kubelet.conf")
    assert (
        "--register-with-taints=os=windows:NoSchedule,bootstrap.node/not-ready=:NoSchedule"
        in command_line(config.kubelet_services)
    )


@pytest.mark.parametrize("minor", [23, 34, 36])
def test_taints_are_in_the_file_where_it_knows_them(minor: int) -> None:
    config = built(_any_patch(minor))
    document = yaml.safe_load(content(config, r"C:\k\kubelet.conf"))
    assert [taint["key"] for taint in document["registerWithTaints"]] == [
        "os",
        "bootstrap.node/not-ready",
    ]
    assert "--register-with-taints" not in command_line(config.kubelet_services)


def _any_patch(minor: int) -> str:
    known = {20: "1.20.15", 21: "1.21.14", 22: "1.22.17", 23: "1.23.17"}
    return known.get(minor, f"1.{minor}.1")


@pytest.mark.parametrize(
    ("version", "major"), [("1.22.17", 1), ("1.30.14", 1), ("1.31.0", 2), ("1.36.1", 2)]
)
def test_containerd_and_its_configuration_are_of_one_major(version: str, major: int) -> None:
    given = inputs("modern-public-flannel", version, WS2019)
    assert given.chosen.runtime.version.startswith(f"{major}.")
    written = content(node_config.build(given), node_runtime.CONTAINERD_CONFIG)
    assert written.startswith(f"version = {major + 1}\n")


@pytest.mark.parametrize(
    ("version", "windows", "tag"),
    [
        ("1.32.0", WS2019, "3.9"),
        ("1.32.0", WS2022, "3.9"),
        ("1.32.0", WS2025, "3.10.1-3"),
        ("1.34.5", WS2019, "3.10.1-3"),
    ],
)
def test_pause_image_has_the_hosts_windows(version: str, windows: WindowsRelease, tag: str) -> None:
    config = built(version, windows)
    (image,) = shown(config)["images"]["images"]  # type: ignore[index]
    assert image.endswith(f"pause:{tag}")
    assert f"'{image}'" in content(config, node_runtime.CONTAINERD_CONFIG)


def test_template_has_the_line_that_the_node_fills_in() -> None:
    lines = content(built(), node_config.PROXY_TEMPLATE).splitlines()
    assert [line for line in lines if line.lstrip().startswith("sourceVip:")] == ["  sourceVip: ''"]


def test_hosts_file_is_left_alone_where_dns_knows_the_api() -> None:
    assert built().host["hosts"] == []


@pytest.mark.parametrize("resolution", [NameResolution.GOSSIP, NameResolution.NONE])
def test_hosts_file_names_the_api_where_no_dns_does(resolution: NameResolution) -> None:
    given = inputs("modern-public-flannel", "1.34.5", WS2019)
    facts = with_api(given.facts, resolution, ("172.20.1.5", "172.20.2.5"))
    config = node_config.build(replace(given, facts=facts))
    assert config.host["hosts"] == [
        {"address": "172.20.1.5", "name": "api.internal.play.example.net"},
        {"address": "172.20.2.5", "name": "api.internal.play.example.net"},
    ]


def with_api(
    facts: ClusterFacts, resolution: NameResolution, addresses: tuple[str, ...]
) -> ClusterFacts:
    return replace(facts, api=replace(facts.api, resolution=resolution, addresses=addresses))


def test_only_files_with_tokens_are_secret_and_no_token_shows() -> None:
    request: Any = built().kubelet_files
    secret = {file["path"] for file in request["files"] if file["secret"]}
    assert secret == {
        r"C:\etc\kubernetes\bootstrap-kubelet.conf",
        r"C:\etc\kubernetes\flannel.kubeconfig",
        r"C:\etc\kubernetes\kube-proxy.kubeconfig",
    }
    assert "token-of" not in repr(built())


def test_each_component_has_a_token_of_its_own() -> None:
    config = built()
    tokens = {
        name: yaml.safe_load(content(config, rf"C:\etc\kubernetes\{name}"))["users"][0]["user"]
        for name in ("bootstrap-kubelet.conf", "flannel.kubeconfig", "kube-proxy.kubeconfig")
    }
    assert tokens == {
        "bootstrap-kubelet.conf": {"token": "token-of-bootstrap"},
        "flannel.kubeconfig": {"token": "token-of-flannel"},
        "kube-proxy.kubeconfig": {"token": "token-of-kube-proxy"},
    }


@pytest.mark.parametrize("name", CASES)
def test_services_depend_on_what_runs_before_them(name: str) -> None:
    config: Any = node_config.build(CASES[name]())
    requests = ("runtime_services", "kubelet_services", "flannel_services", "proxy_services")
    services = [item for request in requests for item in getattr(config, request)["services"]]
    before: list[str] = []
    for service in services:
        assert service["dependencies"] == before[-1:], service["name"]
        before.append(service["name"])
    runtime = {
        "containerd": ["containerd"],
        "docker": ["docker"],
        "cri_dockerd": ["docker", "cri-dockerd"],
    }[config.runtime_tasks]
    assert before == [*runtime, "kubelet", "flanneld", "kube-proxy"]


def test_files_of_programs_have_no_byte_order_mark_and_no_foreign_letter() -> None:
    # Set-NodeFile and Set-SourceVip write what flanneld and containerd 2 refuse with such a mark.
    for name in CASES:
        text = json.dumps(shown(node_config.build(CASES[name]())), ensure_ascii=False)
        assert text.isascii(), name


def test_gateway_is_the_router_of_the_subnet() -> None:
    given: Inputs = inputs("modern-public-flannel", "1.34.5", WS2019)
    placed = replace(given.placed, subnet_cidr="172.20.32.0/19")
    assert placed.gateway == "172.20.32.1"


def test_roles_are_given_exactly_the_variables_that_they_declare() -> None:
    variables = hostvars.host_variables(built())
    declared = {
        option
        for path in data_path("playbooks").glob("roles/*/meta/argument_specs.yml")
        for option, spec in _options(path).items()
        if spec.get("required")
    }
    assert set(variables) == declared


def _options(path: Path) -> dict[str, dict[str, Any]]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = document["argument_specs"]["main"]["options"]
    return found


def test_containerd_asks_mirrors_with_their_ca_before_the_registry() -> None:
    config = node_config.build(CASES["1.28-registries"]())
    hub = tomllib.loads(content(config, r"C:\k\containerd\certs.d\docker.io\hosts.toml"))
    ca = r"C:\k\containerd\registry-ca.crt"
    assert hub == {
        "server": "https://registry-1.docker.io",
        "host": {
            "https://mirror.example.com:5000/hub": {"capabilities": ["pull", "resolve"], "ca": ca}
        },
    }
    own = r"C:\k\containerd\certs.d\reg.example.com_5001_\hosts.toml"
    assert tomllib.loads(content(config, own))["server"] == "https://reg.example.com:5001"
    assert content(config, ca) == BEHIND_PROXY.ca_pem


def test_docker_gets_the_mirrors_of_its_hub_and_the_ca_of_each() -> None:
    config = node_config.build(CASES["1.28-docker-registries"]())
    daemon = json.loads(content(config, node_runtime.DAEMON_JSON))
    assert daemon["registry-mirrors"] == ["https://mirror.example.com:5000/hub"]
    assert "insecure-registries" not in daemon
    for folder in ("mirror.example.com5000", "reg.example.com5001"):
        path = rf"C:\ProgramData\docker\certs.d\{folder}\ca.crt"
        assert content(config, path) == BEHIND_PROXY.ca_pem


@pytest.mark.parametrize("name", ["1.28-registries", "1.28-docker-registries"])
def test_runtime_behind_a_proxy_reaches_the_cluster_without_it(name: str) -> None:
    given = CASES[name]()
    config: Any = node_config.build(given)
    environment = config.runtime_services["services"][0]["environment"]
    assert environment["HTTPS_PROXY"] == "http://proxy.example.com:3128"
    direct = environment["NO_PROXY"].split(",")
    network = given.facts.network
    assert {network.pod_cidr, network.service_cidr, network.vpc_cidr} <= set(direct)
    assert {"169.254.169.254", ".cluster.local", ".example.com"} <= set(direct)
    others = [*config.kubelet_services["services"], *config.runtime_services["services"][1:]]
    assert all("HTTPS_PROXY" not in service["environment"] for service in others)


def test_images_are_pulled_by_ctr_as_containerd_would() -> None:
    images = node_config.build(CASES["1.28-registries"]()).images
    assert images["pull"][-2:] == ["--hosts-dir", r"C:\k\containerd\certs.d"]  # type: ignore[index]
    assert images["environment"]["HTTPS_PROXY"]  # type: ignore[index]
