"""The port InstanceStore: one contract for the adapter and its fake, then the adapter's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bootstrap.adapters.ec2 import AwsClients, Ec2InstanceStore, open_session
from bootstrap.errors import (
    AccessError,
    BootstrapError,
    ConflictError,
    NotFoundError,
    RemoteError,
    UsageError,
)
from bootstrap.model.cluster import (
    AwsFacts,
    CloudProviderMode,
    ClusterName,
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
    VpcId,
)
from bootstrap.model.node import (
    DesiredNode,
    ImageFacts,
    InstanceId,
    InstanceState,
    NodeName,
    PoolSpec,
    RootVolume,
    Runtime,
    Tag,
    WindowsRelease,
)
from bootstrap.model.secret import Secret
from bootstrap.ports import InstanceStore
from bootstrap.sandbox.addresses import AddressMap
from bootstrap.sandbox.aws import AwsWorld, FaultRule
from bootstrap.sandbox.aws_gateway import world_fault
from bootstrap.sandbox.store import StoreDirectory
from tests.fakes.instance_store import FakeInstanceStore
from tests.stores import any_store, private_key_pem

TOKEN = "token-of-game-1"
QUICK = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2)


def store_facts(store: StoreDirectory) -> StoreFacts:
    """What the product reads of a store, as far as the lookups need it."""
    spec, name = store.spec, ClusterName(store.cluster_name)
    has_zone = spec["topology"]["dns"]["type"] != "None"
    folder = store.s3_root / name / "instancegroup"
    groups = sorted(path.name for path in folder.iterdir() if path.name.startswith("nodes"))
    return StoreFacts(
        name=name,
        kubernetes_version=store.kubernetes_version,
        kops_version="",
        era=Era.CONFIG_SERVER,
        cloud_provider="aws",
        api_host=f"api.internal.{name}",
        resolution=NameResolution.DNS_ZONE if has_zone else NameResolution.NONE,
        ca_bundle="",
        node_naming=NodeNaming.INSTANCE_ID,
        cloud_provider_mode=CloudProviderMode.EXTERNAL,
        vpc_id=VpcId(""),
        vpc_cidr=store.vpc_cidr,
        pod_cidr=store.pod_cidr,
        service_cidr=store.service_cidr,
        non_masquerade_cidr="100.64.0.0/10",
        dns_service_ip="100.64.0.10",
        cluster_domain="cluster.local",
        node_local_dns=False,
        cni=Cni(name="flannel", backend="vxlan"),
        kube_proxy_enabled=True,
        is_ipv6=False,
        subnets=tuple(
            Subnet(
                name=one["name"], type=SubnetType(one["type"]), zone=one["zone"], cidr=one["cidr"]
            )
            for one in spec["subnets"]
        ),
        groups=tuple(
            InstanceGroup(name=group, role=GroupRole.NODE, subnets=()) for group in groups
        ),
        ssh_key_name="",
        bastion_host="",
        kubelet=KubeletSpec(),
    )


@dataclass(frozen=True, kw_only=True)
class Side:
    """One implementation of the port, with the means to play the host behind an instance."""

    port: InstanceStore
    store: StoreFacts
    key: Secret
    write_console: Callable[[InstanceId, str], None]
    set_password: Callable[[InstanceId, str], None]

    def facts(self) -> AwsFacts:
        return self.port.aws_facts(self.store)

    def desired(self, name: str, **pool: Any) -> DesiredNode:
        """A node in the first subnet that nodes may use, launched with what the lookup found."""
        facts, cluster = self.facts(), self.store.name
        subnet = next(one for one in facts.subnets if one.type is not SubnetType.UTILITY)
        return DesiredNode(
            name=NodeName(name),
            cluster=cluster,
            pool=PoolSpec(name="game", root_volume=RootVolume(size_gb=80), **pool),
            runtime=Runtime.CONTAINERD,
            windows=WindowsRelease.WS2019,
            kubernetes_version="1.34.5",
            subnet=subnet,
            image=self.port.image(release=WindowsRelease.WS2019),
            instance_type="m5.xlarge",
            security_groups=facts.node_security_groups,
            instance_profile=facts.node_instance_profile,
            key_name=facts.key_name,
            user_data="<powershell>1</powershell>",
            tags={
                "Name": f"{name}.{cluster}",
                "KubernetesCluster": cluster,
                Tag.OWNED.value: "true",
                Tag.CLUSTER.value: cluster,
                Tag.POOL.value: "game",
                Tag.NODE.value: name,
                Tag.RUN.value: "run-1",
            },
            spec_hash="0123456789abcdef",
            labels={},
            taints=(),
        )


@pytest.fixture(scope="module")
def world() -> Iterator[AwsWorld]:
    store = StoreDirectory(any_store())
    made = AwsWorld(store, AddressMap(store.vpc_cidr, 78), private_key_pem())
    made.start()
    yield made
    made.stop()


@functools.cache
def session() -> boto3.Session:
    """One for all: what a session loads of botocore's data is most of a test's time."""
    return boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1"
    )


@pytest.fixture(scope="module")
def adapter(world: AwsWorld) -> Iterator[Side]:
    clients = AwsClients(session(), region=world.region, config=QUICK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", world.url)
        for service in ("ec2", "ssm", "sts", "elbv2", "autoscaling"):
            clients(service)
    yield Side(
        port=Ec2InstanceStore(clients),
        store=store_facts(StoreDirectory(any_store())),
        key=Secret(private_key_pem()),
        write_console=world.append_console,
        set_password=world.set_password,
    )


def fake_side() -> Side:
    fake = FakeInstanceStore()
    return Side(
        port=fake,
        store=store_facts(StoreDirectory(any_store())),
        key=Secret(fake.private_key),
        write_console=fake.consoles.__setitem__,
        set_password=fake.passwords.__setitem__,
    )


@pytest.fixture(params=["fake", "adapter"])
def side(request: pytest.FixtureRequest) -> Side:
    """Both sides of the contract."""
    if request.param == "fake":
        return fake_side()
    found: Side = request.getfixturevalue("adapter")
    return found


def find(side: Side, instance_id: InstanceId) -> Any:
    return next(
        one for one in side.port.instances(side.store.name) if one.instance_id == instance_id
    )


# -- the contract --
def test_caller_has_an_account_and_an_arn(side: Side) -> None:
    account, arn = side.port.caller()
    assert account.isdigit()
    assert arn.startswith("arn:aws:")


def test_every_subnet_of_the_spec_is_found_with_id_and_room(side: Side) -> None:
    found = {one.name: one for one in side.facts().subnets}
    for wanted in side.store.subnets:
        assert found[wanted.name].subnet_id
        assert found[wanted.name].type is wanted.type
        assert found[wanted.name].zone == wanted.zone
        assert (found[wanted.name].available_addresses or 0) > 0


def test_facts_say_what_nodes_are_launched_with(side: Side) -> None:
    facts = side.facts()
    assert facts.node_security_groups
    assert facts.node_instance_profile == f"nodes.{side.store.name}"
    assert facts.key_name
    assert facts.key_type == "rsa"
    assert facts.api_addresses


@pytest.mark.parametrize("release", list(WindowsRelease))
def test_newest_image_is_of_the_release(side: Side, release: WindowsRelease) -> None:
    image = side.port.image(release=release)
    assert image.release is release
    assert image.root_size_gb >= 30


def test_image_that_is_not_there_is_not_found(side: Side) -> None:
    with pytest.raises(NotFoundError):
        side.port.image(release=WindowsRelease.WS2019, image_id="ami-0000000000000dead")


def test_zones_offer_a_known_type_and_no_unknown_one(side: Side) -> None:
    assert "eu-west-1a" in side.port.zones_offering("m5.xlarge")
    assert side.port.zones_offering("m5.huge") == frozenset()


def test_launch_gives_a_pending_windows_instance_in_the_subnet(side: Side) -> None:
    desired = side.desired("game-10")
    launched = side.port.launch(desired, TOKEN + "10")
    assert launched.is_windows
    assert launched.is_ours
    assert launched.node == "game-10"
    assert launched.state in (InstanceState.PENDING, InstanceState.RUNNING)
    assert launched.subnet_id == desired.subnet.subnet_id
    assert launched.private_ip
    assert launched.private_dns


def test_second_launch_of_a_node_finds_the_first(side: Side) -> None:
    desired = side.desired("game-11")
    first = side.port.launch(desired, TOKEN + "11")
    assert side.port.launch(desired, TOKEN + "11").instance_id == first.instance_id
    assert side.port.launch(desired, "another token").instance_id == first.instance_id


def test_node_whose_instance_is_gone_is_launched_again_under_the_same_token(side: Side) -> None:
    desired = side.desired("game-12")
    seen = set()
    for _ in range(3):
        launched = side.port.launch(desired, TOKEN + "12")
        side.port.terminate(launched.instance_id)
        seen.add(launched.instance_id)
    assert len(seen) == 3


def test_run_tag_is_not_part_of_the_launch_but_can_be_set(side: Side) -> None:
    launched = side.port.launch(side.desired("game-13"), TOKEN + "13")
    assert Tag.RUN.value not in launched.tags
    side.port.tag(launched.instance_id, {Tag.RUN.value: "run-2"})
    tags = find(side, launched.instance_id).tags
    assert tags[Tag.RUN.value] == "run-2"
    assert tags[Tag.NODE.value] == "game-13"


def test_terminated_instance_is_listed_as_terminated_and_terminates_again(side: Side) -> None:
    launched = side.port.launch(side.desired("game-14"), TOKEN + "14")
    side.port.terminate(launched.instance_id)
    side.port.terminate(launched.instance_id)
    assert not find(side, launched.instance_id).is_alive


def test_terminating_what_never_was_is_fine(side: Side) -> None:
    side.port.terminate(InstanceId("i-00000000000000bad"))


def test_console_is_empty_until_the_host_writes(side: Side) -> None:
    launched = side.port.launch(side.desired("game-15"), TOKEN + "15")
    side.write_console(launched.instance_id, "BOOTSTRAP-WINRM-CERT-SHA256 00ff\r\n")
    assert "BOOTSTRAP-WINRM-CERT-SHA256 00ff" in side.port.console_output(launched.instance_id)


def test_password_is_none_until_the_host_has_one(side: Side) -> None:
    launched = side.port.launch(side.desired("game-16"), TOKEN + "16")
    assert side.port.password(launched.instance_id, side.key) is None
    side.set_password(launched.instance_id, "pa55-Word-of-Windows")
    password = side.port.password(launched.instance_id, side.key)
    assert password == Secret("pa55-Word-of-Windows")


def test_wrong_private_key_is_refused_naming_the_key_pair(side: Side) -> None:
    launched = side.port.launch(side.desired("game-17"), TOKEN + "17")
    side.set_password(launched.instance_id, "pa55-Word-of-Windows")
    other = rsa.generate_private_key(65537, 2048)
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    with pytest.raises(AccessError, match="key pair 'kubernetes"):
        side.port.password(launched.instance_id, Secret(pem))


# -- the adapter alone --
@functools.cache
def plain_ec2(url: str) -> Any:
    return session().client("ec2", endpoint_url=url)


def raw(world: AwsWorld, instance_id: str) -> dict[str, Any]:
    found = plain_ec2(world.url).describe_instances(InstanceIds=[instance_id])
    instance: dict[str, Any] = found["Reservations"][0]["Instances"][0]
    return instance


def test_launched_instance_is_closed_down_as_promised(world: AwsWorld, adapter: Side) -> None:
    launched = adapter.port.launch(adapter.desired("game-20"), TOKEN + "20")
    found = raw(world, launched.instance_id)
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert found["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert "PublicIpAddress" not in found
    assert [group["GroupId"] for group in found["SecurityGroups"]] == list(
        adapter.facts().node_security_groups
    )
    assert found["IamInstanceProfile"]["Arn"].endswith(f"/nodes.{adapter.store.name}")


def test_volume_and_interface_carry_the_tags_and_the_volume_is_encrypted(
    world: AwsWorld, adapter: Side
) -> None:
    launched = adapter.port.launch(adapter.desired("game-21"), TOKEN + "21")
    adapter.port.tag(launched.instance_id, {Tag.RUN.value: "run-3"})
    found = raw(world, launched.instance_id)
    client = plain_ec2(world.url)
    mapping = found["BlockDeviceMappings"][0]
    assert mapping["Ebs"]["DeleteOnTermination"]
    volume = client.describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"][0]
    assert (volume["Encrypted"], volume["VolumeType"], volume["Size"]) == (True, "gp3", 80)
    nic_id = found["NetworkInterfaces"][0]["NetworkInterfaceId"]
    nic = client.describe_network_interfaces(NetworkInterfaceIds=[nic_id])["NetworkInterfaces"][0]
    for tags in (volume["Tags"], nic["TagSet"]):
        marks = {tag["Key"]: tag["Value"] for tag in tags}
        assert marks[Tag.NODE.value] == "game-21"
        assert marks[Tag.RUN.value] == "run-3"


def test_spot_and_public_address_are_given_only_when_asked_for(
    world: AwsWorld, adapter: Side
) -> None:
    desired = adapter.desired("game-22", spot=True, public_ip=True)
    found = raw(world, adapter.port.launch(desired, TOKEN + "22").instance_id)
    assert found["InstanceLifecycle"] == "spot"
    assert found["PublicIpAddress"]


def test_client_token_alone_keeps_a_launch_single(world: AwsWorld, adapter: Side) -> None:
    desired = adapter.desired("game-23")
    first = adapter.port.launch(desired, TOKEN + "23")
    # As when the tags of a fresh instance do not show in a list yet.
    client = plain_ec2(world.url)
    client.delete_tags(Resources=[first.instance_id], Tags=[{"Key": Tag.NODE.value}])
    assert adapter.port.launch(desired, TOKEN + "23").instance_id == first.instance_id


def test_ca_of_newer_kops_is_found_in_the_nodes_user_data(adapter: Side) -> None:
    bundle = adapter.facts().ca_bundle
    store = StoreDirectory(any_store())
    if int(store.kubernetes_version.split(".")[1]) < 26:
        assert bundle == ""
        return
    (certificate,) = x509.load_pem_x509_certificates(bundle.encode())
    assert certificate == x509.load_pem_x509_certificate(store.ca.certificate_pem.encode())


def test_api_addresses_are_where_the_world_serves_the_api(world: AwsWorld, adapter: Side) -> None:
    assert set(adapter.facts().api_addresses) <= set(world.api_addresses())


def test_cluster_that_is_in_another_region_or_account_is_not_found(adapter: Side) -> None:
    stranger = replace(adapter.store, name=ClusterName("stranger.example.com"))
    with pytest.raises(NotFoundError, match=r"no VPC of cluster stranger\.example\.com"):
        adapter.port.aws_facts(stranger)


def test_instance_type_that_does_not_exist_names_the_remedy(adapter: Side) -> None:
    desired = replace(adapter.desired("game-24"), instance_type="m5.huge")
    with pytest.raises(RemoteError) as caught:
        adapter.port.launch(desired, TOKEN + "24")
    assert "m5.huge" in caught.value.evidence
    assert "instance type" in caught.value.fix
    assert caught.value.command


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("capacity-error", RemoteError, "no capacity"),
        ("expired-credentials", AccessError, "have expired"),
        ("access-denied", AccessError, "may not do that"),
    ],
)
def test_named_fault_becomes_our_error(
    world: AwsWorld, adapter: Side, fault: str, kind: type[BootstrapError], message: str
) -> None:
    desired = adapter.desired("game-25")
    rule = world_fault(fault)
    assert rule
    world.inject(rule)
    try:
        with pytest.raises(kind, match=message):
            adapter.port.launch(desired, TOKEN + "25")
    finally:
        world.withdraw(fault)


def test_capacity_error_is_not_retried_though_it_is_http_500(
    world: AwsWorld, adapter: Side
) -> None:
    desired = adapter.desired("game-26")
    rule = world_fault("capacity-error")
    assert rule
    before = world.request_counts().get("ec2.RunInstances", 0)
    world.inject(rule)
    try:
        with pytest.raises(RemoteError):
            adapter.port.launch(desired, TOKEN + "26")
    finally:
        world.withdraw("capacity-error")
    assert world.request_counts()["ec2.RunInstances"] == before + 1


def test_throttled_call_is_tried_again(world: AwsWorld, adapter: Side) -> None:
    world.inject(
        FaultRule(
            name="once",
            service="ec2",
            actions=frozenset({"DescribeInstances"}),
            code="RequestLimitExceeded",
            message="Request limit exceeded.",
            status=503,
            times=1,
        )
    )
    assert adapter.port.instances(adapter.store.name)


# -- errors that no world is needed for --
def stubbed(service: str = "ec2") -> tuple[Ec2InstanceStore, Stubber]:
    client: Any = session().client(service)  # type: ignore[call-overload]
    return Ec2InstanceStore(AwsClients(session(), made={service: client})), Stubber(client)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("InvalidClientTokenId", AccessError),
        ("UnauthorizedOperation", AccessError),
        ("RequestExpired", AccessError),
        ("IdempotentParameterMismatch", ConflictError),
        ("InvalidSubnetID.NotFound", NotFoundError),
        ("VcpuLimitExceeded", RemoteError),
        ("InsufficientFreeAddressesInSubnet", RemoteError),
        ("RequestLimitExceeded", RemoteError),
        ("SomethingNew", RemoteError),
    ],
)
def test_error_code_decides_what_kind_of_error_it_is(code: str, kind: type[BootstrapError]) -> None:
    port, stub = stubbed()
    stub.add_client_error("start_instances", code, "because")
    with stub, pytest.raises(kind) as caught:
        port.start(InstanceId("i-1"))
    assert type(caught.value) is kind
    assert caught.value.evidence == f"{code}: because (operation StartInstances)"
    assert caught.value.target == "i-1"


def test_missing_image_parameter_is_not_found() -> None:
    port, stub = stubbed("ssm")
    stub.add_client_error("get_parameter", "ParameterNotFound", "")
    with stub, pytest.raises(NotFoundError):
        port.image(release=WindowsRelease.WS2025)


def test_console_falls_back_where_it_is_not_live() -> None:
    port, stub = stubbed()
    stub.add_client_error("get_console_output", "UnsupportedOperation", "not on this type")
    stub.add_response("get_console_output", {"InstanceId": "i-1", "Output": "Ym9vdA=="})
    with stub:
        assert port.console_output(InstanceId("i-1"))


def test_console_without_output_is_empty() -> None:
    port, stub = stubbed()
    stub.add_response("get_console_output", {"InstanceId": "i-1"})
    with stub:
        assert port.console_output(InstanceId("i-1")) == ""


def test_missing_credentials_are_an_access_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    port = Ec2InstanceStore(AwsClients(boto3.Session(), region="eu-west-1", config=QUICK))
    with pytest.raises(AccessError, match="no usable AWS credentials"):
        port.caller()


def test_endpoint_where_nobody_listens_is_a_remote_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    port = Ec2InstanceStore(AwsClients(session(), config=QUICK))
    with pytest.raises(RemoteError, match="cannot be reached"):
        port.caller()


def test_missing_region_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no AWS region"):
        AwsClients(boto3.Session())("ec2")


def test_unknown_profile_is_an_access_error() -> None:
    with pytest.raises(AccessError, match="no AWS profile 'nobody'"):
        open_session("nobody")


def password_error(key: str) -> AccessError:
    port, stub = stubbed()
    with stub, pytest.raises(AccessError) as caught:
        port.password(InstanceId("i-1"), Secret(key))
    return caught.value


def test_key_that_is_none_is_refused_before_aws_is_asked() -> None:
    assert "cannot be read" in password_error("no key").message


def test_key_that_is_not_rsa_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert "not RSA" in password_error(pem).message


def test_image_without_a_telling_name_has_no_release() -> None:
    port, stub = stubbed()
    image = {"ImageId": "ami-1", "Name": "golden", "RootDeviceName": "/dev/sda1"}
    stub.add_response("describe_images", {"Images": [image]})
    with stub:
        assert port.image(release=WindowsRelease.WS2019, image_id="ami-1") == ImageFacts(
            image_id="ami-1", name="golden", release=None, root_device="/dev/sda1", root_size_gb=0
        )
