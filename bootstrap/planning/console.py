"""What EC2's console output of a Windows instance tells. Pure.

EC2Launch writes ``RDPCERTIFICATE-…`` and ``Windows is Ready to use`` at the end of the first boot;
our user data writes the fingerprint of its WinRM certificate behind that. EC2 shows the output with
a delay of some minutes, so what is missing may only be late.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-console.html
"""

from __future__ import annotations

import re

from bootstrap.model.evidence import Diagnosis
from bootstrap.model.host import FINGERPRINT_MARK

READY = "Windows is Ready to use"
_FINGERPRINT = re.compile(rf"{FINGERPRINT_MARK}\s+([0-9a-fA-F]{{64}})\b")
_LINES = 5


def fingerprint(text: str) -> str | None:
    """Return the SHA-256 (hex, lower case) of the certificate that WinRM shows, the last one."""
    found = _FINGERPRINT.findall(text)
    return str(found[-1]).lower() if found else None


def tail(text: str) -> str:
    """Return the last lines in one."""
    return " | ".join(text.strip().splitlines()[-_LINES:])


def silence(text: str, *, instance_id: str) -> Diagnosis:
    """Say why nothing answers on WinRM's port, by how far the console shows the first boot."""
    look = f"aws ec2 get-console-output --latest --instance-id {instance_id}"
    if fingerprint(text):
        return Diagnosis(
            name="WinRmUnreachable",
            message="the host opened WinRM, and nothing answers",
            evidence=tail(text),
            fix="open TCP 5986 to this machine: security group, network ACL, route, VPN",
            command=f"aws ec2 describe-instances --instance-ids {instance_id}"
            " --query Reservations[].Instances[].SecurityGroups",
        )
    if READY in text:
        return Diagnosis(
            name="UserDataNotRun",
            message="Windows is up, and the user data that opens WinRM did not run to its end",
            evidence=tail(text),
            fix="was the image sealed with EC2Launch (sysprep)? Then replace the node",
            command=look,
        )
    return Diagnosis(
        name="BootNotFinished",
        message="the console does not show that Windows has finished its first boot",
        evidence=tail(text) or "the console is empty",
        fix="run the same command again: it goes on waiting; or take a larger instance type",
        command=look,
    )
