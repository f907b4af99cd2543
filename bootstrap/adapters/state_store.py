"""kops state stores in S3, read with boto3; ``planning.kops_spec`` understands what is in them.

Reads the completed spec, the version, the instance groups and public certificates. Nothing below
``pki/private`` or ``secrets`` is ever asked for, and nothing is ever written.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from bootstrap.errors import AccessError, BootstrapError, NotFoundError, RemoteError, UsageError
from bootstrap.model.cluster import ClusterName, StoreFacts
from bootstrap.planning import kops_spec
from bootstrap.planning.kops_spec import SpecError, StoreDocuments

MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
DENIED = frozenset(
    {
        "AccessDenied",
        "403",
        "Forbidden",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
COMPLETED, OLD = "cluster-completed.spec", "cluster.spec"
CA_FOLDERS = ("kubernetes-ca", "ca")


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place in S3. ``prefix`` has no slash at its ends."""

    bucket: str
    prefix: str

    def key(self, path: str) -> str:
        """Return the key of a path below this place."""
        return f"{self.prefix}/{path}" if self.prefix else path


def parse_location(url: str) -> Location:
    """Read ``s3://bucket[/prefix]``; UsageError for anything else."""
    found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/?", url)
    if not found:
        raise UsageError(
            f"{url!r} is no state store that bootstrap can read",
            target=url,
            fix="write s3://BUCKET or s3://BUCKET/PREFIX",
            command="bootstrap ... --state s3://BUCKET",
        )
    return Location(bucket=found[1], prefix=(found[2] or "").strip("/"))


