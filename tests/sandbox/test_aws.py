"""The sandbox's AWS: the account of a store, and what EC2 does that moto leaves out."""

from __future__ import annotations

import base64
import functools
import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bootstrap.sandbox.addresses import AddressMap
from bootstrap.sandbox.aws import AwsWorld, EventKind, FaultRule, InstanceEvent
from bootstrap.sandbox.aws_gateway import world_fault
from bootstrap.sandbox.errors import StartError
from bootstrap.sandbox.store import StoreDirectory
from tests.stores import ALL, any_store, private_key_pem

SLOT = 77
WAIT_S = 5.0


def new_world(path: Path) -> AwsWorld:
    store = StoreDirectory(path)
    return AwsWorld(store, AddressMap(store.vpc_cidr, SLOT), private_key_pem())


@pytest.fixture(scope="module")
def world() -> Iterator[AwsWorld]:
    made = new_world(any_store())
    made.start()
    yield made
    made.stop()


def client(world: AwsWorld, service: str) -> Any:
    return cached_client(world.url, world.region, service)


@functools.cache
def cached_client(url: str, region: str, service: str) -> Any:
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def ec2(world: AwsWorld) -> Any:
    return client(world, "ec2")


def windows_launch(world: AwsWorld, ec2: Any, **changes: Any) -> dict[str, Any]:
    """Parameters of RunInstances for a Windows instance beside the Linux nodes."""
    linux = next(one for one in world.instances() if not one.is_control_plane)
    name = "/aws/service/ami-windows-latest/Windows_Server-2019-English-Core-Base"
    image = client(world, "ssm").get_parameter(Name=name)["Parameter"]["Value"]
    key = ec2.describe_key_pairs()["KeyPairs"][0]["KeyName"]
    return {
        "ImageId": image,
        "InstanceType": "m5.xlarge",
        "MinCount": 1,
        "MaxCount": 1,
        "KeyName": key,
        "UserData": "<powershell></powershell>",
        "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": linux.subnet_id}],
        **changes,
    }


def launched(answer: dict[str, Any]) -> str:
    return str(answer["Instances"][0]["InstanceId"])


def error_code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_replay_gives_the_ids_of_the_recorded_account(path: Path) -> None:
    store = StoreDirectory(path)
    if store.aws_json is None:
        pytest.skip(f"{path.name} has no aws.json to compare with")
    account = json.loads(store.aws_json.read_text())
    if "ec2.describe_instances" not in account:
        pytest.skip("aws.json is cut")
    recorded = {
        one["InstanceId"]
        for group in account["ec2.describe_instances"]
        for one in group["Instances"]
    }
    made = new_world(path)
    made.start()
    try:
        assert {one.instance_id for one in made.instances()} == recorded
        assert all(one.private_ip.startswith(f"127.{SLOT}.") for one in made.instances())
    finally:
        made.stop()


def test_linux_nodes_carry_what_their_launch_template_says(world: AwsWorld, ec2: Any) -> None:
    cluster = StoreDirectory(any_store()).cluster_name
    found = [
        one
        for group in ec2.describe_instances()["Reservations"]
        for one in group["Instances"]
        if any(tag["Key"] == "k8s.io/role/node" for tag in one["Tags"])
    ]
    assert found
    assert {group["GroupName"] for one in found for group in one["SecurityGroups"]} == {
        f"nodes.{cluster}"
    }
    assert all(one["IamInstanceProfile"]["Arn"].endswith(f"/nodes.{cluster}") for one in found)


def test_state_store_in_s3_has_the_moved_network(world: AwsWorld) -> None:
    store = StoreDirectory(any_store())
    s3 = client(world, "s3")
    key = next(key for key in store.s3_objects if key.endswith("/config"))
    text = s3.get_object(Bucket=store.state_bucket, Key=key)["Body"].read().decode()
    assert AddressMap(store.vpc_cidr, SLOT).network in text
    assert store.vpc_cidr not in text


def test_keysets_in_s3_are_byte_for_byte_those_of_the_folder(world: AwsWorld) -> None:
    store = StoreDirectory(any_store())
    s3 = client(world, "s3")
    for key, file in store.s3_objects.items():
        if key.endswith("keyset.yaml"):
            body = s3.get_object(Bucket=store.state_bucket, Key=key)["Body"].read()
            assert body == file.read_bytes(), key


