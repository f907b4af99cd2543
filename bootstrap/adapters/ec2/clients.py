"""boto3 clients, and the one place where their errors become ours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import botocore.exceptions as errors
from botocore.config import Config

from bootstrap.errors import AccessError, RemoteError, UsageError
from bootstrap.planning import aws_failures

PAGE = 500
_CREDENTIAL_ERRORS = (
    errors.NoCredentialsError,
    errors.PartialCredentialsError,
    errors.CredentialRetrievalError,
    errors.TokenRetrievalError,
    errors.SSOError,
    errors.ProfileNotFound,
    errors.ConfigNotFound,
)


def open_session(profile: str = "", region: str = "") -> boto3.Session:
    """Open a session, from the environment or a named profile; AccessError for an unknown one."""
    try:
        return boto3.Session(profile_name=profile or None, region_name=region or None)
    except errors.ProfileNotFound as exc:
        raise AccessError(
            f"there is no AWS profile {profile!r}",
            target=profile,
            evidence=str(exc),
            command="aws configure list-profiles",
        ) from exc


class AwsClients:
    """boto3 clients of one session, made when they are first needed; safe for threads.

    ``made`` replaces clients by ready ones (``{"ec2": client}``).
    """

    def __init__(
        self,
        session: boto3.Session,
        *,
        region: str = "",
        config: Config | None = None,
        made: Mapping[str, Any] | None = None,
    ) -> None:
        self._session = session
        self.region = region or session.region_name or ""
        # Ten tries in "standard" mode outlast EC2's request throttling of some dozen launches.
        self._config = config or Config(retries={"mode": "standard", "max_attempts": 10})
        self._made: dict[str, Any] = dict(made or {})
        self._lock = threading.Lock()

    def __call__(self, service: str) -> Any:
        """Return the client of a service; UsageError when nothing says the region."""
        if not self.region:
            raise UsageError(
                "no AWS region", fix="say which region the cluster is in", command="--region REGION"
            )
        with self._lock:
            if service not in self._made:
                self._made[service] = self._make(service)
            return self._made[service]

    def pages(self, service: str, operation: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield the answers of a call that AWS cuts into pages."""
        yield from self(service).get_paginator(operation).paginate(**parameters)

    def _make(self, service: str) -> Any:
        # The session's type hints know every service by a literal name only.
        make: Any = self._session.client
        client = make(service, region_name=self.region, config=self._config)
        if service == "ec2":
            client.meta.events.register("needs-retry.ec2.RunInstances", _give_up_on_capacity)
        return client


def _give_up_on_capacity(response: Any, **_: Any) -> None:
    # EC2 says "no capacity" with HTTP 500, which botocore would retry for a minute as an outage.
    parsed: Any = response[1] if response else {}
    if parsed.get("Error", {}).get("Code") in aws_failures.CAPACITY:
        raise errors.ClientError(parsed, "RunInstances")


def filters(wanted: Mapping[str, str]) -> list[dict[str, object]]:
    """Write filters as EC2 takes them; all must hold."""
    return [{"Name": name, "Values": [value]} for name, value in wanted.items()]


@contextlib.contextmanager
def translated(action: str, target: str = "") -> Iterator[None]:
    """Turn what boto3 raises inside into our errors; ``action`` is what we were doing."""
    try:
        yield
    except errors.ClientError as exc:
        error = exc.response.get("Error", {})
        code, text = str(error.get("Code", "")), str(error.get("Message", ""))
        message = f"{text} (operation {exc.operation_name})"
        raise aws_failures.failure(code, message, action=action, target=target) from exc
    except _CREDENTIAL_ERRORS as exc:
        raise AccessError(
            f"{action}: no usable AWS credentials",
            target=target,
            evidence=str(exc),
            fix="set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            command=aws_failures.CREDENTIALS_COMMAND,
        ) from exc
    except errors.WaiterError as exc:
        raise RemoteError(
            f"{action}: EC2 does not show the instance it has launched",
            target=target,
            evidence=str(exc),
            fix="run the same command again; it finds the instance",
        ) from exc
    except errors.BotoCoreError as exc:
        raise RemoteError(
            f"{action}: AWS cannot be reached",
            target=target,
            evidence=str(exc),
            fix="check network, proxy, region and AWS_ENDPOINT_URL",
            command=aws_failures.CREDENTIALS_COMMAND,
        ) from exc
