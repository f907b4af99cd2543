"""What a launch template or configuration says of an Auto Scaling group's instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSource:
    """The fields that moto does not apply by itself; empty where nothing is said."""

    groups: tuple[str, ...] = ()
    profile: str = ""
    key_name: str = ""
    public_ip: bool = False
    metadata: dict[str, Any] | None = None


def _from_template(data: dict[str, Any]) -> LaunchSource:
    interface = (data.get("NetworkInterfaces") or [{}])[0]
    profile = data.get("IamInstanceProfile") or {}
    return LaunchSource(
        groups=tuple(interface.get("Groups") or data.get("SecurityGroupIds") or ()),
        profile=profile.get("Name") or str(profile.get("Arn") or "").rsplit("/", 1)[-1],
        key_name=data.get("KeyName") or "",
        public_ip=str(interface.get("AssociatePublicIpAddress", "")).lower() == "true",
        metadata=data.get("MetadataOptions"),
    )


def launch_source(ec2: Any, instance: Any) -> LaunchSource:
    """Find what an instance was launched from; an empty answer for one launched by itself."""
    tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    template_id = tags.get("aws:ec2launchtemplate:id", "")
    if template_id in ec2.launch_templates:
        return _from_template(ec2.get_launch_template(template_id).latest_version().data)
    group = getattr(instance, "autoscaling_group", None)
    configuration = getattr(group, "launch_config", None)
    if configuration is None:
        return LaunchSource()
    return LaunchSource(
        groups=tuple(configuration.security_groups),
        profile=str(configuration.iam_instance_profile or "").rsplit("/", 1)[-1],
        key_name=configuration.key_name or "",
        public_ip=bool(configuration.associate_public_ip_address),
    )
