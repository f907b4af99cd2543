"""The port ``InstanceStore`` on EC2. Every call pages, and every changing one may be made twice."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping

import botocore.exceptions as errors

from bootstrap.adapters.ec2.clients import PAGE, AwsClients, filters, translated
from bootstrap.adapters.ec2.lookup import ClusterLookup
from bootstrap.errors import AccessError, BootstrapError, NotFoundError, RemoteError
from bootstrap.model.cluster import AwsFacts, ClusterName, StoreFacts
from bootstrap.model.node import (
    DesiredNode,
    ImageFacts,
    InstanceId,
    ObservedInstance,
    Tag,
    WindowsRelease,
)
from bootstrap.model.secret import Secret
from bootstrap.planning import aws_parsing, windows_password

_IMAGE_PARAMETER = "/aws/service/ami-windows-latest/Windows_Server-{}-English-Core-Base"
"""docs: AWSEC2/latest/WindowsGuide/finding-an-ami.html; Core has no desktop, and boots sooner."""
_MOST_TOKENS = 10
"""Launches of one node under one client token before somebody has to look."""
_UNTIL_KNOWN = {"Delay": 2, "MaxAttempts": 30}
"""Seconds and tries. EC2 gives no bound; a minute is past all reports of it."""


class Ec2InstanceStore:
    """Implement ``ports.InstanceStore``."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    def caller(self) -> tuple[str, str]:
        """Return account id and ARN of the credentials."""
        with translated("ask AWS who we are"):
            answer = self._clients("sts").get_caller_identity()
        return str(answer["Account"]), str(answer["Arn"])

    def aws_facts(self, store: StoreFacts) -> AwsFacts:
        """Find what kops made, by its names and tags, or by the ids that the spec gives."""
        account, _ = self.caller()
        with translated("look up what kops made", store.name):
            return ClusterLookup(self._clients, store).facts(account)

    def image(self, *, release: WindowsRelease, image_id: str = "") -> ImageFacts:
        """Resolve an AMI: the given one, or the newest of the release by its SSM parameter."""
        parameter = _IMAGE_PARAMETER.format(release.value)
        if not image_id:
            with translated(f"look up the newest image of Windows Server {release}", parameter):
                answer = self._clients("ssm").get_parameter(Name=parameter)
            image_id = str(answer["Parameter"]["Value"])
        with translated("look up the image", image_id):
            found = self._clients("ec2").describe_images(ImageIds=[image_id])["Images"]
        if not found:
            raise NotFoundError(
                f"there is no image {image_id} in {self._clients.region}",
                target=image_id,
                fix="give one of this region, or none for the newest of the release",
            )
        return aws_parsing.image(found[0])

    def zones_offering(self, instance_type: str) -> frozenset[str]:
        """Zones of the region that offer the type; empty when EC2 does not know the type."""
        with translated("look up where the instance type is offered", instance_type):
            pages = self._clients.pages(
                "ec2",
                "describe_instance_type_offerings",
                LocationType="availability-zone",
                Filters=filters({"instance-type": instance_type}),
            )
            return frozenset(
                str(offer["Location"]) for page in pages for offer in page["InstanceTypeOfferings"]
            )

    def instances(self, cluster: ClusterName) -> tuple[ObservedInstance, ...]:
        """List every instance of the cluster in any state."""
        with translated("list the cluster's instances", cluster):
            return tuple(self._find({"tag:KubernetesCluster": cluster}))

    def launch(self, desired: DesiredNode, client_token: str) -> ObservedInstance:
        """Launch; the same token gives the same instance, and one that lives is never doubled.

        A token whose instance is gone is spent, so its successors are tried in a fixed order: two
        runs that race after a loss still ask for the same instance.
        """
        action = f"launch {desired.name}"
        with translated(action, desired.name):
            alive = self._alive(desired)
        if alive is not None:
            return alive
        for attempt in range(_MOST_TOKENS):
            token = _successor(client_token, attempt)
            with translated(action, desired.name):
                launched = self._run(aws_parsing.launch_parameters(desired, token))
            if launched is not None:
                return launched
        raise RemoteError(
            f"{action}: {_MOST_TOKENS} instances of this node have died already",
            target=desired.name,
            fix="look why they died before trying again",
            command="aws ec2 describe-instances --query 'Reservations[].Instances[].StateReason'",
        )

    def start(self, instance_id: InstanceId) -> None:
        """Start a stopped instance."""
        with translated("start the instance", instance_id):
            self._clients("ec2").start_instances(InstanceIds=[instance_id])

    def tag(self, instance_id: InstanceId, tags: Mapping[str, str]) -> None:
        """Set tags on an instance, its volumes and its network interfaces."""
        if not tags:
            return
        with translated("tag the instance", instance_id):
            self._clients("ec2").create_tags(
                Resources=[instance_id, *aws_parsing.attachments(self._raw(instance_id))],
                Tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())],
            )

    def terminate(self, instance_id: InstanceId) -> None:
        """Terminate an instance; one that is gone already is fine."""
        with contextlib.suppress(NotFoundError), translated("terminate the instance", instance_id):
            self._clients("ec2").terminate_instances(InstanceIds=[instance_id])

    def console_output(self, instance_id: InstanceId) -> str:
        """Return the newest console text, '' while there is none."""
        client = self._clients("ec2")
        with translated("read the console", instance_id):
            try:
                answer = client.get_console_output(InstanceId=instance_id, Latest=True)
            except errors.ClientError as exc:
                # Only Nitro types show it live; others give what they had at boot.
                if exc.response["Error"]["Code"] != "UnsupportedOperation":
                    raise
                answer = client.get_console_output(InstanceId=instance_id)
        return str(answer.get("Output") or "")

    def password(self, instance_id: InstanceId, private_key: Secret) -> Secret | None:
        """Return the Administrator password, None until EC2 has it; AccessError for a wrong key."""
        key = windows_password.rsa_key(private_key)
        with translated("ask for the Administrator password", instance_id):
            answer = self._clients("ec2").get_password_data(InstanceId=instance_id)
        data = str(answer.get("PasswordData") or "").strip()
        if not data:
            return None
        password = windows_password.decrypt(key, data)
        if password is None:
            raise self._wrong_key(instance_id)
        return password

    def _find(self, wanted: Mapping[str, str]) -> Iterator[ObservedInstance]:
        pages = self._clients.pages(
            "ec2",
            "describe_instances",
            Filters=filters(wanted),
            PaginationConfig={"PageSize": PAGE},
        )
        yield from aws_parsing.instances(pages)

    def _raw(self, instance_id: InstanceId) -> Mapping[str, object]:
        answer = self._clients("ec2").describe_instances(InstanceIds=[instance_id])
        found: Mapping[str, object] = answer["Reservations"][0]["Instances"][0]
        return found

    def _alive(self, desired: DesiredNode) -> ObservedInstance | None:
        marks = {
            f"tag:{Tag.NODE.value}": desired.name,
            f"tag:{Tag.CLUSTER.value}": desired.cluster,
        }
        found = [seen for seen in self._find(marks) if seen.is_alive and seen.is_ours]
        # The oldest, so that two runs choose the same one if there should ever be two.
        return min(found, key=lambda seen: (seen.launched_at, seen.instance_id), default=None)

    def _run(self, parameters: Mapping[str, object]) -> ObservedInstance | None:
        """Launch, None when the token belongs to an instance that has been terminated."""
        try:
            answer = self._clients("ec2").run_instances(**parameters)
        except errors.ClientError as exc:
            if exc.response["Error"]["Code"] == "IdempotentInstanceTerminated":
                return None
            raise
        launched = next(aws_parsing.instances([answer]))
        if not launched.is_alive:
            return None
        # A fresh instance may not be known to the next call yet (docs: ec2/latest/devguide/
        # eventual-consistency.html), and that call is our tagging.
        self._clients("ec2").get_waiter("instance_exists").wait(
            InstanceIds=[launched.instance_id], WaiterConfig=_UNTIL_KNOWN
        )
        return launched

    def _wrong_key(self, instance_id: InstanceId) -> BootstrapError:
        with translated("look up the instance's key pair", instance_id):
            name = aws_parsing.text(self._raw(instance_id), "KeyName")
        return AccessError(
            f"the private key is not the one of key pair {name!r}",
            target=instance_id,
            evidence="the Administrator password does not decrypt with it",
            fix=f"give the private key of the EC2 key pair {name!r}",
            command="bootstrap add-node --private-key FILE ...  (or BOOTSTRAP_PRIVATE_KEY)",
        )


def _successor(token: str, attempt: int) -> str:
    """The n-th token after a spent one: a client token has at most 64 ASCII characters."""
    if attempt == 0:
        return token
    return hashlib.sha256(f"{token}/{attempt}".encode()).hexdigest()
