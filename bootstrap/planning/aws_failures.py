"""What an AWS error code means to a user: our error, the remedy, the next command.

Pure, so that every AWS adapter translates alike. Codes:
docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html and each service's own list.
"""

from __future__ import annotations

from typing import Final

from bootstrap.errors import AccessError, BootstrapError, ConflictError, NotFoundError, RemoteError

EXPIRED: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
)
DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "OptInRequired",
        "UnauthorizedOperation",
    }
)
BAD_CREDENTIALS: Final = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
CAPACITY: Final = frozenset(
    {
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientCapacity",
        "SpotMaxPriceTooLow",
    }
)
"""EC2 has no machine to give. It says so with HTTP 500, which must not be retried as an outage."""
THROTTLED: Final = frozenset(
    {"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"}
)

CREDENTIALS_COMMAND: Final = "aws sts get-caller-identity"
_IDENTITY_FIX: Final = "sign in again (aws sso login, or new keys), then run the same command"
_QUOTA_COMMAND: Final = "aws service-quotas list-service-quotas --service-code ec2"
_REMEDIES: Final = {
    "InstanceLimitExceeded": (
        "ask AWS for a higher quota, or lower the pool's count",
        _QUOTA_COMMAND,
    ),
    "VcpuLimitExceeded": (
        "ask AWS for more vCPUs of this instance family, or lower the pool's count",
        _QUOTA_COMMAND,
    ),
    "MaxSpotInstanceCountExceeded": (
        "ask AWS for a higher spot quota, or set spot: false",
        _QUOTA_COMMAND,
    ),
    "InsufficientFreeAddressesInSubnet": (
        "choose another subnet (pool setting `subnets`), or free addresses in this one",
        "aws ec2 describe-subnets --query 'Subnets[].[SubnetId,AvailableIpAddressCount]'",
    ),
    "Unsupported": (
        "choose a zone that offers the instance type, or another instance type",
        "aws ec2 describe-instance-type-offerings --location-type availability-zone",
    ),
    "InvalidInstanceType": (
        "choose an instance type that the region has (pool setting `instanceType`)",
        "aws ec2 describe-instance-type-offerings --location-type availability-zone",
    ),
    "InvalidParameterValue": ("correct the value that EC2 names", "bootstrap config show"),
    "InvalidParameterCombination": ("correct the values that EC2 names", "bootstrap config show"),
    "InvalidKeyPair.NotFound": (
        "import the cluster's key pair again: kops update cluster --yes",
        "aws ec2 describe-key-pairs",
    ),
    "InvalidGroup.NotFound": (
        "run kops update cluster --yes, which makes the node security group again",
        "aws ec2 describe-security-groups",
    ),
    "IdempotentParameterMismatch": (
        "an earlier launch of this node is still settling; wait a minute and run the command again",
        "bootstrap get nodes",
    ),
    "PendingVerification": ("AWS verifies the account; wait for its mail, then run again", ""),
}
_CAPACITY_FIX: Final = (
    "try another zone (pool setting `subnets`) or instance type, or wait and run the command again"
)


def failure(code: str, message: str, *, action: str, target: str = "") -> BootstrapError:
    """Make the error for an AWS error code. ``action`` is what we were doing, ``launch game-1``."""
    evidence = f"{code}: {message}"
    if code in EXPIRED:
        return AccessError(
            f"{action}: the AWS credentials have expired",
            target=target,
            evidence=evidence,
            fix=_IDENTITY_FIX,
            command=CREDENTIALS_COMMAND,
        )
    if code in BAD_CREDENTIALS:
        return AccessError(
            f"{action}: AWS does not accept the credentials",
            target=target,
            evidence=evidence,
            fix="check AWS_PROFILE, AWS_ACCESS_KEY_ID and the clock of this machine",
            command=CREDENTIALS_COMMAND,
        )
    if code in DENIED:
        return AccessError(
            f"{action}: these AWS credentials may not do that",
            target=target,
            evidence=evidence,
            fix="let the role of these credentials have the permission that the evidence names",
            command=CREDENTIALS_COMMAND,
        )
    return _other_failure(code, evidence, action=action, target=target)


def _other_failure(code: str, evidence: str, *, action: str, target: str) -> BootstrapError:
    if code in CAPACITY:
        return RemoteError(
            f"{action}: AWS has no capacity for this instance type in this zone now",
            target=target,
            evidence=evidence,
            fix=_CAPACITY_FIX,
        )
    if code in THROTTLED:
        return RemoteError(
            f"{action}: AWS throttles this account",
            target=target,
            evidence=evidence,
            fix="wait a minute, then run the same command",
        )
    if code == "InvalidParameterValue" and "InstanceType" in evidence:
        code = "InvalidInstanceType"
    fix, command = _REMEDIES.get(code, ("", ""))
    kind: type[RemoteError] = RemoteError
    if code.endswith((".NotFound", ".Malformed")) or code == "ParameterNotFound":
        kind = NotFoundError
    if code == "IdempotentParameterMismatch":
        kind = ConflictError
    return kind(
        f"{action}: AWS refused ({code})",
        target=target,
        evidence=evidence,
        fix=fix,
        command=command,
    )