def test_internal_name_of_the_api_resolves_to_the_control_plane_or_is_unknown(
    world: AwsWorld,
) -> None:
    store = StoreDirectory(any_store())
    addresses = world.resolve(f"api.internal.{store.cluster_name}")
    planes = {one.private_ip for one in world.instances() if one.is_control_plane}
    has_zone = store.spec["topology"]["dns"]["type"] != "None"
    assert set(addresses) == (planes if has_zone else set())
    assert planes <= set(world.api_addresses())


def test_private_dns_name_of_an_instance_resolves_to_it(world: AwsWorld) -> None:
    one = world.instances()[0]
    assert one.private_dns.endswith(f".{world.region}.compute.internal")
    assert world.resolve(one.private_dns) == [one.private_ip]
    assert world.resolve("nowhere.example.com") == []


@pytest.mark.parametrize("release", ["2019", "2022", "2025"])
def test_windows_images_are_published_as_parameters(world: AwsWorld, release: str) -> None:
    for edition in ("Core", "Full"):
        name = f"/aws/service/ami-windows-latest/Windows_Server-{release}-English-{edition}-Base"
        image = client(world, "ssm").get_parameter(Name=name)["Parameter"]["Value"]
        found = client(world, "ec2").describe_images(ImageIds=[image])["Images"][0]
        assert found["Platform"] == "windows"
        assert found["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 30


def test_same_client_token_gives_the_same_instance(world: AwsWorld, ec2: Any) -> None:
    cluster = StoreDirectory(any_store()).cluster_name
    parameters = windows_launch(
        world, ec2, ClientToken="once", IamInstanceProfile={"Name": f"nodes.{cluster}"}
    )
    first = launched(ec2.run_instances(**parameters))
    assert launched(ec2.run_instances(**parameters)) == first


def test_client_token_with_other_parameters_is_refused(world: AwsWorld, ec2: Any) -> None:
    ec2.run_instances(**windows_launch(world, ec2, ClientToken="strict"))
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(**windows_launch(world, ec2, ClientToken="strict", UserData="other"))
    assert error_code(caught) == "IdempotentParameterMismatch"


def test_client_token_of_a_terminated_instance_is_spent(world: AwsWorld, ec2: Any) -> None:
    parameters = windows_launch(world, ec2, ClientToken="spent")
    ec2.terminate_instances(InstanceIds=[launched(ec2.run_instances(**parameters))])
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(**parameters)
    assert error_code(caught) == "IdempotentInstanceTerminated"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ImageId": "ami-0000000000000dead"}, "InvalidAMIID.NotFound"),
        ({"InstanceType": "m5.huge"}, "InvalidParameterValue"),
        ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
    ],
)
def test_launch_of_what_is_not_there_is_refused(
    world: AwsWorld, ec2: Any, change: dict[str, str], code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(**windows_launch(world, ec2, **change))
    assert error_code(caught) == code


def test_dry_run_launches_nothing(world: AwsWorld, ec2: Any) -> None:
    before = len(world.instances())
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(**windows_launch(world, ec2), DryRun=True)
    assert error_code(caught) == "DryRunOperation"
    assert len(world.instances()) == before


def test_full_subnet_takes_no_instance(world: AwsWorld, ec2: Any) -> None:
    parameters = windows_launch(world, ec2, MinCount=60000, MaxCount=60000)
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(**parameters)
    assert error_code(caught) == "InsufficientFreeAddressesInSubnet"


def test_life_of_an_instance_is_told_in_order(world: AwsWorld, ec2: Any) -> None:
    told: queue.Queue[InstanceEvent] = queue.Queue()
    world.on_instance(told.put)
    parameters = windows_launch(world, ec2)
    instance_id = launched(ec2.run_instances(**parameters))
    for act in ("reboot", "stop", "start", "terminate"):
        getattr(ec2, f"{act}_instances")(InstanceIds=[instance_id])
    events = [told.get(timeout=WAIT_S) for _ in range(5)]
    assert [event.kind for event in events] == [
        EventKind.LAUNCHED,
        EventKind.REBOOTED,
        EventKind.STOPPED,
        EventKind.STARTED,
        EventKind.TERMINATED,
    ]
    assert {event.instance.instance_id for event in events} == {instance_id}
    assert events[0].instance.is_windows
    assert events[0].instance.user_data == parameters["UserData"]


def test_terminated_instance_gives_its_address_room_back(world: AwsWorld, ec2: Any) -> None:
    parameters = windows_launch(world, ec2)
    subnet = parameters["NetworkInterfaces"][0]["SubnetId"]

    def room() -> int:
        found = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]
        return int(found["AvailableIpAddressCount"])

    before = room()
    instance_id = launched(ec2.run_instances(**parameters))
    assert room() == before - 1
    ec2.terminate_instances(InstanceIds=[instance_id])
    assert room() == before


