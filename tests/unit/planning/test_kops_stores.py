"""Every store that a real kops wrote gives the facts that its files say."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bootstrap.adapters.state_store import S3StateStore
from bootstrap.model.cluster import (
    ClusterName,
    Cni,
    Era,
    NameResolution,
    NodeNaming,
    StoreFacts,
)
from bootstrap.model.node import WindowsRelease
from bootstrap.planning import kops_spec, support
from tests.fakes.state_store import FolderS3
from tests.kops_cases import BUCKET, DEMO_CASE, DEMO_STORE, FIXTURES, Case, case, cases


def folder_of(item: Case) -> Path:
    """Return the store's folder, or skip the test."""
    folder = FIXTURES / "stores" / item.store
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; BOOTSTRAP_FIXTURES names the folder of kops fixtures")
    return folder


def read(folder: Path, name: str) -> tuple[StoreFacts, list[str]]:
    client = FolderS3(folder / "s3")
    return S3StateStore(client, f"s3://{BUCKET}").read(ClusterName(name)), client.asked


def fingerprints(bundle: str) -> tuple[str, ...]:
    blocks = [f"{part}-----END CERTIFICATE-----\n" for part in bundle.split("-----END")[:-1]]
    blocks = [block[block.index("-----BEGIN") :] for block in blocks]
    return tuple(
        hashlib.sha256(ssl.PEM_cert_to_DER_cert(block)).hexdigest().upper() for block in blocks
    )


@pytest.fixture(params=cases(), ids=lambda item: item.store)
def kops_case(request: pytest.FixtureRequest) -> Case:
    item: Case = request.param
    return item


def test_every_fixture_store_has_a_case() -> None:
    stores = FIXTURES / "stores"
    if not stores.is_dir():
        pytest.skip(f"{stores} is not there")
    assert {item.store for item in cases()} == {path.name for path in stores.iterdir()}


def test_store_gives_the_facts_of_its_files(kops_case: Case) -> None:
    facts, _ = read(folder_of(kops_case), kops_case.facts.name)
    assert asdict(replace(facts, ca_bundle="")) == asdict(kops_case.facts)
    assert fingerprints(facts.ca_bundle) == kops_case.ca_sha256


def test_demo_store_gives_the_facts_of_the_store_it_was_cut_from() -> None:
    wanted = case(DEMO_CASE)
    facts, _ = read(DEMO_STORE, wanted.facts.name)
    assert asdict(replace(facts, ca_bundle="")) == asdict(wanted.facts)
    assert fingerprints(facts.ca_bundle) == wanted.ca_sha256


def test_private_keys_and_secrets_are_never_asked_for(kops_case: Case) -> None:
    _, asked = read(folder_of(kops_case), kops_case.facts.name)
    assert asked
    assert not [key for key in asked if "/pki/private/" in key or "/secrets/" in key]


def test_no_private_material_is_in_the_facts(kops_case: Case) -> None:
    facts, _ = read(folder_of(kops_case), kops_case.facts.name)
    assert "PRIVATE KEY" not in repr(facts)


def test_store_and_aws_make_the_cluster(kops_case: Case) -> None:
    wanted = kops_case.cluster_facts
    facts = kops_spec.assemble(kops_case.facts, kops_case.aws)
    assert {
        "name": facts.name,
        "minor": facts.minor,
        "vpc_id": facts.network.vpc_id,
        "subnet_ids": {item.name: item.subnet_id for item in facts.network.subnets},
        "node_subnets": [item.name for item in facts.node_subnets],
        "linux_groups": [group.name for group in facts.linux_groups],
        "api_url": facts.api.url,
        "api_addresses": list(facts.api.addresses),
        "bastion": asdict(facts.bastion) if facts.bastion else None,
    } == wanted
    assert [item.type for item in facts.network.subnets] == [
        item.type for item in kops_case.facts.subnets
    ]


@pytest.mark.parametrize("release", WindowsRelease)
def test_store_is_refused_for_what_it_is(kops_case: Case, release: WindowsRelease) -> None:
    findings = support.refusals(kops_case.facts, windows=release)
    assert [finding.name for finding in findings] == kops_case.refusals[release]


