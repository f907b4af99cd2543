"""Completes a replayed AWS account with what moto leaves out and a running cluster would have.

Bare Auto Scaling instances, load balancers without network interfaces, placeholder DNS records,
no Windows parameters, no host name types. All of it happens once, after the replay.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.sandbox import aws_moto
from bootstrap.sandbox.addresses import AddressMap
from bootstrap.sandbox.aws_ec2 import Ec2Additions
from bootstrap.sandbox.store import StoreDirectory

PLACEHOLDER = "203.0.113.123"
"""What kops writes until dns-controller runs (kops pkg/dns/..., ``PlaceholderIP``)."""
_WINDOWS_RELEASES = ("2019", "2022", "2025")
_WINDOWS_ROOT_GB = 30
"""docs.aws.amazon.com/AWSEC2/latest/WindowsGuide: root volumes of Windows AMIs are 30 GiB."""
_CONTROL_PLANE_TAGS = ("k8s.io/role/master", "k8s.io/role/control-plane")


class Account:
    """The objects of one region after the replay."""

    def __init__(self, store: StoreDirectory, addresses: AddressMap, public_key: str) -> None:
        self._store = store
        self._addresses = addresses
        self._public_key = public_key
        self.region = store.region
        self.ec2 = aws_moto.ec2(self.region)
        self._interfaces: dict[str, list[Any]] = {}

    def complete(self, additions: Ec2Additions, hostname_types: Mapping[str, str]) -> None:
        """Fill in everything; needs the replay to be over and must not run twice."""
        for subnet_id, kind in hostname_types.items():
            options = self.ec2.get_subnet(subnet_id).private_dns_name_options_on_launch
            options["HostnameType"] = kind
        self._put_store_objects()
        self._import_missing_keys()
        for instance in self.ec2.all_instances():
            self._add_group_tags(instance)
            additions.complete(instance)
        self._add_load_balancer_interfaces()
        self._replace_placeholders()
        self._publish_windows_images()

    def control_plane(self) -> list[Any]:
        """moto's instances of the control plane that are alive."""
        return [
            instance
            for instance in self.ec2.all_instances()
            if instance.state in ("pending", "running")
            and any(tag["key"] in _CONTROL_PLANE_TAGS for tag in instance.get_tags())
        ]

    def load_balancer_addresses(self, dns_name: str) -> list[str]:
        """Private addresses of the load balancer of that DNS name, [] for any other name."""
        return [nic.private_ip_address for nic in self._interfaces.get(dns_name.lower(), [])]

    def own_addresses(self, name: str) -> list[str]:
        """Private addresses behind a name that Amazon gives: load balancer or instance."""
        found = self.load_balancer_addresses(name)
        return found or [
            instance.private_ip
            for instance in self.ec2.all_instances()
            if instance.state != "terminated" and instance.private_dns_name == name
        ]

    def api_addresses(self) -> list[str]:
        """Every address that serves the API on 443: control plane and API load balancers."""
        found = [instance.private_ip for instance in self.control_plane()]
        for balancer in aws_moto.load_balancers(self.region):
            if not balancer.name.startswith("bastion"):
                found += self.load_balancer_addresses(balancer.dns_name)
        return found

    def _put_store_objects(self) -> None:
        backend, bucket = aws_moto.s3(), self._store.state_bucket
        if bucket not in backend.buckets:
            backend.create_bucket(bucket, self.region)
        for key, file in self._store.s3_objects.items():
            backend.put_object(bucket, key, self._moved(file.read_bytes()))

    def _moved(self, data: bytes) -> bytes:
        try:
            return self._addresses.rewrite(data.decode()).encode()
        except UnicodeDecodeError:
            return data

    def _import_missing_keys(self) -> None:
        # A cluster with sshKeyName uses a key that was there before kops and is in no recording.
        versions = [t.latest_version().data for t in self.ec2.launch_templates.values()]
        configurations = aws_moto.autoscaling(self.region).launch_configurations.values()
        names = {data.get("KeyName") for data in versions} | {c.key_name for c in configurations}
        for name in sorted(name for name in names if name):
            if name not in self.ec2.key_pairs:
                self.ec2.import_key_pair(name, self._public_key.encode(), {})

    def _add_group_tags(self, instance: Any) -> None:
        group = getattr(instance, "autoscaling_group", None)
        if group is not None:
            present = {tag["key"] for tag in instance.get_tags()}
            wanted = dict(group.get_propagated_tags())
            instance.add_tags({k: v for k, v in wanted.items() if k not in present})

    def _add_load_balancer_interfaces(self) -> None:
        # docs.aws.amazon.com/elasticloadbalancing/latest/network: one interface per subnet; its
        # description is "ELB net/<name>/<id>", a classic balancer's "ELB <name>".
        for balancer in aws_moto.load_balancers(self.region):
            arn = str(getattr(balancer, "arn", ""))
            is_network = getattr(balancer, "type", "") == "network"
            description = f"ELB {balancer.name}"
            if is_network:
                description = f"ELB net/{balancer.name}/{arn.rsplit('/', 1)[-1]}"
            self._interfaces[balancer.dns_name.lower()] = [
                self._interface(subnet, description, balancer, is_network=is_network)
                for subnet in balancer.subnets
            ]

    def _interface(self, subnet: Any, text: str, balancer: Any, *, is_network: bool) -> Any:
        subnet = self.ec2.get_subnet(subnet) if isinstance(subnet, str) else subnet
        nic = self.ec2.create_network_interface(
            subnet,
            subnet.get_available_subnet_ip(instance=None),
            group_ids=list(balancer.security_groups or []),
            description=text,
        )
        nic.interface_type = "network_load_balancer" if is_network else "interface"
        nic.requester_managed, nic.requester_id, nic.status = True, "amazon-elb", "in-use"
        return nic

    def _replace_placeholders(self) -> None:
        """Write what dns-controller writes: internal names to private, public ones to public IPs.

        kops dns-controller/pkg/watchers/node.go and pod.go; a record it does not own stays.
        """
        nodes = self.control_plane()
        private = [node.private_ip for node in nodes]
        public = [node.public_ip for node in nodes if node.public_ip] or private
        cluster = self._store.cluster_name
        for record in self._records():
            if record.type == "A" and PLACEHOLDER in (record.records or []):
                is_public = record.name.rstrip(".") == f"api.{cluster}"
                record.records = list(public if is_public else private)

    def _records(self) -> Iterator[Any]:
        for zone in aws_moto.route53().zones.values():
            yield from zone.rrsets

    def _publish_windows_images(self) -> None:
        # docs.aws.amazon.com/systems-manager: public parameters /aws/service/ami-windows-latest
        from moto.ssm.models import Parameter

        # moto never asks its own model what the CloudFormation base class wants of it.
        make: Any = Parameter
        parameters = aws_moto.ssm(self.region)._parameters
        for image in self.ec2.amis.values():
            if image.platform != "windows":
                continue
            image.__class__ = _windows_image_class(type(image))
            release, edition = _windows_edition(image.name)
            if release not in _WINDOWS_RELEASES:
                continue
            name = (
                f"/aws/service/ami-windows-latest/Windows_Server-{release}-English-{edition}-Base"
            )
            parameters[name].append(
                make(
                    account_id=aws_moto.ACCOUNT,
                    name=name,
                    value=image.id,
                    parameter_type="String",
                    description=None,
                    allowed_pattern=None,
                    keyid=None,
                    last_modified_date=datetime.datetime(2026, 8, 13, tzinfo=datetime.UTC),
                    version=1,
                    data_type="aws:ec2:image",
                )
            )


def _windows_edition(name: str) -> tuple[str, str]:
    """Return release and edition of ``Windows_Server-2019-English-Core-Base-2026.08.13``."""
    parts = name.split("-")
    return (parts[1], parts[3]) if len(parts) > 4 else ("", "")


def _windows_image_class(base: type) -> Any:
    """moto says that every root volume has 15 GiB, in a property, so it takes a class to differ."""
    if base.__name__ == "WindowsAmi":
        return base

    def mappings(self: Any) -> list[dict[str, Any]]:
        found = list(base.block_device_mappings.fget(self))  # type: ignore[attr-defined]
        found[0]["Ebs"] |= {
            "VolumeSize": _WINDOWS_ROOT_GB,
            "VolumeType": "gp2",
            "DeleteOnTermination": True,
        }
        return found

    return type("WindowsAmi", (base,), {"block_device_mappings": property(mappings)})
