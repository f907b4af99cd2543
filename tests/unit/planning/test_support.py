"""Clusters that Windows nodes cannot join are refused by name, with reason and remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bootstrap.model.cluster import Cni, StoreFacts
from bootstrap.model.finding import Finding, Level
from bootstrap.model.node import Runtime, WindowsRelease
from bootstrap.model.registries import Registries, RegistryMirror
from bootstrap.model.runtimes import ROWS, Link, combinations, runtime_row
from bootstrap.model.windows import CHANGES, NEWEST_MINOR, RELEASES
from bootstrap.planning.support import (
    mirror_refusals,
    refusals,
    releases_for,
    runtime_refusals,
)
from tests.kops_cases import case

GOOD = case("modern-public-flannel").facts
WS2019, WS2022, WS2025 = WindowsRelease


def only(store: StoreFacts, windows: WindowsRelease = WS2019) -> Finding:
    (finding,) = refusals(store, windows=windows)
    return finding


@pytest.mark.parametrize("windows", WindowsRelease)
def test_flannel_vxlan_on_aws_is_served(windows: WindowsRelease) -> None:
    assert refusals(GOOD, windows=windows) == ()


@pytest.mark.parametrize(
    ("change", "name", "reason", "remedy"),
    [
        ({"cloud_provider": "gce"}, "CloudIsAws", "runs on gce", "cluster on AWS"),
        ({"cloud_provider": ""}, "CloudIsAws", "an unknown cloud", "cluster on AWS"),
        ({"is_ipv6": True}, "ClusterIsIpv4", "IPv4 only", "IPv4 cluster"),
        ({"kube_proxy_enabled": False}, "KubeProxyEnabled", "switched off", "with kube-proxy"),
        ({"cni": Cni(name="cilium")}, "CniServesWindows", "no agent for Windows", "flannel"),
        ({"cni": Cni(name="calico", backend="ipip")}, "CniServesWindows", "Calico", "flannel"),
        ({"cni": Cni(name="kubenet")}, "CniServesWindows", "VPC's tables", "flannel"),
        ({"cni": Cni(name="amazonvpc")}, "CniServesWindows", "EKS only", "flannel"),
        ({"cni": Cni(name="romana")}, "CniServesWindows", "is romana", "flannel"),
        ({"cni": Cni(name="")}, "CniServesWindows", "not named in the spec", "flannel"),
        ({"cni": Cni(name="flannel", backend="udp")}, "FlannelBackend", "is udp", "to vxlan"),
    ],
)
def test_cluster_that_cannot_serve_is_refused_by_name(
    change: dict[str, Any], name: str, reason: str, remedy: str
) -> None:
    finding = only(replace(GOOD, **change))
    assert (finding.level, finding.name, finding.target) == (Level.ERROR, name, GOOD.name)
    assert reason in finding.message
    assert remedy in (finding.fix or "")


@pytest.mark.parametrize("name", ["cni", "external"])
def test_pod_network_of_the_users_own_is_left_to_preflight(name: str) -> None:
    assert refusals(replace(GOOD, cni=Cni(name=name))) == ()


def test_every_reason_is_told_at_once() -> None:
    store = replace(GOOD, cloud_provider="gce", is_ipv6=True, kube_proxy_enabled=False)
    assert [item.name for item in refusals(store)] == [
        "CloudIsAws",
        "ClusterIsIpv4",
        "KubeProxyEnabled",
    ]


@pytest.mark.parametrize(
    ("version", "windows", "command"),
    [
        ("1.13.12", WS2019, "kops upgrade cluster play.example.net"),
        ("1.22.17", WS2022, "bootstrap add-node --windows 2019 ..."),
        ("1.31.9", WS2025, "bootstrap add-node --windows 2022 ..."),
    ],
)
def test_kubernetes_too_old_for_the_release_is_refused(
    version: str, windows: WindowsRelease, command: str
) -> None:
    finding = only(replace(GOOD, kubernetes_version=version), windows)
    assert (finding.level, finding.name) == (Level.ERROR, "KubernetesServesWindows")
    assert f"{version} is too old for Windows Server {windows}" in finding.message
    assert finding.command == command


@pytest.mark.parametrize(
    ("version", "windows"), [("1.14.0", WS2019), ("1.23.0", WS2022), ("1.32.0", WS2025)]
)
def test_oldest_kubernetes_of_a_release_is_served(version: str, windows: WindowsRelease) -> None:
    assert refusals(replace(GOOD, kubernetes_version=version), windows=windows) == ()


@pytest.mark.parametrize("windows", WindowsRelease)
def test_kubernetes_that_nobody_has_seen_is_refused(windows: WindowsRelease) -> None:
    finding = only(replace(GOOD, kubernetes_version="1.38.0"), windows)
    assert (finding.level, finding.name) == (Level.ERROR, "KubernetesServesWindows")
    assert "too new" in finding.message


def test_windows_2019_is_only_warned_about_where_documentation_has_dropped_it() -> None:
    finding = only(replace(GOOD, kubernetes_version="1.35.0"))
    assert (finding.level, finding.name) == (Level.WARNING, "WindowsReleaseSupported")
    assert finding.command == "bootstrap add-node --windows 2022 ..."
    assert refusals(replace(GOOD, kubernetes_version="1.35.0"), windows=WS2022) == ()


@pytest.mark.parametrize(
    ("minor", "releases"),
    [(13, ()), (14, (WS2019,)), (23, (WS2019, WS2022)), (34, tuple(WindowsRelease))],
)
def test_releases_of_a_minor_are_those_documented(
    minor: int, releases: tuple[WindowsRelease, ...]
) -> None:
    assert releases_for(minor) == releases


def test_2019_is_not_among_the_releases_of_1_35() -> None:
    assert releases_for(35) == (WS2022, WS2025)


@pytest.mark.parametrize(
    ("runtime", "version", "better"),
    [(Runtime.CONTAINERD, "1.14.10", "docker"), (Runtime.CONTAINERD, "1.19.16", "docker")],
)
def test_runtime_of_another_time_is_refused_with_the_nearest_combination(
    runtime: Runtime, version: str, better: str
) -> None:
    (finding,) = runtime_refusals(runtime, version)
    assert (finding.level, finding.name) == (Level.ERROR, "RuntimeServesKubernetes")
    assert f"{better} with Kubernetes {version}" in (finding.fix or "")


@pytest.mark.parametrize("minor", range(14, NEWEST_MINOR + 1))
def test_each_minor_has_at_most_one_row_of_a_runtime_and_docker_always(minor: int) -> None:
    for runtime in (Runtime.CONTAINERD, Runtime.DOCKER, Runtime.DOCKER_EE):
        rows = [row for row in ROWS if row.runtime is runtime and row.first <= minor <= row.last]
        assert len(rows) == (0 if runtime is Runtime.CONTAINERD and minor < 20 else 1)
    link = runtime_row(Runtime.DOCKER, minor).link
    assert link is (Link.DOCKERSHIM if minor <= 23 else Link.CRI_DOCKERD)


@pytest.mark.parametrize("minor", [13, NEWEST_MINOR + 1])
def test_outside_of_the_table_no_runtime_serves(minor: int) -> None:
    with pytest.raises(KeyError):
        runtime_row(Runtime.DOCKER, minor)
    assert runtime_refusals(Runtime.DOCKER, f"1.{minor}.0") == ()


def test_only_cri_has_the_schema_of_hcn() -> None:
    assert {(row.link, row.cni_api) for row in ROWS} == {
        (Link.CRI, 2),
        (Link.DOCKERSHIM, 1),
        (Link.CRI_DOCKERD, 1),
    }


def test_every_row_has_a_source() -> None:
    assert all(item.source for item in (*ROWS, *CHANGES, *RELEASES.values()))


def test_combinations_are_those_that_the_rules_let_through() -> None:
    found = list(combinations())
    assert len(found) == len(set(found))
    for item in found:
        store = replace(GOOD, kubernetes_version=f"1.{item.minor}.0")
        levels = {finding.level for finding in refusals(store, windows=item.windows)}
        assert Level.ERROR not in levels
        assert item.is_documented == (levels == set())
        assert runtime_refusals(item.row.runtime, store.kubernetes_version) == ()


@pytest.mark.parametrize(
    ("runtime", "registry", "is_refused"),
    [
        (Runtime.CONTAINERD, "quay.io", False),
        (Runtime.DOCKER, "quay.io", True),
        (Runtime.DOCKER_EE, "quay.io", True),
        (Runtime.DOCKER, "docker.io", False),
        # Its own registry, named for the sake of the CA.
        (Runtime.DOCKER, "mirror.example.com:5000", False),
    ],
)
def test_mirror_that_docker_would_go_around_is_refused(
    runtime: Runtime, registry: str, is_refused: bool
) -> None:
    mirror = RegistryMirror(registry=registry, urls=("https://mirror.example.com:5000",))
    findings = mirror_refusals(runtime, Registries(mirrors=(mirror,)))
    assert [(item.name, item.target) for item in findings] == (
        [("RegistryMirrorsServed", registry)] if is_refused else []
    )