def test_password_is_empty_until_the_host_has_one_and_then_decrypts(
    world: AwsWorld, ec2: Any
) -> None:
    instance_id = launched(ec2.run_instances(**windows_launch(world, ec2)))
    assert ec2.get_password_data(InstanceId=instance_id)["PasswordData"] == ""
    world.set_password(instance_id, "Secret-of-the-host-1")
    data = ec2.get_password_data(InstanceId=instance_id)["PasswordData"]
    key = load_pem_private_key(private_key_pem().encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.decrypt(base64.b64decode(data), padding.PKCS1v15()) == b"Secret-of-the-host-1"


def test_console_shows_what_the_host_wrote(world: AwsWorld, ec2: Any) -> None:
    instance_id = launched(ec2.run_instances(**windows_launch(world, ec2)))
    world.append_console(instance_id, "line 1\r\n")
    world.append_console(instance_id, "line 2\r\n")
    output = ec2.get_console_output(InstanceId=instance_id, Latest=True)["Output"]
    assert output == "line 1\r\nline 2\r\n"


def test_instance_that_fails_by_itself_says_why(world: AwsWorld, ec2: Any) -> None:
    instance_id = launched(ec2.run_instances(**windows_launch(world, ec2)))
    world.fail_instance(instance_id)
    found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    assert found["State"]["Name"] == "terminated"
    assert found["StateReason"]["Code"] == "Server.InternalError"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("capacity-error", "InsufficientInstanceCapacity"),
        ("throttling", "RequestLimitExceeded"),
        ("expired-credentials", "RequestExpired"),
        ("access-denied", "UnauthorizedOperation"),
    ],
)
def test_named_fault_breaks_a_launch_until_it_is_withdrawn(
    world: AwsWorld, ec2: Any, fault: str, code: str
) -> None:
    parameters = windows_launch(world, ec2)
    rule = world_fault(fault)
    assert rule
    world.inject(rule)
    try:
        with pytest.raises(ClientError) as caught:
            ec2.run_instances(**parameters)
    finally:
        world.withdraw(fault)
    assert error_code(caught) == code
    assert launched(ec2.run_instances(**parameters))


def test_expired_credentials_are_said_in_each_service_s_own_form(world: AwsWorld) -> None:
    rule = world_fault("expired-credentials")
    assert rule
    world.inject(rule)
    calls = {
        "sts": lambda sts: sts.get_caller_identity(),
        "ssm": lambda ssm: ssm.get_parameter(Name="/x"),
        "s3": lambda s3: s3.list_buckets(),
    }
    try:
        for service, call in calls.items():
            with pytest.raises(ClientError) as caught:
                call(client(world, service))
            assert error_code(caught).startswith("ExpiredToken"), service
    finally:
        world.withdraw("expired-credentials")


def test_rule_ends_after_its_number_of_errors(world: AwsWorld, ec2: Any) -> None:
    world.inject(
        FaultRule(name="twice", service="ec2", code="RequestLimitExceeded", message="", times=2)
    )
    for _ in range(2):
        with pytest.raises(ClientError):
            ec2.describe_vpcs()
    assert ec2.describe_vpcs()["Vpcs"]


def test_requests_are_counted_by_action(world: AwsWorld, ec2: Any) -> None:
    before = world.request_counts().get("ec2.DescribeVpcs", 0)
    ec2.describe_vpcs()
    assert world.request_counts()["ec2.DescribeVpcs"] == before + 1


def test_second_world_in_one_process_is_refused(world: AwsWorld) -> None:
    with pytest.raises(StartError, match="another"):
        new_world(any_store()).start()
