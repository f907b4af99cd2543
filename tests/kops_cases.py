"""Cases in tests/cases/kops_stores, turned into the product's types.

Every value in them was read in the files that kops wrote. The stores lie beside the repository
(``BOOTSTRAP_FIXTURES`` says where else); the demo's store is one of them, cut down.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.model.cluster import (
    AwsFacts,
    CloudProviderMode,
    Cni,
    Era,
    GroupRole,
    InstanceGroup,
    KubeletSpec,
    NameResolution,
    NodeNaming,
    StoreFacts,
    Subnet,
    SubnetType,
)

ROOT = Path(__file__).parents[1]
FIXTURES = Path(os.environ.get("BOOTSTRAP_FIXTURES") or ROOT.parent / "shared/fixtures/kops")
DEMO_STORE = ROOT / "config" / "demo-store"
DEMO_CASE = "modern-public-flannel"
BUCKET = "example-kops-state"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What one store has to give. ``ca_sha256`` are fingerprints, upper case, without colons."""

    store: str
    facts: StoreFacts
    ca_sha256: tuple[str, ...]
    aws: AwsFacts
    cluster_facts: dict[str, Any]
    refusals: dict[str, list[str]]


def cases() -> tuple[Case, ...]:
    """Read every case file."""
    folder = Path(__file__).parent / "cases" / "kops_stores"
    return tuple(_case(json.loads(path.read_text())) for path in sorted(folder.glob("*.json")))


def case(store: str) -> Case:
    """Read one case."""
    return next(item for item in cases() if item.store == store)


def _case(document: dict[str, Any]) -> Case:
    facts = dict(document["facts"])
    fingerprints = tuple(facts.pop("ca_sha256"))
    return Case(
        store=document["store"],
        facts=_facts(facts),
        ca_sha256=fingerprints,
        aws=_aws(dict(document["aws"])),
        cluster_facts=document["cluster_facts"],
        refusals=document["refusals"],
    )


def _facts(values: dict[str, Any]) -> StoreFacts:
    kubelet = values["kubelet"]
    special = {
        "era": Era(values["era"]),
        "resolution": NameResolution(values["resolution"]),
        "node_naming": NodeNaming(values["node_naming"]),
        "cloud_provider_mode": CloudProviderMode(values["cloud_provider_mode"]),
        "cni": Cni(**values["cni"]),
        "subnets": tuple(
            Subnet(**{**item, "type": SubnetType(item["type"])}) for item in values["subnets"]
        ),
        "groups": tuple(
            InstanceGroup(
                **{**item, "role": GroupRole(item["role"]), "subnets": tuple(item["subnets"])}
            )
            for item in values["groups"]
        ),
        "kubelet": KubeletSpec(
            **{**kubelet, "feature_gates": tuple(sorted(kubelet["feature_gates"].items()))}
        ),
        "api_server_authorization": tuple(values["api_server_authorization"]),
        "cloud_labels": tuple(sorted(values["cloud_labels"].items())),
    }
    return StoreFacts(**{**values, **special}, ca_bundle="")


def _aws(values: dict[str, Any]) -> AwsFacts:
    # EC2 does not know kops' subnet types: the store's have to win.
    subnets = tuple(Subnet(type=SubnetType.PUBLIC, **item) for item in values.pop("subnets"))
    for name in ("node_security_groups", "api_addresses"):
        values[name] = tuple(values[name])
    return AwsFacts(subnets=subnets, **values)
