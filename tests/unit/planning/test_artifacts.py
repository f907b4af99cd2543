"""Which binaries are chosen, and that each one can be checked."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bootstrap.model.finding import Level
from bootstrap.model.node import Runtime
from bootstrap.model.runtimes import runtime_row, runtimes_for
from bootstrap.planning import artifacts
from bootstrap.planning.artifacts import (
    CNI_PLUGINS,
    CONTAINERD,
    DOCKER,
    FLANNEL_PLUGIN,
    FLANNELD,
    KUBERNETES,
    Artifact,
    Catalog,
)
from tests.node_cases import ADAPTER, ENTERPRISE, catalog

LENGTH = {"sha256": 64, "sha512": 128}


def of_versions(*versions: str) -> Catalog:
    """Return a catalog of Kubernetes alone."""
    return Catalog(artifacts={KUBERNETES: tuple(kubernetes(version) for version in versions)})


def kubernetes(version: str) -> Artifact:
    return Artifact(
        name=KUBERNETES,
        version=version,
        url=f"https://dl.k8s.io/v{version}/kubernetes-node-windows-amd64.tar.gz",
        algorithm="sha512",
        checksum="0" * 128,
        source="test",
    )


def test_every_artifact_that_ships_has_a_checksum_of_its_algorithm_and_a_source() -> None:
    assert "cri-dockerd" in catalog().artifacts
    everything = [item for items in catalog().artifacts.values() for item in items]
    assert {item.name for item in everything} == {
        KUBERNETES,
        CONTAINERD,
        DOCKER,
        CNI_PLUGINS,
        FLANNEL_PLUGIN,
        FLANNELD,
    }
    for item in everything:
        assert re.fullmatch(rf"[0-9a-f]{{{LENGTH[item.algorithm]}}}", item.checksum), item
        assert item.url.startswith("https://"), item
        assert item.version in item.url, item
        assert " @ " in item.source, item


def test_no_version_is_listed_twice() -> None:
    for name in catalog().artifacts:
        versions = catalog().versions(name)
        assert len(set(versions)) == len(versions)


def test_versions_are_in_the_order_of_their_numbers() -> None:
    assert of_versions("1.9.10", "1.10.0", "1.9.9").versions(KUBERNETES) == (
        "1.9.9",
        "1.9.10",
        "1.10.0",
    )


def test_known_patch_is_taken_as_it_is() -> None:
    assert artifacts.choose_kubernetes(of_versions("1.34.4", "1.34.5"), "1.34.4") == ("1.34.4", ())


def test_minor_alone_gives_its_newest_patch() -> None:
    assert artifacts.choose_kubernetes(of_versions("1.34.4", "1.34.10"), "1.34") == ("1.34.10", ())


@pytest.mark.parametrize(("wanted", "chosen"), [("1.34.7", "1.34.5"), ("1.34.1", "1.34.4")])
def test_unknown_patch_gives_the_next_older_one_else_the_oldest(wanted: str, chosen: str) -> None:
    known = of_versions("1.33.9", "1.34.4", "1.34.5", "1.34.9")
    version, (finding,) = artifacts.choose_kubernetes(known, wanted)
    assert version == chosen
    assert (finding.level, finding.name) == (Level.INFO, "KubernetesPatchSubstituted")
    assert finding.evidence == {"known": ["1.34.4", "1.34.5", "1.34.9"]}


@pytest.mark.parametrize(("wanted", "nearest"), [("1.40.0", "1.36"), ("1.12.1", "1.34")])
def test_unknown_minor_is_an_error_that_names_the_nearest(wanted: str, nearest: str) -> None:
    version, (finding,) = artifacts.choose_kubernetes(of_versions("1.34.4", "1.36.0"), wanted)
    assert version == ""
    assert (finding.level, finding.name) == (Level.ERROR, "ArtifactsKnown")
    assert nearest in str(finding.fix)
    assert f"--kubernetes-version {nearest} " in str(finding.command)


@pytest.mark.parametrize("minor", range(14, 37))
def test_every_minor_has_a_complete_set(minor: int) -> None:
    version, findings = artifacts.choose_kubernetes(catalog(), f"1.{minor}")
    assert findings == ()
    chosen = artifacts.artifact_set(catalog(), version, runtime=runtimes_for(minor)[0])
    assert chosen.kubernetes.version == version


@pytest.mark.parametrize("minor", range(14, 37))
@pytest.mark.parametrize("runtime", [Runtime.DOCKER, Runtime.DOCKER_EE])
def test_docker_of_its_row_is_taken_with_an_adapter_where_it_needs_one(
    runtime: Runtime, minor: int
) -> None:
    known = catalog().with_overrides([ADAPTER, ENTERPRISE])
    version, _ = artifacts.choose_kubernetes(known, f"1.{minor}")
    chosen = artifacts.artifact_set(known, version, runtime=runtime)
    assert chosen.runtime.version.startswith(runtime_row(runtime, minor).line)
    assert (chosen.shim is not None) == (minor >= 24)


@pytest.mark.parametrize(
    ("version", "runtime", "names"),
    [
        ("1.21.14", Runtime.DOCKER, []),
        ("1.21.14", Runtime.DOCKER_EE, ["docker-ee"]),
        ("1.25.16", Runtime.DOCKER, ["cri-dockerd"]),
        ("1.25.16", Runtime.DOCKER_EE, ["docker-ee", "cri-dockerd"]),
        ("1.34.5", Runtime.CONTAINERD, []),
    ],
)
def test_what_nobody_published_a_checksum_of_is_refused_until_the_user_gives_one(
    version: str, runtime: Runtime, names: list[str]
) -> None:
    findings = artifacts.missing(catalog(), version, runtime)
    assert [finding.target for finding in findings] == names
    assert {finding.level for finding in findings} <= {Level.ERROR}
    assert all("artifacts.overrides" in str(finding.fix) for finding in findings)
    known = catalog().with_overrides([ADAPTER, ENTERPRISE])
    assert artifacts.missing(known, version, runtime) == ()


def test_adapter_without_mounts_of_single_files_is_refused() -> None:
    known = catalog().with_overrides([replace(ADAPTER, version="0.3.16")])
    (finding,) = artifacts.missing(known, "1.25.16", Runtime.DOCKER)
    assert (finding.level, finding.target) == (Level.ERROR, "cri-dockerd")
    assert "0.3.17" in str(finding.fix)


def test_users_own_artifact_is_not_looked_for_on_the_mirror() -> None:
    mine = replace(ENTERPRISE, source=artifacts.OVERRIDE)
    known = catalog().with_overrides([mine])
    chosen = artifacts.artifact_set(
        known, "1.21.14", "https://mirror.example.com", runtime=Runtime.DOCKER_EE
    )
    assert chosen.runtime.url == mine.url
    assert chosen.kubernetes.url.startswith("https://mirror.example.com/")


def test_docker_ee_is_not_looked_for_where_it_once_was() -> None:
    (finding,) = artifacts.missing(catalog(), "1.21.14", Runtime.DOCKER_EE)
    assert "DockerMsftProvider" in finding.message


def test_version_that_the_user_names_wins_over_the_line_and_everything_newer() -> None:
    mine = replace(ENTERPRISE, name=DOCKER, version="19.03.15")
    known = catalog().with_overrides([mine])
    assert artifacts.artifact_set(known, "1.21.14", runtime=Runtime.DOCKER).runtime == mine


def test_own_kubernetes_stands_beside_those_that_are_known() -> None:
    mine = kubernetes("1.34.99")
    known = catalog().with_overrides([mine])
    assert artifacts.choose_kubernetes(known, "1.34.99") == ("1.34.99", ())
    assert known.get(KUBERNETES, "1.34.5") == catalog().get(KUBERNETES, "1.34.5")


def test_newest_containerd_of_its_major_is_taken() -> None:
    old = artifacts.artifact_set(catalog(), "1.27.16").runtime
    new = artifacts.artifact_set(catalog(), "1.34.5").runtime
    versions = catalog().versions(CONTAINERD)
    assert (old.version, new.version) == (
        [version for version in versions if version.startswith("1.7.")][-1],
        versions[-1],
    )


@pytest.mark.parametrize(
    "mirror", ["https://mirror.example.com/x", "https://mirror.example.com/x/"]
)
def test_mirror_takes_the_place_of_the_scheme_and_keeps_host_and_path(mirror: str) -> None:
    chosen = artifacts.artifact_set(catalog(), "1.34.5", mirror)
    assert chosen.kubernetes.url == (
        "https://mirror.example.com/x/dl.k8s.io/v1.34.5/kubernetes-node-windows-amd64.tar.gz"
    )
    assert chosen.kubernetes.checksum == catalog().get(KUBERNETES, "1.34.5").checksum


def test_artifact_that_is_not_listed_is_not_found() -> None:
    with pytest.raises(KeyError, match="1.34.99"):
        catalog().get(KUBERNETES, "1.34.99")
