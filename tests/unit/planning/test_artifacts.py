"""Which binaries are chosen, and that each one can be checked."""

from __future__ import annotations

import re

import pytest

from bootstrap.model.finding import Level
from bootstrap.planning import artifacts
from bootstrap.planning.artifacts import (
    CNI_PLUGINS,
    CONTAINERD,
    FLANNEL_PLUGIN,
    FLANNELD,
    KUBERNETES,
    Artifact,
    Catalog,
)
from tests.node_cases import catalog

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
    everything = [item for items in catalog().artifacts.values() for item in items]
    assert {item.name for item in everything} == {
        KUBERNETES,
        CONTAINERD,
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
    chosen = artifacts.artifact_set(catalog(), version)
    assert chosen.kubernetes.version == version


def test_newest_containerd_of_its_major_is_taken() -> None:
    old = artifacts.artifact_set(catalog(), "1.27.16").containerd
    new = artifacts.artifact_set(catalog(), "1.34.5").containerd
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
