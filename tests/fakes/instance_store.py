"""An EC2 in memory that obeys the same contract as the adapter (tests/adapters/test_ec2.py)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bootstrap.errors import AccessError, BootstrapError, NotFoundError
from bootstrap.model.cluster import (
    AwsFacts,
    ClusterName,
    SecurityGroupId,
    StoreFacts,
    SubnetId,
    VpcId,
)
from bootstrap.model.node import (
    DesiredNode,
    ImageFacts,
    InstanceId,
    InstanceState,
    ObservedInstance,
    Tag,
    WindowsRelease,
)
from bootstrap.model.secret import Secret


@dataclass(kw_only=True)
class FakeInstanceStore:
    """Implements ``ports.InstanceStore``; tests read and set its fields.

    ``failures`` maps a method name to an error that its next call raises.
    """

    region: str = "eu-west-1"
    account: str = "123456789012"
    zones: frozenset[str] = frozenset({"eu-west-1a", "eu-west-1b"})
    known_types: frozenset[str] = frozenset({"m5.large", "m5.xlarge"})
    private_key: str = "right key"
    found: dict[InstanceId, ObservedInstance] = field(default_factory=dict)
    consoles: dict[InstanceId, str] = field(default_factory=dict)
    passwords: dict[InstanceId, str] = field(default_factory=dict)
    launches: list[tuple[DesiredNode, str]] = field(default_factory=list)
    failures: dict[str, BootstrapError] = field(default_factory=dict)
    _number: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def caller(self) -> tuple[str, str]:
        self._fail("caller")
        return self.account, f"arn:aws:iam::{self.account}:user/tester"

    def aws_facts(self, store: StoreFacts) -> AwsFacts:
        self._fail("aws_facts")
        return AwsFacts(
            region=self.region,
            account=self.account,
            vpc_id=VpcId("vpc-1"),
            vpc_cidr=store.vpc_cidr,
            subnets=tuple(
                replace(
                    subnet,
                    subnet_id=SubnetId(subnet.subnet_id or f"subnet-{subnet.name}"),
                    available_addresses=250,
                )
                for subnet in store.subnets
            ),
            node_security_groups=(SecurityGroupId("sg-nodes"),),
            node_instance_profile=f"nodes.{store.name}",
            key_name=store.ssh_key_name or f"kubernetes.{store.name}",
            key_type="rsa",
            api_addresses=("172.20.0.5",),
            bastion_host=store.bastion_host,
            ca_bundle=store.ca_bundle,
        )

    def image(self, *, release: WindowsRelease, image_id: str = "") -> ImageFacts:
        self._fail("image")
        if image_id and image_id != f"ami-{release.value}":
            raise NotFoundError(f"there is no image {image_id}", target=image_id)
        return ImageFacts(
            image_id=f"ami-{release.value}",
            name=f"Windows_Server-{release.value}-English-Core-Base-2026.08.13",
            release=release,
            root_device="/dev/sda1",
            root_size_gb=30,
        )

    def zones_offering(self, instance_type: str) -> frozenset[str]:
        self._fail("zones_offering")
        return self.zones if instance_type in self.known_types else frozenset()

    def instances(self, cluster: ClusterName) -> tuple[ObservedInstance, ...]:
        """List; what was pending when it is seen runs the next time."""
        self._fail("instances")
        seen = tuple(
            one for one in self.found.values() if one.tags.get("KubernetesCluster") == cluster
        )
        for one in seen:
            if one.state is InstanceState.PENDING:
                self.found[one.instance_id] = replace(one, state=InstanceState.RUNNING)
        return seen

    def launch(self, desired: DesiredNode, client_token: str) -> ObservedInstance:
        self._fail("launch")
        for one in self.found.values():
            if (
                one.is_alive
                and one.node == desired.name
                and one.tags[Tag.CLUSTER] == desired.cluster
            ):
                return one
        number = next(self._number)
        address = f"172.20.32.{number + 3}"
        launched = ObservedInstance(
            instance_id=InstanceId(f"i-{number:017x}"),
            state=InstanceState.PENDING,
            private_ip=address,
            private_dns=f"ip-{address.replace('.', '-')}.{self.region}.compute.internal",
            zone=desired.subnet.zone,
            subnet_id=desired.subnet.subnet_id,
            image_id=desired.image.image_id,
            instance_type=desired.instance_type,
            launched_at="2026-01-01T00:00:00Z",
            tags={key: value for key, value in desired.tags.items() if key != Tag.RUN},
            client_token=client_token,
            is_windows=True,
        )
        self.found[launched.instance_id] = launched
        self.launches.append((desired, client_token))
        return launched

    def start(self, instance_id: InstanceId) -> None:
        self._fail("start")
        self.found[instance_id] = replace(self._known(instance_id), state=InstanceState.PENDING)

    def tag(self, instance_id: InstanceId, tags: Mapping[str, str]) -> None:
        self._fail("tag")
        one = self._known(instance_id)
        self.found[instance_id] = replace(one, tags={**one.tags, **tags})

    def terminate(self, instance_id: InstanceId) -> None:
        self._fail("terminate")
        if instance_id in self.found:
            one = self.found[instance_id]
            self.found[instance_id] = replace(one, state=InstanceState.TERMINATED)

    def console_output(self, instance_id: InstanceId) -> str:
        self._fail("console_output")
        self._known(instance_id)
        return self.consoles.get(instance_id, "")

    def password(self, instance_id: InstanceId, private_key: Secret) -> Secret | None:
        self._fail("password")
        self._known(instance_id)
        password = self.passwords.get(instance_id)
        if password is None:
            return None
        if private_key.reveal() != self.private_key:
            raise AccessError("the private key is not the one of key pair 'kubernetes'")
        return Secret(password)

    def _known(self, instance_id: InstanceId) -> ObservedInstance:
        if instance_id not in self.found:
            raise NotFoundError(f"there is no instance {instance_id}", target=instance_id)
        return self.found[instance_id]

    def _fail(self, method: str) -> None:
        error = self.failures.pop(method, None)
        if error is not None:
            raise error