# -- completed specs of kops' own tests: <tag>/<name> -> what its file says --
UPSTREAM = {
    "v1.22.6/minimal": (Era.COMPLETED_SPEC, "1.21.0", "cni", "private-dns", "dns-zone", ""),
    "v1.22.6/privateflannel": (
        Era.COMPLETED_SPEC,
        "1.21.0",
        "flannel",
        "private-dns",
        "dns-zone",
        "classic",
    ),
    "v1.22.6/shared_subnet": (Era.COMPLETED_SPEC, "1.21.0", "cni", "private-dns", "dns-zone", ""),
    "v1.28.7/minimal": (Era.CONFIG_SERVER, "1.27.0", "cni", "instance-id", "dns-zone", ""),
    "v1.28.7/minimal-dns-none": (
        Era.CONFIG_SERVER,
        "1.26.0-alpha.0",
        "cni",
        "instance-id",
        "none",
        "network",
    ),
    "v1.28.7/privateflannel": (
        Era.CONFIG_SERVER,
        "1.25.0",
        "flannel",
        "instance-id",
        "dns-zone",
        "classic",
    ),
    "v1.28.7/shared_subnet": (Era.CONFIG_SERVER, "1.26.0", "cni", "instance-id", "dns-zone", ""),
    "v1.34.3/minimal-aws": (Era.CONFIG_SERVER, "1.34.0", "cni", "instance-id", "dns-zone", ""),
    "v1.34.3/minimal-dns-none": (
        Era.CONFIG_SERVER,
        "1.32.0",
        "cni",
        "instance-id",
        "none",
        "network",
    ),
    "v1.34.3/privateflannel": (
        Era.CONFIG_SERVER,
        "1.34.0",
        "flannel",
        "instance-id",
        "dns-zone",
        "classic",
    ),
    "v1.34.3/shared_subnet": (Era.CONFIG_SERVER, "1.32.0", "cni", "instance-id", "dns-zone", ""),
    "master/minimal-aws": (Era.CONFIG_SERVER, "1.34.0", "cni", "instance-id", "dns-zone", ""),
    "master/minimal-dns-none": (
        Era.CONFIG_SERVER,
        "1.32.0",
        "cni",
        "instance-id",
        "none",
        "network",
    ),
    "master/privateflannel": (
        Era.CONFIG_SERVER,
        "1.34.0",
        "flannel",
        "instance-id",
        "dns-zone",
        "network",
    ),
    "master/shared_subnet": (Era.CONFIG_SERVER, "1.32.0", "cni", "instance-id", "dns-zone", ""),
}


@pytest.mark.parametrize("path", UPSTREAM)
def test_completed_spec_of_kops_own_tests_is_read(path: str) -> None:
    folder = FIXTURES / "upstream" / path
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; BOOTSTRAP_FIXTURES names the folder of kops fixtures")
    facts = kops_spec.store_facts(_upstream_documents(folder))
    era, version, cni, naming, resolution, balancer = UPSTREAM[path]
    assert (facts.era, facts.kubernetes_version) == (era, version)
    assert facts.cni == Cni(name=cni, backend="vxlan" if cni == "flannel" else "")
    assert facts.node_naming is NodeNaming(naming)
    assert facts.resolution is NameResolution(resolution)
    assert facts.api_load_balancer == balancer
    # kops' tests have a CA that is being rotated.
    assert facts.ca_bundle.count("BEGIN CERTIFICATE") == 2
    assert facts.dns_service_ip == "100.64.0.10"
    shared = path.endswith("shared_subnet")
    assert facts.vpc_id == ("vpc-12345678" if shared else "")
    assert [(item.subnet_id, item.shared) for item in facts.subnets][0] == (
        ("subnet-12345678", True) if shared else ("", False)
    )


def _upstream_documents(folder: Path) -> kops_spec.StoreDocuments:
    def text(pattern: str) -> str:
        return next(folder.glob(f"data/*{pattern}_content")).read_text()

    spec = text("cluster-completed.spec")
    name = next(line for line in spec.splitlines() if line.startswith("  name: ")).split()[-1]
    # kops' tests pin kops-version.txt to 1.21.0-alpha.1 in every tag; "master" is 1.37.
    tag = folder.parent.name.removeprefix("v").replace("master", "1.37.0-alpha.1")
    return kops_spec.StoreDocuments(
        name=ClusterName(name),
        completed_spec=spec,
        is_modern_layout=True,
        kops_version=tag,
        groups={},
        nodeup_config=text("nodeupconfig-master-us-test-1a"),
    )
