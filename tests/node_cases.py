"""Cases in tests/cases/node_config: a node's inputs, and every request of its playbook.

``python -m tests.node_cases`` writes them anew; what changed is then read in the diff.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

from bootstrap.model.cluster import ClusterFacts
from bootstrap.model.node import KubeNodeName, Runtime, Taint, WindowsRelease
from bootstrap.model.registries import DIRECT, Registries, RegistryMirror
from bootstrap.model.secret import Secret
from bootstrap.planning import artifacts, node_config
from bootstrap.planning.artifacts import CRI_DOCKERD, DOCKER_EE, Artifact, Catalog
from bootstrap.planning.desired import OS_TAINT
from bootstrap.planning.kops_spec import assemble
from bootstrap.planning.node_config import Inputs, NodeConfig, Placed
from bootstrap.resources import data_path
from tests.kops_cases import case

FOLDER = Path(__file__).parent / "cases" / "node_config"
CA = "-----BEGIN CERTIFICATE-----\nY2x1c3Rlcg==\n-----END CERTIFICATE-----\n"


@dataclass(frozen=True, kw_only=True)
class NodeTokens:
    """Tokens that are easy to find again."""

    bootstrap: Secret = Secret("token-of-bootstrap")
    flannel: Secret = Secret("token-of-flannel")
    kube_proxy: Secret = Secret("token-of-kube-proxy")


@cache
def catalog() -> Catalog:
    """Read the artifacts that ship."""
    files = sorted((data_path("config") / "artifacts").glob("*.yaml"))
    return artifacts.parse_catalog([file.read_text(encoding="utf-8") for file in files])


ADAPTER = Artifact(
    name=CRI_DOCKERD,
    version="0.4.10",
    url="https://artifacts.example.com/cri-dockerd-0.4.10.win.amd64.zip",
    algorithm="sha256",
    checksum="c" * 64,
    source="the user",
)
ENTERPRISE = Artifact(
    name=DOCKER_EE,
    version="25.0.8",
    url="https://artifacts.example.com/docker-25.0.8.zip",
    algorithm="sha256",
    checksum="e" * 64,
    source="the user",
)


@cache
def user_catalog() -> Catalog:
    """Return the catalog of a user who has named what no checksum is published of."""
    return catalog().with_overrides([ADAPTER, ENTERPRISE])


def facts(store: str) -> ClusterFacts:
    """Return what is known of a cluster that kops made."""
    found = case(store)
    return replace(assemble(found.facts, found.aws), ca_bundle=CA)


def inputs(
    store: str,
    version: str,
    windows: WindowsRelease,
    *,
    runtime: Runtime = Runtime.CONTAINERD,
    name: str = "i-0123456789abcdef0",
    taints: tuple[Taint, ...] = (OS_TAINT,),
    pre_pull: tuple[str, ...] = (),
    mirror: str = "",
    proxy: str = "",
    registries: Registries = DIRECT,
) -> Inputs:
    """Return the inputs of one node of a cluster."""
    cluster = facts(store)
    subnet = cluster.node_subnets[0]
    return Inputs(
        facts=cluster,
        windows=windows,
        version=version,
        runtime=runtime,
        taints=taints,
        placed=Placed(
            node_name=KubeNodeName(name),
            address=f"{subnet.cidr.rpartition('.')[0]}.20",
            provider_id=f"aws:///{subnet.zone}/i-0123456789abcdef0",
            subnet_cidr=subnet.cidr,
        ),
        chosen=artifacts.artifact_set(user_catalog(), version, mirror, runtime=runtime),
        tokens=NodeTokens(),
        pre_pull=pre_pull,
        proxy=proxy,
        registries=registries,
    )


HUB = RegistryMirror(registry="docker.io", urls=("https://mirror.example.com:5000/hub",))
BEHIND_PROXY = Registries(
    mirrors=(
        HUB,
        RegistryMirror(registry="reg.example.com:5001", urls=("https://reg.example.com:5001",)),
    ),
    proxy="http://proxy.example.com:3128",
    no_proxy=(".example.com",),
    ca_pem="-----BEGIN CERTIFICATE-----\nbWlycm9y\n-----END CERTIFICATE-----\n",
)
OLD_NAME = "ip-172-20-32-20.eu-west-1.compute.internal"
CASES = {
    "1.14-docker": lambda: inputs(
        "legacy-1.18-flannel",
        "1.14.10",
        WindowsRelease.WS2019,
        runtime=Runtime.DOCKER,
        name=OLD_NAME,
    ),
    "1.18-docker": lambda: inputs(
        "legacy-1.18-flannel",
        "1.18.20",
        WindowsRelease.WS2019,
        runtime=Runtime.DOCKER,
        name=OLD_NAME,
    ),
    "1.21-docker-ee": lambda: inputs(
        "legacy-1.22-flannel",
        "1.21.14",
        WindowsRelease.WS2019,
        runtime=Runtime.DOCKER_EE,
        name=OLD_NAME,
    ),
    "1.21-docker": lambda: inputs(
        "legacy-1.22-flannel",
        "1.21.14",
        WindowsRelease.WS2019,
        runtime=Runtime.DOCKER,
        name=OLD_NAME,
    ),
    "1.23": lambda: inputs("mid-public-flannel", "1.23.17", WindowsRelease.WS2022),
    "1.23-docker": lambda: inputs(
        "mid-public-flannel", "1.23.17", WindowsRelease.WS2022, runtime=Runtime.DOCKER
    ),
    "1.25-docker": lambda: inputs(
        "mid-public-flannel", "1.25.16", WindowsRelease.WS2022, runtime=Runtime.DOCKER
    ),
    "1.22": lambda: inputs(
        "legacy-1.22-flannel",
        "1.22.17",
        WindowsRelease.WS2019,
        name=OLD_NAME,
    ),
    "1.27": lambda: inputs("mid-public-flannel", "1.27.16", WindowsRelease.WS2022),
    "1.28-registries": lambda: inputs(
        "mid-public-flannel", "1.28.15", WindowsRelease.WS2022, registries=BEHIND_PROXY
    ),
    "1.28-docker-registries": lambda: inputs(
        "mid-public-flannel",
        "1.28.15",
        WindowsRelease.WS2022,
        runtime=Runtime.DOCKER,
        registries=BEHIND_PROXY,
    ),
    "1.34": lambda: inputs(
        "modern-public-flannel",
        "1.34.5",
        WindowsRelease.WS2019,
        pre_pull=("mcr.microsoft.com/windows/servercore:ltsc2019",),
        mirror="https://mirror.example.com/downloads/",
        proxy="http://proxy.example.com:3128",
    ),
    "1.36": lambda: inputs(
        "modern-private-flannel",
        "1.36.1",
        WindowsRelease.WS2025,
        taints=(OS_TAINT, Taint(key="team", value="game", effect="NoExecute")),
    ),
}


def shown(config: NodeConfig) -> dict[str, object]:
    """Return a configuration as JSON: secrets revealed, the content of files by line."""
    return {item.name: _plain(getattr(config, item.name)) for item in fields(config)}


def _plain(value: object) -> object:
    match value:
        case Secret():
            return _plain(value.reveal())
        case str() if "\n" in value:
            return value.split("\n")
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def expected(name: str) -> dict[str, object]:
    """Read one case."""
    found: dict[str, object] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Write every case."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, made in CASES.items():
        text = json.dumps(shown(node_config.build(made())), indent=2)
        (FOLDER / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
