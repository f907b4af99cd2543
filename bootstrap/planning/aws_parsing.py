"""Reads EC2's answers into our types, and writes a launch as EC2 wants it. Pure; no boto3 here.

Names and tags of what kops makes: kops ``upup/pkg/fi/cloudup`` and ``pkg/model/awsmodel``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bootstrap.model.cluster import SecurityGroupId, StoreFacts, Subnet, SubnetId, SubnetType
from bootstrap.model.node import (
    DesiredNode,
    ImageFacts,
    InstanceId,
    InstanceState,
    ObservedInstance,
    Tag,
    WindowsRelease,
)

Document = Mapping[str, object]

CONTROL_PLANE_TAGS = ("k8s.io/role/master", "k8s.io/role/control-plane")
_RELEASE_IN_NAME = re.compile(r"Windows_Server-(2019|2022|2025)\b")

_CERTIFICATE = re.compile(
    r"[\s|+-]*?(-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----)"
)

_SPOT = {
    "MarketType": "spot",
    "SpotOptions": {
        "SpotInstanceType": "one-time",
        "InstanceInterruptionBehavior": "terminate",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinuxLaunch:
    """What the Linux nodes are launched with, from a launch template or configuration."""

    security_groups: tuple[SecurityGroupId, ...] = ()
    instance_profile: str = ""
    key_name: str = ""
    user_data: str = ""
    """Clear text, '' when there is none."""


def text(document: Document, name: str) -> str:
    """Return a field as text, '' when it is missing."""
    value = document.get(name)
    return "" if value is None else str(value)


def part(document: Document, name: str) -> Document:
    """Return a nested object, an empty one when it is missing."""
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def items(document: Document, name: str) -> Iterator[Document]:
    """Yield the objects of a list field."""
    value = document.get(name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from (item for item in value if isinstance(item, Mapping))


def texts(document: Document, name: str) -> tuple[str, ...]:
    """Return the texts of a list field."""
    value = document.get(name)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ()
    return tuple(str(item) for item in value)


def number(document: Document, name: str) -> int | None:
    """Return a whole number, None when it is missing."""
    value = document.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def tags(document: Document) -> dict[str, str]:
    """Return ``Tags`` as a mapping."""
    return {text(tag, "Key"): text(tag, "Value") for tag in items(document, "Tags")}


def instances(pages: Iterable[Document]) -> Iterator[ObservedInstance]:
    """Read pages of DescribeInstances, or one answer of RunInstances."""
    for page in pages:
        for reservation in (page, *items(page, "Reservations")):
            yield from (instance(found) for found in items(reservation, "Instances"))


def instance(document: Document) -> ObservedInstance:
    """Read one instance."""
    reason = part(document, "StateReason")
    launched = document.get("LaunchTime")
    strftime = getattr(launched, "strftime", None)
    return ObservedInstance(
        instance_id=InstanceId(text(document, "InstanceId")),
        state=InstanceState(text(part(document, "State"), "Name")),
        private_ip=text(document, "PrivateIpAddress"),
        private_dns=text(document, "PrivateDnsName"),
        public_ip=text(document, "PublicIpAddress"),
        zone=text(part(document, "Placement"), "AvailabilityZone"),
        subnet_id=text(document, "SubnetId"),
        image_id=text(document, "ImageId"),
        instance_type=text(document, "InstanceType"),
        launched_at=strftime("%Y-%m-%dT%H:%M:%SZ") if strftime else str(launched or ""),
        tags=tags(document),
        state_reason=text(reason, "Message") or text(document, "StateTransitionReason"),
        client_token=text(document, "ClientToken"),
        is_windows=text(document, "Platform").lower() == "windows",
    )


def attachments(document: Document) -> tuple[str, ...]:
    """Return the ids of an instance's volumes and network interfaces."""
    volumes = [
        text(part(mapping, "Ebs"), "VolumeId") for mapping in items(document, "BlockDeviceMappings")
    ]
    interfaces = [
        text(interface, "NetworkInterfaceId") for interface in items(document, "NetworkInterfaces")
    ]
    return tuple(name for name in (*volumes, *interfaces) if name)


def subnet(document: Document, store: StoreFacts) -> Subnet:
    """Read one subnet; kops' name is in the Name tag, or in the spec for a shared one."""
    subnet_id = text(document, "SubnetId")
    found = tags(document)
    name = found.get("Name", "").removesuffix(f".{store.name}")
    spec = next((known for known in store.subnets if known.subnet_id == subnet_id), None)
    if spec is None:
        spec = next((known for known in store.subnets if known.name == name), None)
    kind = found.get("SubnetType", "")
    default_kind = spec.type if spec else SubnetType.PRIVATE
    return Subnet(
        name=spec.name if spec else "",
        type=SubnetType(kind) if kind in set(SubnetType) else default_kind,
        zone=text(document, "AvailabilityZone"),
        cidr=text(document, "CidrBlock"),
        subnet_id=SubnetId(subnet_id),
        shared=found.get(f"kubernetes.io/cluster/{store.name}") == "shared"
        or bool(spec and spec.shared),
        egress=spec.egress if spec else "",
        available_addresses=number(document, "AvailableIpAddressCount"),
    )


