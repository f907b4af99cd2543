"""What moto's EC2 lacks, told to its backend: idempotent launches, states, passwords, capacity.

Only attributes of one backend object are replaced (``install`` lists them all), never moto's
classes; ``aws_moto.forget_everything`` drops that object and with it the changes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, StateReason

from bootstrap.sandbox.aws_launch import launch_source

_NO_TOKEN = "ABCDE"
"""What moto fills in for a RunInstances without ClientToken."""


class EventKind(StrEnum):
    """What happened to an instance."""

    LAUNCHED = "launched"
    STARTED = "started"
    REBOOTED = "rebooted"
    STOPPED = "stopped"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class _Launch:
    """A launch by client token: what was asked, and the reservation it led to."""

    parameters: object
    reservation: Any


class _ResourceNamedInstance(Instance):
    """An instance of a subnet whose host names are of the type ``resource-name``.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/hostname-types.html; newer kops sets it on every
    subnet, and moto goes on naming instances by address.
    """

    @property
    def private_dns_name(self) -> str:
        """``i-0123456789abcdef0.eu-west-1.compute.internal``."""
        is_first = self.region_name == "us-east-1"
        suffix = "ec2" if is_first else f"{self.region_name}.compute"
        return f"{self.id}.{suffix}.internal"


class Ec2Additions:
    """Stand between moto's request handlers and its EC2 backend of one region."""

    def __init__(self, backend: Any, publish: Callable[[EventKind, str], None]) -> None:
        self._ec2 = backend
        self._publish = publish
        self._launches: dict[str, _Launch] = {}
        self._passwords: dict[str, str] = {}
        self._run, self._start = backend.run_instances, backend.start_instances
        self._stop, self._reboot = backend.stop_instances, backend.reboot_instances
        self._terminate = backend.terminate_instances

    def install(self) -> None:
        """Put the methods of this object in the place of moto's; after a replay, never before."""
        self._ec2.run_instances = self.run_instances
        self._ec2.start_instances = self.start_instances
        self._ec2.stop_instances = self.stop_instances
        self._ec2.reboot_instances = self.reboot_instances
        self._ec2.terminate_instances = self.terminate_instances
        self._ec2.get_password_data = self.password_data

    def run_instances(
        self, image_id: str, count: int, user_data: Any, security_group_names: Any, **options: Any
    ) -> Any:
        """Launch once per client token, into a subnet and zone that can take the instance.

        docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html: the same token with the
        same parameters gives the first result, with others IdempotentParameterMismatch, and after
        termination IdempotentInstanceTerminated (API error codes).
        """
        token = str(options.get("client_token") or _NO_TOKEN)
        parameters = _frozen([image_id, count, user_data, security_group_names, options])
        if token in self._launches:
            return self._repeat(token, parameters)
        self._require_room(count, options)
        reservation = self._run(image_id, count, user_data, security_group_names, **options)
        for instance in reservation.instances:
            self.complete(instance)
            for nic in instance.nics.values():
                # moto tags instances and volumes only; RunInstances takes network-interface too.
                nic.add_tags((options.get("tags") or {}).get("network-interface") or {})
            _set_state(instance, "pending", 0)
            self._publish(EventKind.LAUNCHED, instance.id)
        if token != _NO_TOKEN:
            self._launches[token] = _Launch(parameters, reservation)
        return reservation

    def _repeat(self, token: str, parameters: object) -> Any:
        launch = self._launches[token]
        if launch.parameters != parameters:
            raise EC2ClientError(
                "IdempotentParameterMismatch",
                "The client token you have provided is associated with a resource"
                " that is already deleted or has different parameters.",
            )
        instances = launch.reservation.instances
        if all(instance.state == "terminated" for instance in instances):
            raise EC2ClientError(
                "IdempotentInstanceTerminated",
                "The client token you have provided is associated with an instance"
                " that has been terminated.",
            )
        for instance in instances:
            # moto associates the profile after every RunInstances, and refuses to do so twice.
            self._ec2.iam_instance_profile_associations.pop(instance.id, None)
        return launch.reservation

    def _require_room(self, count: int, options: dict[str, Any]) -> None:
        nics = options.get("nics") or [{}]
        subnet_id = options.get("subnet_id") or nics[0].get("SubnetId")
        if not subnet_id:
            return
        subnet = self._ec2.get_subnet(subnet_id)
        if subnet.available_ip_address_count < count:
            raise EC2ClientError(
                "InsufficientFreeAddressesInSubnet",
                f"There are not enough free addresses in subnet '{subnet_id}' to satisfy the"
                " requested number of instances.",
            )
        wanted = str(options.get("instance_type") or "")
        offered = self._ec2.describe_instance_type_offerings(
            "availability-zone", {"instance-type": [wanted], "location": [subnet.availability_zone]}
        )
        if not offered and not self._is_known_type(wanted):
            raise EC2ClientError(
                "InvalidParameterValue", f"Invalid value '{wanted}' for InstanceType."
            )
        if not offered:
            raise EC2ClientError(
                "Unsupported",
                f"Your requested instance type ({wanted}) is not supported in your requested"
                f" Availability Zone ({subnet.availability_zone}).",
            )

    def _is_known_type(self, instance_type: str) -> bool:
        return bool(
            self._ec2.describe_instance_type_offerings("region", {"instance-type": [instance_type]})
        )

    def complete(self, instance: Any) -> None:
        """Fill what moto leaves out of an instance, most of all those of Auto Scaling groups.

        AutoScaling applies the whole launch template or configuration,
        docs.aws.amazon.com/autoscaling/ec2/userguide/launch-templates.html
        """
        instance.region_name = self._ec2.region_name
        primary = instance.nics[0]
        if primary.subnet.private_dns_name_options_on_launch["HostnameType"] == "resource-name":
            instance.__class__ = _ResourceNamedInstance
        source = launch_source(self._ec2, instance)
        if source.groups and not instance.security_groups:
            groups = [self._ec2.get_security_group_from_id(group) for group in source.groups]
            primary._group_set = [group for group in groups if group]
        if not instance.security_groups:
            instance.security_groups = list(primary._group_set)
        if source.profile and not instance.iam_instance_profile:
            self._ec2.associate_iam_instance_profile(
                instance.id, iam_instance_profile_name=source.profile
            )
        if source.metadata:
            instance.metadata_options.http_tokens = source.metadata.get("HttpTokens", "optional")
        instance.key_name = instance.key_name or source.key_name
        if source.public_ip and not primary.public_ip:
            primary.public_ip_auto_assign = True
            primary.start()
        primary.private_dns_name = instance.private_dns_name
        primary.delete_on_termination = True

    def start_instances(self, instance_ids: list[str]) -> Any:
        """Start; the instance is ``pending`` until its turn comes."""
        started = self._start(instance_ids)
        for instance, previous in started:
            if previous.name in ("stopped", "stopping"):
                _set_state(instance, "pending", 0)
                self._publish(EventKind.STARTED, instance.id)
        return started

    def stop_instances(self, instance_ids: list[str]) -> Any:
        """Stop."""
        stopped = self._stop(instance_ids)
        for instance, previous in stopped:
            if previous.name in ("running", "pending"):
                self._publish(EventKind.STOPPED, instance.id)
        return stopped

    def reboot_instances(self, instance_ids: list[str]) -> Any:
        """Reboot."""
        rebooted = self._reboot(instance_ids)
        for instance in rebooted:
            self._publish(EventKind.REBOOTED, instance.id)
        return rebooted

    def terminate_instances(self, instance_ids: list[str]) -> Any:
        """Terminate, and delete the primary interface.

        EC2 deletes it with the instance (docs: API_InstanceNetworkInterfaceSpecification,
        DeleteOnTermination is true for one made at launch). Its address is not given out again
        while the sandbox lives, so that no new host meets an old one's listener.
        """
        for instance in self._ec2.get_multi_instances_by_id(instance_ids):
            for nic in instance.nics.values():
                nic.delete_on_termination = False
        terminated = self._terminate(instance_ids)
        for instance, previous in terminated:
            if previous.name == "terminated":
                continue
            for nic in instance.nics.values():
                self._ec2.enis.pop(nic.id, None)
            self._publish(EventKind.TERMINATED, instance.id)
        return terminated

    def fail(self, instance_id: str, code: str, message: str) -> None:
        """Let an instance die by itself, as EC2 does when the hardware or a volume fails."""
        self.terminate_instances([instance_id])
        instance = self._ec2.get_instance(instance_id)
        instance._reason = message
        instance.state_reason = StateReason(message, code)

    def mark_running(self, instance_id: str) -> None:
        """Let a pending instance run; one in another state stays as it is."""
        instance = self._ec2.get_instance(instance_id)
        if instance.state == "pending":
            _set_state(instance, "running", 16)

    def set_password(self, instance_id: str, password: str) -> None:
        """Give the Administrator password that GetPasswordData shows from now on."""
        self._passwords[instance_id] = password

    def password_data(self, instance_id: str) -> str:
        """Encrypt the password to the instance's key pair.

        docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetPasswordData.html: empty until
        EC2Launch has made the password, and without a key pair; RSA with PKCS#1 v1.5, base64.
        """
        instance = self._ec2.get_instance(instance_id)
        password = self._passwords.get(instance_id)
        pair = self._ec2.key_pairs.get(instance.key_name or "")
        if not password or pair is None:
            return ""
        key = _public_key(pair.material_public)
        return base64.b64encode(key.encrypt(password.encode(), padding.PKCS1v15())).decode()


def _public_key(material: bytes | str) -> rsa.RSAPublicKey:
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    data = material if isinstance(material, bytes) else material.encode()
    key = load_ssh_public_key(data)
    if not isinstance(key, rsa.RSAPublicKey):
        # docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-key-pairs.html: Windows needs RSA.
        raise EC2ClientError("InvalidParameterCombination", "Key pair is not of type RSA.")
    return key


def _set_state(instance: Any, name: str, code: int) -> None:
    instance._state.name, instance._state.code = name, code


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted((str(key), _frozen(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    return str(value)  # moto's own types for base64 text compare by identity.
