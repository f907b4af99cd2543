"""EC2's answers become our types, our nodes become launches, and AWS' codes become our errors."""

from __future__ import annotations

import base64
import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bootstrap.errors import AccessError, BootstrapError, ConflictError, NotFoundError, RemoteError
from bootstrap.model.cluster import SecurityGroupId, StoreFacts, Subnet, SubnetId, SubnetType
from bootstrap.model.node import (
    DesiredNode,
    ImageFacts,
    InstanceState,
    NodeName,
    PoolSpec,
    Runtime,
    Tag,
    WindowsRelease,
)
from bootstrap.model.secret import Secret
from bootstrap.planning import aws_parsing, windows_password
from bootstrap.planning.aws_failures import failure

PEM = "-----BEGIN CERTIFICATE-----\nTUlJ\nQUFB\n-----END CERTIFICATE-----\n"


def make_node(**changes: Any) -> DesiredNode:
    fields: dict[str, Any] = {
        "name": NodeName("game-1"),
        "cluster": "a.example.com",
        "pool": PoolSpec(name="game"),
        "runtime": Runtime.CONTAINERD,
        "windows": WindowsRelease.WS2019,
        "kubernetes_version": "1.34.5",
        "subnet": Subnet(
            name="a", type=SubnetType.PRIVATE, zone="a", cidr="", subnet_id=SubnetId("subnet-1")
        ),
        "image": ImageFacts(
            image_id="ami-1",
            name="",
            release=WindowsRelease.WS2019,
            root_device="/dev/sda1",
            root_size_gb=30,
        ),
        "instance_type": "m5.xlarge",
        "security_groups": (SecurityGroupId("sg-1"),),
        "instance_profile": "nodes.a.example.com",
        "key_name": "key",
        "user_data": "<powershell/>",
        "tags": {"Name": "game-1", Tag.RUN.value: "run-1"},
        "spec_hash": "0" * 16,
        "labels": {},
        "taints": (),
    }
    return DesiredNode(**{**fields, **changes})


def test_run_tag_is_left_out_of_a_launch() -> None:
    first = aws_parsing.launch_parameters(make_node(tags={"b": "2", "a": "1"}), "t")
    tagged = {"a": "1", Tag.RUN.value: "run-9", "b": "2"}
    assert aws_parsing.launch_parameters(make_node(tags=tagged), "t") == first


def test_volume_is_never_smaller_than_the_image() -> None:
    image = ImageFacts(
        image_id="ami-1", name="", release=None, root_device="/dev/xvda", root_size_gb=500
    )
    (volume,) = aws_parsing.launch_parameters(make_node(image=image), "t")["BlockDeviceMappings"]  # type: ignore[misc, attr-defined]
    assert volume["Ebs"]["VolumeSize"] == 500
    assert volume["DeviceName"] == "/dev/xvda"


def test_profile_may_be_an_arn_and_key_and_profile_may_be_missing() -> None:
    arn = "arn:aws:iam::1:instance-profile/mine"
    assert aws_parsing.launch_parameters(make_node(instance_profile=arn), "t")[
        "IamInstanceProfile"
    ] == {"Arn": arn}
    bare = aws_parsing.launch_parameters(make_node(instance_profile="", key_name=""), "t")
    assert "IamInstanceProfile" not in bare
    assert "KeyName" not in bare
    assert "InstanceMarketOptions" not in bare


def test_spot_instance_is_terminated_when_it_is_taken_away() -> None:
    pool = PoolSpec(name="game", spot=True)
    options = aws_parsing.launch_parameters(make_node(pool=pool), "t")["InstanceMarketOptions"]
    assert options["SpotOptions"]["InstanceInterruptionBehavior"] == "terminate"  # type: ignore[index]


def test_instance_is_read_from_sparse_answers_too() -> None:
    sparse = aws_parsing.instance({"InstanceId": "i-1", "State": {"Name": "pending"}})
    assert sparse.state is InstanceState.PENDING
    assert (sparse.private_ip, sparse.launched_at, sparse.tags) == ("", "", {})
    full = aws_parsing.instance(
        {
            "InstanceId": "i-2",
            "State": {"Name": "terminated"},
            "StateReason": {"Message": "Server.InternalError"},
            "LaunchTime": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
            "Platform": "windows",
            "Tags": [{"Key": Tag.OWNED.value, "Value": "true"}],
        }
    )
    assert full.launched_at == "2026-01-02T03:04:05Z"
    assert full.state_reason == "Server.InternalError"
    assert full.is_windows
    assert full.is_ours


def test_instances_are_read_over_pages_and_from_a_launch() -> None:
    one = {"InstanceId": "i-1", "State": {"Name": "running"}}
    two = {"InstanceId": "i-2", "State": {"Name": "running"}}
    pages = [{"Reservations": [{"Instances": [one]}]}, {"Reservations": []}, {"Instances": [two]}]
    assert [found.instance_id for found in aws_parsing.instances(pages)] == ["i-1", "i-2"]


def test_attachments_are_volumes_and_interfaces() -> None:
    document = {
        "BlockDeviceMappings": [{"Ebs": {"VolumeId": "vol-1"}}, {}],
        "NetworkInterfaces": [{"NetworkInterfaceId": "eni-1"}],
    }
    assert aws_parsing.attachments(document) == ("vol-1", "eni-1")