def image(document: Document) -> ImageFacts:
    """Read one image."""
    root = text(document, "RootDeviceName")
    sizes = [
        number(part(mapping, "Ebs"), "VolumeSize")
        for mapping in items(document, "BlockDeviceMappings")
        if text(mapping, "DeviceName") == root
    ]
    name = text(document, "Name")
    release = _RELEASE_IN_NAME.search(name) or _RELEASE_IN_NAME.search(
        text(document, "ImageLocation")
    )
    return ImageFacts(
        image_id=text(document, "ImageId"),
        name=name,
        release=WindowsRelease(release[1]) if release else None,
        root_device=root,
        root_size_gb=(sizes[0] if sizes else None) or 0,
    )


def launch_template(data: Document) -> LinuxLaunch:
    """Read ``LaunchTemplateData`` (kops >= 1.19)."""
    interface = next(items(data, "NetworkInterfaces"), {})
    groups = texts(interface, "Groups") or texts(data, "SecurityGroupIds")
    profile = part(data, "IamInstanceProfile")
    return LinuxLaunch(
        security_groups=tuple(SecurityGroupId(group) for group in groups),
        instance_profile=text(profile, "Name") or text(profile, "Arn").rsplit("/", 1)[-1],
        key_name=text(data, "KeyName"),
        user_data=_decoded(text(data, "UserData")),
    )


def launch_configuration(document: Document) -> LinuxLaunch:
    """Read a launch configuration (kops <= 1.18)."""
    groups = texts(document, "SecurityGroups")
    return LinuxLaunch(
        security_groups=tuple(SecurityGroupId(group) for group in groups),
        instance_profile=text(document, "IamInstanceProfile").rsplit("/", 1)[-1],
        key_name=text(document, "KeyName"),
        user_data=_decoded(text(document, "UserData")),
    )


def ca_from_user_data(user_data: str) -> str:
    """Return the cluster CA that kops puts into a node's user data, '' when there is none.

    ``ConfigServer.CACertificates`` of kube_env.yaml, kops >= 1.26 (``pkg/apis/nodeup/config.go``);
    older nodes read it from the store.
    """
    _, _, block = user_data.partition("CACertificates:")
    texts = ("".join(f"{line.strip()}\n" for line in pem.splitlines()) for pem in _pems(block))
    return "".join(texts)


def _pems(block: str) -> Iterator[str]:
    # Only the certificates that follow at once; others in the text are somebody else's.
    position = 0
    while found := _CERTIFICATE.match(block, position):
        yield found[1]
        position = found.end()


def launch_parameters(desired: DesiredNode, client_token: str) -> dict[str, object]:
    """Write a node as parameters of RunInstances.

    The run's own tag is left out: it would make a second run's parameters differ from the first's,
    and EC2 refuses that for the same client token (IdempotentParameterMismatch).
    """
    stable = sorted((key, value) for key, value in desired.tags.items() if key != Tag.RUN)
    marks = [{"Key": key, "Value": value} for key, value in stable]
    parameters: dict[str, object] = {
        "ImageId": desired.image.image_id,
        "InstanceType": desired.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": client_token,
        "UserData": desired.user_data,
        "InstanceInitiatedShutdownBehavior": "stop",
        # docs: AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html; with one hop
        # no pod can borrow the node's role.
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
        },
        "BlockDeviceMappings": [_root_volume(desired)],
        "NetworkInterfaces": [_interface(desired)],
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": marks}
            for kind in ("instance", "volume", "network-interface")
        ],
    }
    if desired.key_name:
        parameters["KeyName"] = desired.key_name
    if desired.instance_profile:
        field = "Arn" if desired.instance_profile.startswith("arn:") else "Name"
        parameters["IamInstanceProfile"] = {field: desired.instance_profile}
    if desired.pool.spot:
        parameters["InstanceMarketOptions"] = dict(_SPOT)
    return parameters


def _root_volume(desired: DesiredNode) -> dict[str, object]:
    volume = desired.pool.root_volume
    return {
        "DeviceName": desired.image.root_device,
        "Ebs": {
            # EC2 refuses a volume that is smaller than the image's.
            "VolumeSize": max(volume.size_gb, desired.image.root_size_gb),
            "VolumeType": volume.type,
            "Encrypted": volume.encrypted,
            "DeleteOnTermination": True,
        },
    }


def _interface(desired: DesiredNode) -> dict[str, object]:
    return {
        "DeviceIndex": 0,
        "SubnetId": desired.subnet.subnet_id,
        "Groups": list(desired.security_groups),
        "AssociatePublicIpAddress": desired.pool.public_ip,
        "DeleteOnTermination": True,
    }


def _decoded(user_data: str) -> str:
    try:
        return base64.b64decode(user_data).decode()
    except ValueError:
        return ""
