"""Finds in AWS what kops made for a cluster: by the names and tags it gives, or ids in the spec.

Names and tags: kops ``pkg/model/awsmodel``. A security group or profile that the user put in the
place of kops' own shows in the launch template of the Linux nodes, so that is asked first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import botocore.exceptions as errors

from bootstrap.adapters.ec2.clients import AwsClients, filters
from bootstrap.errors import NotFoundError
from bootstrap.model.cluster import (
    AwsFacts,
    GroupRole,
    NameResolution,
    SecurityGroupId,
    StoreFacts,
    Subnet,
    VpcId,
)
from bootstrap.planning import aws_failures, aws_parsing
from bootstrap.planning.aws_parsing import LinuxLaunch

_TAGS_PER_CALL = 20
"""elasticloadbalancing DescribeTags takes so many names."""


class ClusterLookup:
    """One look at the AWS objects of one cluster; boto3's errors come through as they are."""

    def __init__(self, clients: AwsClients, store: StoreFacts) -> None:
        self._clients = clients
        self._store = store

    def facts(self, account: str) -> AwsFacts:
        """Read everything."""
        vpc = self._vpc()
        vpc_id = aws_parsing.text(vpc, "VpcId")
        launch = self._linux_launch(vpc_id)
        return AwsFacts(
            region=self._clients.region,
            account=account,
            vpc_id=VpcId(vpc_id),
            vpc_cidr=aws_parsing.text(vpc, "CidrBlock"),
            subnets=self._subnets(vpc_id),
            node_security_groups=launch.security_groups,
            node_instance_profile=launch.instance_profile,
            key_name=launch.key_name,
            key_type=self._key_type(launch.key_name),
            api_addresses=self._api_addresses(vpc_id),
            bastion_host=self._store.bastion_host,
            ca_bundle=aws_parsing.ca_from_user_data(launch.user_data),
        )

    def _vpc(self) -> Mapping[str, object]:
        client, name = self._clients("ec2"), self._store.name
        if self._store.vpc_id:
            found = client.describe_vpcs(VpcIds=[self._store.vpc_id])["Vpcs"]
        else:
            wanted = {"tag:KubernetesCluster": name, "tag:Name": name}
            found = client.describe_vpcs(Filters=filters(wanted))["Vpcs"]
        if not found:
            raise NotFoundError(
                f"EC2 in {self._clients.region} has no VPC of cluster {name}",
                target=name,
                evidence=f"no VPC is tagged KubernetesCluster={name}",
                fix="check region and account, and that `kops update cluster --yes` ran",
                command=aws_failures.CREDENTIALS_COMMAND,
            )
        vpc: Mapping[str, object] = found[0]
        return vpc

    def _subnets(self, vpc_id: str) -> tuple[Subnet, ...]:
        """Subnets by tag, and shared ones by the ids in the spec, in the spec's order."""
        store = self._store
        own = {"vpc-id": vpc_id, "tag-key": f"kubernetes.io/cluster/{store.name}"}
        pages = list(self._clients.pages("ec2", "describe_subnets", Filters=filters(own)))
        shared = [subnet.subnet_id for subnet in store.subnets if subnet.subnet_id]
        if shared:
            pages += self._clients.pages("ec2", "describe_subnets", SubnetIds=shared)
        found = {
            str(document["SubnetId"]): aws_parsing.subnet(document, store)
            for page in pages
            for document in page["Subnets"]
        }
        order = {subnet.name: index for index, subnet in enumerate(store.subnets)}
        last = len(order)
        return tuple(
            sorted(found.values(), key=lambda one: (order.get(one.name, last), one.subnet_id))
        )

    def _linux_launch(self, vpc_id: str) -> LinuxLaunch:
        """What the Linux nodes are launched with; what is not found goes by kops' names."""
        store = self._store
        found = LinuxLaunch()
        for group in store.groups:
            if group.role is GroupRole.NODE and not found.security_groups:
                name = f"{group.name}.{store.name}"
                found = self._template(name) or self._configuration(name) or LinuxLaunch()
        default = f"nodes.{store.name}"
        return LinuxLaunch(
            security_groups=found.security_groups or self._groups_named(default, vpc_id),
            instance_profile=found.instance_profile or default,
            key_name=found.key_name or store.ssh_key_name,
            user_data=found.user_data,
        )

    def _template(self, name: str) -> LinuxLaunch | None:
        try:
            answer = self._clients("ec2").describe_launch_template_versions(
                LaunchTemplateName=name, Versions=["$Latest"]
            )
        except errors.ClientError as exc:
            if "NotFound" in exc.response["Error"]["Code"]:
                return None
            raise
        versions = answer["LaunchTemplateVersions"]
        return aws_parsing.launch_template(versions[-1]["LaunchTemplateData"]) if versions else None

    def _configuration(self, name: str) -> LinuxLaunch | None:
        client = self._clients("autoscaling")
        groups = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        for group in groups["AutoScalingGroups"]:
            used = group.get("LaunchConfigurationName")
            if used:
                answer = client.describe_launch_configurations(LaunchConfigurationNames=[used])
                for found in answer["LaunchConfigurations"]:
                    return aws_parsing.launch_configuration(found)
        return None

    def _groups_named(self, name: str, vpc_id: str) -> tuple[SecurityGroupId, ...]:
        wanted = filters({"group-name": name, "vpc-id": vpc_id})
        answer = self._clients("ec2").describe_security_groups(Filters=wanted)
        return tuple(SecurityGroupId(group["GroupId"]) for group in answer["SecurityGroups"])

    def _key_type(self, name: str) -> str:
        if not name:
            return ""
        wanted = filters({"key-name": name})
        pairs = self._clients("ec2").describe_key_pairs(Filters=wanted)["KeyPairs"]
        # Older EC2 endpoints do not say; there were only RSA keys then.
        return str(pairs[0].get("KeyType") or "rsa") if pairs else ""

    def _api_addresses(self, vpc_id: str) -> tuple[str, ...]:
        store = self._store
        if store.resolution is NameResolution.NONE:
            found = self._load_balancer_addresses(vpc_id)
            if found:
                return found
        seen: dict[str, str] = {}
        for tag in aws_parsing.CONTROL_PLANE_TAGS:
            wanted = filters({"tag:KubernetesCluster": store.name, "tag-key": tag})
            pages = self._clients.pages("ec2", "describe_instances", Filters=wanted)
            for one in aws_parsing.instances(pages):
                if one.is_alive and one.private_ip:
                    seen[one.instance_id] = one.private_ip
        return tuple(seen[name] for name in sorted(seen))

    def _load_balancer_addresses(self, vpc_id: str) -> tuple[str, ...]:
        """Addresses of the API's network load balancer; its interfaces carry its name.

        With DNS type none a node finds the API by these (kops ``BootConfig.APIServerIPs``).
        """
        arns = [
            str(balancer["LoadBalancerArn"])
            for page in self._clients.pages("elbv2", "describe_load_balancers")
            for balancer in page["LoadBalancers"]
            if balancer.get("VpcId") == vpc_id and balancer.get("Type") == "network"
        ]
        name = self._store.name
        addresses: list[str] = []
        for arn in self._tagged(arns, {"KubernetesCluster": name, "Name": f"api.{name}"}):
            balancer, number = arn.split("/")[-2:]
            own = {"vpc-id": vpc_id, "description": f"ELB net/{balancer}/{number}"}
            addresses += [
                str(interface["PrivateIpAddress"])
                for page in self._clients.pages(
                    "ec2", "describe_network_interfaces", Filters=filters(own)
                )
                for interface in page["NetworkInterfaces"]
            ]
        return tuple(sorted(addresses))

    def _tagged(self, arns: Sequence[str], wanted: Mapping[str, str]) -> Iterator[str]:
        for start in range(0, len(arns), _TAGS_PER_CALL):
            chunk = list(arns[start : start + _TAGS_PER_CALL])
            answer = self._clients("elbv2").describe_tags(ResourceArns=chunk)
            for described in answer["TagDescriptions"]:
                if wanted.items() <= aws_parsing.tags(described).items():
                    yield str(described["ResourceArn"])