def test_launch_template_may_name_groups_outside_of_an_interface_and_a_profile_arn() -> None:
    launch = aws_parsing.launch_template(
        {
            "SecurityGroupIds": ["sg-1", "sg-2"],
            "IamInstanceProfile": {"Arn": "arn:aws:iam::1:instance-profile/mine"},
            "UserData": "bm90IGEgc2VjcmV0",
        }
    )
    assert launch.security_groups == ("sg-1", "sg-2")
    assert launch.instance_profile == "mine"
    assert launch.user_data == "not a secret"


def test_user_data_that_is_binary_counts_as_none() -> None:
    launch = aws_parsing.launch_configuration({"UserData": base64.b64encode(b"\xff\xfe").decode()})
    assert launch.user_data == ""
    assert launch.security_groups == ()


@pytest.mark.parametrize(
    ("user_data", "bundle"),
    [
        ("", ""),
        ("ConfigBase: s3://bucket", ""),
        (f"other: {PEM}", ""),
        ("  CACertificates: |\n    " + PEM.replace("\n", "\n    ") + "servers:\n", PEM),
        ("CACertificates: |\n" + PEM + PEM + "servers:\n" + PEM, PEM + PEM),
    ],
)
def test_ca_is_the_block_of_kube_env_and_nothing_else(user_data: str, bundle: str) -> None:
    assert aws_parsing.ca_from_user_data(user_data) == bundle


@pytest.mark.parametrize("broken", [None, "text", 7, [1, "two"]])
def test_fields_of_the_wrong_kind_read_as_empty(broken: object) -> None:
    document: dict[str, object] = {"field": broken}
    assert list(aws_parsing.items(document, "field")) == []
    assert aws_parsing.part(document, "field") == {}


def test_numbers_are_whole_numbers_only() -> None:
    assert aws_parsing.number({"n": 7}, "n") == 7
    assert aws_parsing.number({"n": True}, "n") is None
    assert aws_parsing.number({}, "n") is None


@pytest.mark.parametrize(
    ("code", "kind", "fix"),
    [
        ("ExpiredTokenException", AccessError, "sign in again"),
        ("UnrecognizedClientException", AccessError, "AWS_PROFILE"),
        ("AccessDeniedException", AccessError, "permission"),
        ("InsufficientInstanceCapacity", RemoteError, "another zone"),
        ("ThrottlingException", RemoteError, "wait a minute"),
        ("VcpuLimitExceeded", RemoteError, "vCPUs"),
        ("InvalidSubnetID.NotFound", NotFoundError, ""),
        ("ParameterNotFound", NotFoundError, ""),
        ("IdempotentParameterMismatch", ConflictError, "run the command again"),
        ("NeverHeardOf", RemoteError, ""),
    ],
)
def test_code_decides_kind_and_remedy(code: str, kind: type[BootstrapError], fix: str) -> None:
    error = failure(code, "because", action="launch game-1", target="game-1")
    assert type(error) is kind
    assert fix in error.fix
    assert error.message.startswith("launch game-1: ")
    assert error.evidence == f"{code}: because"
    assert error.target == "game-1"


def test_invalid_instance_type_has_a_remedy_of_its_own() -> None:
    error = failure(
        "InvalidParameterValue", "Invalid value 'm5.huge' for InstanceType.", action="a"
    )
    assert "instanceType" in error.fix


def make_key() -> tuple[rsa.RSAPrivateKey, str]:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return key, pem.decode()


def test_password_decrypts_with_its_key_and_no_other() -> None:
    key, pem = make_key()
    other, _ = make_key()
    encrypted = key.public_key().encrypt(b"Correct-Horse-1", padding.PKCS1v15())
    data = base64.b64encode(encrypted).decode()
    loaded = windows_password.rsa_key(Secret(pem))
    assert windows_password.decrypt(loaded, f"\r\n{data}\r\n") == Secret("Correct-Horse-1")
    assert windows_password.decrypt(other, data) is None
    assert windows_password.decrypt(key, "c2hvcnQ=") is None


def make_store(*subnets: Subnet) -> StoreFacts:
    """As much of a cluster as reading a subnet looks at."""
    return cast(StoreFacts, SimpleNamespace(name="a.example.com", subnets=subnets))


def test_own_subnet_is_known_by_its_name_tag() -> None:
    spec = Subnet(name="b", type=SubnetType.UTILITY, zone="z", cidr="", egress="nat-1")
    document = {
        "SubnetId": "subnet-9",
        "AvailableIpAddressCount": 11,
        "Tags": [{"Key": "Name", "Value": "b.a.example.com"}],
    }
    found = aws_parsing.subnet(document, make_store(spec))
    assert (found.name, found.type, found.egress) == ("b", SubnetType.UTILITY, "nat-1")
    assert found.available_addresses == 11
    assert not found.shared


def test_shared_subnet_is_known_by_the_id_in_the_spec() -> None:
    spec = Subnet(
        name="b", type=SubnetType.PRIVATE, zone="z", cidr="", subnet_id=SubnetId("subnet-9")
    )
    tags = [{"Key": "kubernetes.io/cluster/a.example.com", "Value": "shared"}]
    found = aws_parsing.subnet({"SubnetId": "subnet-9", "Tags": tags}, make_store(spec))
    assert found.name == "b"
    assert found.shared


def test_subnet_that_the_spec_does_not_know_has_no_name() -> None:
    tags = [{"Key": "SubnetType", "Value": "Public"}]
    found = aws_parsing.subnet({"SubnetId": "subnet-9", "Tags": tags}, make_store())
    assert (found.name, found.type) == ("", SubnetType.PUBLIC)
