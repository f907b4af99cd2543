"""What is chosen for a pool, and what its hash does and does not depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bootstrap.model.cluster import ClusterFacts, NameResolution
from bootstrap.model.finding import Finding, Level
from bootstrap.model.node import ImageFacts, NodeRequest, PoolSpec, Runtime, Taint, WindowsRelease
from bootstrap.model.registries import DIRECT, Registries, RegistryMirror
from bootstrap.planning import choosing
from bootstrap.planning.choosing import Payload
from bootstrap.planning.desired import Choices
from tests.node_cases import BEHIND_PROXY, catalog, facts

IMAGE = ImageFacts(
    image_id="ami-1",
    name="Windows_Server-2019",
    release=WindowsRelease.WS2019,
    root_device="/dev/sda1",
    root_size_gb=30,
)
CLUSTER = facts("modern-public-flannel")


def chosen(
    *,
    cluster: ClusterFacts = CLUSTER,
    server: str = "v1.34.5",
    registries: Registries = DIRECT,
    **pool: Any,
) -> tuple[Choices, tuple[Finding, ...]]:
    request = NodeRequest(pool=PoolSpec(name="games", **pool))
    payload = Payload(
        catalog=catalog(), user_data="<powershell></powershell>", registries=registries
    )
    return choosing.choose(request, cluster, IMAGE, server, payload)


def spec_hash(**change: Any) -> str:
    return chosen(**change)[0].spec_hash


def test_nodes_get_the_version_of_the_store() -> None:
    choices, findings = chosen()
    assert (choices.kubernetes_version, choices.runtime, findings) == (
        "1.34.5",
        Runtime.CONTAINERD,
        (),
    )


def test_nodes_follow_the_api_server_where_the_store_is_ahead_of_it() -> None:
    choices, (finding,) = chosen(server="v1.33.2")
    assert choices.kubernetes_version.startswith("1.33.")
    assert (finding.level, finding.name) == (Level.WARNING, "NodesFollowApiServer")


def test_version_that_was_asked_for_wins() -> None:
    choices, _ = chosen(kubernetes_version="1.33.5", server="v1.36.3")
    assert choices.kubernetes_version == "1.33.5"


def test_unknown_minor_is_an_error_and_has_no_hash() -> None:
    choices, (finding,) = chosen(kubernetes_version="1.99")
    assert (finding.name, choices.spec_hash) == ("ArtifactsKnown", "")


@pytest.mark.parametrize(
    ("version", "runtime"),
    [("1.14.10", Runtime.DOCKER), ("1.20.15", Runtime.CONTAINERD), ("1.36.1", Runtime.CONTAINERD)],
)
def test_auto_is_containerd_wherever_it_serves(version: str, runtime: Runtime) -> None:
    choices, findings = chosen(kubernetes_version=version)
    assert (choices.runtime, findings) == (runtime, ())


def test_runtime_that_does_not_serve_the_version_is_refused_with_the_nearest() -> None:
    choices, (finding,) = chosen(kubernetes_version="1.18.20", runtime=Runtime.CONTAINERD)
    assert (finding.level, finding.name) == (Level.ERROR, "RuntimeServesKubernetes")
    assert finding.command == "bootstrap add-node --runtime docker ..."
    assert choices.spec_hash == ""


def test_runtime_whose_checksum_nobody_published_is_refused_by_name() -> None:
    choices, findings = chosen(runtime=Runtime.DOCKER_EE)
    assert [(finding.name, finding.target) for finding in findings] == [
        ("ArtifactsKnown", "docker-ee"),
        ("ArtifactsKnown", "cri-dockerd"),
    ]
    assert choices.spec_hash == ""


def test_runtime_is_part_of_the_hash() -> None:
    version = {"kubernetes_version": "1.21.14"}
    assert spec_hash(**version, runtime=Runtime.DOCKER) != spec_hash(**version)


def test_hash_is_16_hex_digits_and_the_same_every_time() -> None:
    assert spec_hash() == spec_hash()
    assert len(spec_hash()) == 16
    assert int(spec_hash(), 16) >= 0


@pytest.mark.parametrize(
    "change",
    [
        {"kubernetes_version": "1.34.4"},
        {"windows": WindowsRelease.WS2022},
        {"pre_pull": ("mcr.microsoft.com/windows/nanoserver:1809",)},
        {"taints": (Taint(key="team", value="game"),)},
        {"os_taint": False},
        {"registries": BEHIND_PROXY},
        {"cluster": replace(CLUSTER, ca_bundle="another CA")},
        {"cluster": replace(CLUSTER, api=replace(CLUSTER.api, host="api.internal.other"))},
        {
            "cluster": replace(
                CLUSTER, network=replace(CLUSTER.network, dns_service_ip="100.64.0.9")
            )
        },
    ],
    ids=str,
)
def test_hash_changes_with_what_is_on_the_node(change: dict[str, Any]) -> None:
    assert spec_hash(**change) != spec_hash()


@pytest.mark.parametrize(
    "change",
    [{"count": 5}, {"labels": {"team": "game"}}, {"instance_type": "c5.xlarge"}],
    ids=str,
)
def test_hash_stays_with_what_is_not_on_the_node(change: dict[str, Any]) -> None:
    assert spec_hash(**change) == spec_hash()


def test_hash_stays_when_the_api_server_has_other_addresses() -> None:
    def with_addresses(*addresses: str) -> ClusterFacts:
        api = replace(CLUSTER.api, resolution=NameResolution.GOSSIP, addresses=addresses)
        return replace(CLUSTER, api=api)

    assert spec_hash(cluster=with_addresses("172.20.0.5")) == spec_hash(
        cluster=with_addresses("172.20.0.9", "172.20.64.9")
    )
    assert spec_hash(cluster=with_addresses("172.20.0.5")) != spec_hash()


def test_mirror_that_the_runtime_cannot_use_is_refused() -> None:
    mirrors = (RegistryMirror(registry="quay.io", urls=("https://mirror.example.com",)),)
    choices, (finding,) = chosen(
        kubernetes_version="1.21.14",
        runtime=Runtime.DOCKER,
        registries=Registries(mirrors=mirrors),
    )
    assert (finding.name, choices.spec_hash) == ("RegistryMirrorsServed", "")