class S3StateStore:
    """Implement ``ports.StateStore``."""

    def __init__(self, session: boto3.Session, url: str) -> None:
        self._url = url
        self._root = parse_location(url)
        self._s3: Any = session.client("s3")

    def cluster_names(self) -> tuple[ClusterName, ...]:
        """List the clusters: every path with a ``config`` object, as kops does."""
        keys = self._keys(self._root, "")
        prefix = f"{self._root.prefix}/" if self._root.prefix else ""
        names = {
            key.removeprefix(prefix).removesuffix("/config")
            for key in keys
            if key.endswith("/config")
        }
        return tuple(ClusterName(name) for name in sorted(names))

    def read(self, name: ClusterName) -> StoreFacts:
        """Read one cluster; NotFoundError names those that are there."""
        base = Location(bucket=self._root.bucket, prefix=self._root.key(name))
        completed = self._text(base, COMPLETED)
        spec = completed or self._text(base, OLD)
        if not spec:
            raise self._no_cluster(name, base)
        try:
            return kops_spec.store_facts(self._documents(base, spec, modern=bool(completed)))
        except SpecError as exc:
            key = base.key(COMPLETED if completed else OLD)
            raise RemoteError(
                f"the state store's cluster {name} cannot be read: {exc}",
                name="StateStoreUnreadable",
                target=f"s3://{base.bucket}/{key}",
                fix="let kops write it again",
                command=f"kops update cluster {name} --state {self._url}",
            ) from exc

    def _documents(self, base: Location, spec: str, *, modern: bool) -> StoreDocuments:
        groups = dict(self._texts(base, "instancegroup/"))
        if not groups:
            raise SpecError(f"there are no instance groups below {base.key('instancegroup/')}")
        keys = self._key_store(spec, base)
        return StoreDocuments(
            completed_spec=spec,
            is_modern_layout=modern,
            kops_version=self._text(base, "kops-version.txt"),
            groups=groups,
            ca_keyset=self._first(keys, "issued/{}/keyset.yaml"),
            ca_certificates=self._issued(keys),
            nodeup_config=self._nodeup_config(base),
        )

    def _key_store(self, spec: str, base: Location) -> Location:
        fields = kops_spec.parse_object(spec, "Cluster").get("spec") or {}
        if fields.get("keyStore"):
            return parse_location(str(fields["keyStore"]))
        config = parse_location(str(fields["configBase"])) if fields.get("configBase") else base
        return Location(bucket=config.bucket, prefix=config.key("pki"))

    def _first(self, keys: Location, pattern: str) -> str:
        texts = (self._text(keys, pattern.format(folder)) for folder in CA_FOLDERS)
        return next((text for text in texts if text), "")

    def _issued(self, keys: Location) -> tuple[str, ...]:
        for folder in CA_FOLDERS:
            found = dict(self._texts(keys, f"issued/{folder}/"))
            if certificates := [t for n, t in sorted(found.items()) if n.endswith(".crt")]:
                return tuple(certificates)
        return ()

    def _nodeup_config(self, base: Location) -> str:
        found = self._texts(base, "igconfig/node/")
        return next((text for name, text in found if name.endswith("nodeupconfig.yaml")), "")

    # -- S3 --
    def _texts(self, base: Location, path: str) -> Iterator[tuple[str, str]]:
        start = base.key(path)
        for key in self._keys(base, path):
            yield key.removeprefix(start), self._object(base.bucket, key)

    def _text(self, base: Location, path: str) -> str:
        """Return an object's text, '' when there is none."""
        try:
            return self._object(base.bucket, base.key(path))
        except NotFoundError:
            return ""

    def _object(self, bucket: str, key: str) -> str:
        try:
            body = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            return str(body.decode())
        except (ClientError, BotoCoreError, UnicodeDecodeError) as exc:
            raise self._failure(exc, f"s3://{bucket}/{key}") from exc

    def _keys(self, base: Location, path: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2")
        prefix = base.key(path) if path else (f"{base.prefix}/" if base.prefix else "")
        try:
            found = pages.paginate(Bucket=base.bucket, Prefix=prefix)
            return [str(item["Key"]) for page in found for item in page.get("Contents") or ()]
        except (ClientError, BotoCoreError) as exc:
            raise self._failure(exc, f"s3://{base.bucket}/{prefix}") from exc

    def _no_cluster(self, name: ClusterName, base: Location) -> BootstrapError:
        known = self.cluster_names()
        near = difflib.get_close_matches(name, known, n=1)
        half_made = name in known
        return NotFoundError(
            f"{self._url} has no {'completed spec of ' if half_made else ''}cluster {name}",
            name="NoSuchCluster",
            target=f"s3://{base.bucket}/{base.prefix}",
            evidence=f"clusters there: {', '.join(known) or 'none'}",
            fix=f"did you mean {near[0]}?" if near and not half_made else "",
            command=f"kops update cluster {name} --yes" if half_made else "kops get clusters",
        )

    def _failure(self, exc: Exception, target: str) -> BootstrapError:
        if isinstance(exc, NoCredentialsError | PartialCredentialsError):
            return AccessError(
                "there are no AWS credentials",
                name="AwsCredentials",
                target=target,
                fix="set AWS_PROFILE or the AWS_* variables, or give --profile",
                command="aws sts get-caller-identity",
            )
        if not isinstance(exc, ClientError):
            return RemoteError(
                f"S3 cannot be read: {exc}",
                target=target,
                fix="check network, region and endpoint",
                command=f"aws s3 ls {target}",
            )
        return self._answer(exc, target)

    def _answer(self, exc: ClientError, target: str) -> BootstrapError:
        code = str(exc.response.get("Error", {}).get("Code", ""))
        text = str(exc.response.get("Error", {}).get("Message", ""))
        if code == "NoSuchBucket":
            return NotFoundError(
                f"the bucket {self._root.bucket} does not exist",
                name="NoSuchStateStore",
                target=target,
                evidence=text,
                fix="check --state and KOPS_STATE_STORE",
                command="aws s3 ls",
            )
        if code in MISSING:
            return NotFoundError(f"{target} does not exist", target=target, evidence=text)
        if code in DENIED:
            return AccessError(
                f"S3 answered {code}",
                name="AwsCredentials",
                target=target,
                evidence=text,
                fix="renew the credentials, or use ones that may read the state store",
                command="aws sts get-caller-identity",
            )
        return RemoteError(f"S3 answered {code}", target=target, evidence=text)
