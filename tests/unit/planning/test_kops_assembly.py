"""The state store's facts and AWS' answers, put together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bootstrap.errors import NotFoundError
from bootstrap.model.cluster import (
    AwsFacts,
    ClusterFacts,
    NameResolution,
    StoreFacts,
    Subnet,
    SubnetId,
    SubnetType,
    VpcId,
)
from bootstrap.planning.kops_spec import assemble
from tests.kops_cases import case

PUBLIC = case("modern-public-flannel")
PRIVATE = case("modern-private-flannel")


def together(
    *, store: StoreFacts = PUBLIC.facts, aws: AwsFacts = PUBLIC.aws, subnets: tuple[Subnet, ...]
) -> ClusterFacts:
    return assemble(store, replace(aws, subnets=subnets))


def found(name: str, cidr: str, zone: str, number: str) -> Subnet:
    return Subnet(
        name=name, type=SubnetType.PRIVATE, zone=zone, cidr=cidr, subnet_id=SubnetId(number)
    )


FIRST, SECOND = "172.20.0.0/17", "172.20.128.0/17"


def test_subnet_without_kops_name_is_found_by_its_range() -> None:
    facts = together(
        subnets=(
            found("", SECOND, "eu-west-1b", "subnet-b"),
            found("", FIRST, "eu-west-1a", "subnet-a"),
        )
    )
    assert [item.subnet_id for item in facts.network.subnets] == ["subnet-a", "subnet-b"]
    assert {item.type for item in facts.network.subnets} == {SubnetType.PUBLIC}


def test_subnets_own_name_wins_over_the_range_of_another() -> None:
    facts = together(
        subnets=(
            found("other", FIRST, "eu-west-1a", "subnet-x"),
            found("eu-west-1a", "10.0.0.0/24", "eu-west-1a", "subnet-a"),
            found("eu-west-1b", SECOND, "eu-west-1b", "subnet-b"),
        )
    )
    first = facts.network.subnets[0]
    assert (first.subnet_id, first.cidr) == ("subnet-a", "10.0.0.0/24")


def test_shared_subnet_is_found_by_its_id_only() -> None:
    shared = replace(
        PUBLIC.facts.subnets[0], subnet_id=SubnetId("subnet-s"), shared=True, cidr="", zone=""
    )
    store = replace(PUBLIC.facts, subnets=(shared, PUBLIC.facts.subnets[1]))
    facts = together(
        store=store,
        subnets=(
            found("eu-west-1a", FIRST, "eu-west-1a", "subnet-wrong"),
            found("", FIRST, "eu-west-1a", "subnet-s"),
            found("eu-west-1b", SECOND, "eu-west-1b", "subnet-b"),
        ),
    )
    first = facts.network.subnets[0]
    assert (first.subnet_id, first.cidr, first.zone) == ("subnet-s", FIRST, "eu-west-1a")
    assert first.shared


def test_missing_subnet_of_linux_nodes_is_named() -> None:
    with pytest.raises(NotFoundError) as caught:
        together(subnets=(found("eu-west-1a", FIRST, "eu-west-1a", "subnet-a"),))
    assert "no subnet eu-west-1b (172.20.128.0/17)" in caught.value.message
    assert caught.value.evidence == "the state store has it for nodes-eu-west-1b"
    assert caught.value.command == "kops update cluster play.example.net"


def test_missing_subnet_without_linux_nodes_does_not_matter() -> None:
    subnets = tuple(item for item in PRIVATE.aws.subnets if not item.name.startswith("utility"))
    facts = together(store=PRIVATE.facts, aws=PRIVATE.aws, subnets=subnets)
    utility = [item for item in facts.network.subnets if item.type is SubnetType.UTILITY]
    assert {item.subnet_id for item in utility} == {""}


@pytest.mark.parametrize(
    ("resolution", "addresses"),
    [
        (NameResolution.DNS_ZONE, ()),
        (NameResolution.GOSSIP, ("172.20.0.5",)),
        (NameResolution.NONE, ("172.20.0.5",)),
    ],
)
def test_addresses_of_the_api_are_kept_where_no_dns_has_its_name(
    resolution: NameResolution, addresses: tuple[str, ...]
) -> None:
    facts = assemble(replace(PUBLIC.facts, resolution=resolution), PUBLIC.aws)
    assert facts.api.addresses == addresses


def test_ca_of_the_store_wins_over_that_of_user_data() -> None:
    aws = replace(PUBLIC.aws, ca_bundle="from user data")
    assert assemble(replace(PUBLIC.facts, ca_bundle="from the store"), aws).ca_bundle == (
        "from the store"
    )
    assert assemble(PUBLIC.facts, aws).ca_bundle == "from user data"


def test_vpc_is_the_one_that_aws_found() -> None:
    store = replace(PUBLIC.facts, vpc_id=VpcId("vpc-shared"), vpc_cidr="")
    facts = assemble(store, PUBLIC.aws)
    assert (facts.network.vpc_id, facts.network.vpc_cidr) == (
        "vpc-53ea76ff5f9e8683a",
        "172.20.0.0/16",
    )


@pytest.mark.parametrize(
    ("image", "user"),
    [
        ("099720109477/ubuntu/images/x", "ubuntu"),
        ("kope.io/k8s-1.17-debian-stretch", "admin"),
        ("075585003325/Flatcar-stable-3033", "core"),
        ("137112412989/al2023-ami-x", "ec2-user"),
        ("ami-0123456789", ""),
    ],
)
def test_bastions_image_tells_who_logs_in(image: str, user: str) -> None:
    groups = tuple(replace(group, image=image) for group in PRIVATE.facts.groups)
    facts = assemble(replace(PRIVATE.facts, groups=groups), PRIVATE.aws)
    assert facts.bastion is not None
    assert facts.bastion.user == user


def test_there_is_no_bastion_without_a_host_for_it() -> None:
    assert assemble(PRIVATE.facts, replace(PRIVATE.aws, bastion_host="")).bastion is None
    assert assemble(PUBLIC.facts, replace(PUBLIC.aws, bastion_host="stray")).bastion is None


def test_key_pair_falls_back_to_the_one_that_kops_makes() -> None:
    facts = assemble(PUBLIC.facts, replace(PUBLIC.aws, key_name=""))
    assert facts.key_name.startswith("kubernetes.play.example.net-53:1a:")
