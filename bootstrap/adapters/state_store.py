"""kops state stores in S3, read with boto3; ``planning.kops_spec`` understands what is in them.

Nothing below ``pki/private`` or ``secrets`` is ever asked for, and nothing is ever written. From
kops 1.22 on no object below ``pki`` has the CA's certificate without its key. It is taken from the
control plane's ``igconfig/.../nodeupconfig.yaml``, where kops renders the same bundle in the open;
``planning.kops_keyset`` has the order. Where a store shows none, ``StoreFacts.ca_bundle`` is ''.

Layout: kops ``pkg/client/simple/vfsclientset/{commonvfs,clientset}.go``. ``config`` and
``instancegroup/`` lie below the cluster's name; everything else below ``configBase``, keys below
``keyStore``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore import exceptions as aws
from botocore.config import Config

from bootstrap.errors import AccessError, BootstrapError, NotFoundError, RemoteError, UsageError
from bootstrap.model.cluster import ClusterName, StoreFacts
from bootstrap.planning import aws_failures, kops_keyset, kops_spec
from bootstrap.planning.kops_documents import SpecError, parse_object, reading, section, text_at
from bootstrap.planning.kops_spec import COMPLETED, OLD, StoreDocuments

MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
NO_CREDENTIALS: Final = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.SSOError,
    aws.TokenRetrievalError,
)
# A store is read before anything else happens, with a person waiting: notice a black hole soon.
CLIENT_CONFIG: Final = Config(
    connect_timeout=10, read_timeout=30, retries={"mode": "standard", "max_attempts": 4}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A folder in S3. ``prefix`` has no slash at its ends."""

    bucket: str
    prefix: str = ""

    @property
    def url(self) -> str:
        """The folder as kops writes it."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, path: str) -> str:
        """Return the key of a path below this folder."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def below(self, path: str) -> Location:
        """Return a folder below this one."""
        return Location(bucket=self.bucket, prefix=self.key(path))


def parse_location(url: str) -> Location:
    """Read ``s3://bucket[/prefix]``; UsageError for anything else."""
    found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/.*)?", url.strip())
    if not found:
        raise UsageError(
            f"{url!r} is no state store that bootstrap can read",
            name="StateStoreNotS3",
            target=url,
            fix="write s3://BUCKET or s3://BUCKET/PREFIX, as in KOPS_STATE_STORE",
            command="export KOPS_STATE_STORE=s3://BUCKET",
        )
    return Location(bucket=found[1], prefix=(found[2] or "").strip("/"))


class S3StateStore:
    """Implement ``ports.StateStore`` for ``s3://bucket[/prefix]``."""

    def __init__(self, client: Any, url: str) -> None:
        self._s3 = client
        self._root = parse_location(url)

    @classmethod
    def from_session(cls, session: boto3.Session, url: str) -> S3StateStore:
        """Make the client too; nothing connects yet."""
        return cls(session.client("s3", config=CLIENT_CONFIG), url)

    def cluster_names(self) -> tuple[ClusterName, ...]:
        """List the clusters: every path with a ``config`` object, as kops does."""
        found = sorted(
            path.removesuffix("/config")
            for path in self._paths(self._root)
            if path.endswith("/config")
        )
        # An instance group may be called "config"; it lies below its cluster.
        names: list[str] = []
        for path in found:
            if not any(path.startswith(f"{name}/") for name in names):
                names.append(path)
        return tuple(ClusterName(name) for name in names)

    def read(self, name: ClusterName) -> StoreFacts:
        """Read one cluster; NotFoundError names those that are there."""
        folder = self._root.below(name)
        if not name or "/" in name:
            raise self._no_cluster(name)
        config = self._text(folder, "config")
        if not config:
            raise self._no_cluster(name)
        with self._unreadable(name, folder), reading("config"):
            base = _override(config, "configBase") or folder
        with self._unreadable(name, base):
            return kops_spec.store_facts(self._documents(name, folder, base))

    def _documents(self, name: ClusterName, folder: Location, base: Location) -> StoreDocuments:
        completed = self._text(base, COMPLETED)
        spec = completed or self._text(base, OLD)
        if not spec:
            raise self._not_completed(name, base)
        with reading(COMPLETED if completed else OLD):
            keys = _override(spec, "keyStore") or base.below("pki")
        nodeup_config = self._nodeup_config(base) if completed else ""
        ca_keyset, ca_certificates = ("", ()) if nodeup_config else self._issued(keys)
        return StoreDocuments(
            name=name,
            completed_spec=spec,
            is_modern_layout=bool(completed),
            kops_version=self._text(base, "kops-version.txt"),
            groups=self._groups(folder.below("instancegroup")),
            nodeup_config=nodeup_config,
            ca_keyset=ca_keyset,
            ca_certificates=ca_certificates,
            ssh_fingerprints=tuple(self._paths(keys.below("ssh/public/admin"))),
        )

    def _groups(self, folder: Location) -> dict[str, str]:
        return {path: self._text(folder, path) for path in self._paths(folder) if "/" not in path}

    def _nodeup_config(self, base: Location) -> str:
        """Return the first nodeupconfig that shows the CA, as a rule the first at all."""
        paths = [f"igconfig/{path}" for path in self._paths(base.below("igconfig"))]
        for path in kops_keyset.nodeup_config_order(paths):
            text = self._text(base, path)
            with reading(path):
                if kops_keyset.bundle_of_nodeup_config(text):
                    return text
        return ""

    def _issued(self, keys: Location) -> tuple[str, tuple[str, ...]]:
        for name in kops_keyset.CA_KEYSETS:
            folder = keys.below(f"issued/{name}")
            paths = self._paths(folder)
            if "keyset.yaml" in paths:
                return self._text(folder, "keyset.yaml"), ()
            if certificates := [path for path in paths if path.endswith(".crt")]:
                return "", tuple(self._text(folder, path) for path in sorted(certificates))
        return "", ()

    # -- S3 --

    def _text(self, folder: Location, path: str) -> str:
        """Return an object's text, '' when there is none."""
        key = folder.key(path)
        try:
            data: bytes = self._s3.get_object(Bucket=folder.bucket, Key=key)["Body"].read()
            return data.decode()
        except UnicodeDecodeError as exc:
            raise SpecError("it is no UTF-8 text", path=path) from exc
        except (aws.ClientError, aws.BotoCoreError) as exc:
            if _code(exc) in MISSING:
                return ""
            raise self._failure(exc, f"s3://{folder.bucket}/{key}") from exc

    def _paths(self, folder: Location) -> list[str]:
        """List what lies below a folder, as paths from there."""
        start = folder.key("")
        pages = self._s3.get_paginator("list_objects_v2")
        try:
            return [
                str(item["Key"]).removeprefix(start)
                for page in pages.paginate(Bucket=folder.bucket, Prefix=start)
                for item in page.get("Contents") or ()
            ]
        except (aws.ClientError, aws.BotoCoreError) as exc:
            raise self._failure(exc, f"s3://{folder.bucket}/{start}") from exc

    # -- what went wrong --

    @contextmanager
    def _unreadable(self, name: ClusterName, base: Location) -> Iterator[None]:
        try:
            yield
        except SpecError as exc:
            own = exc.path.startswith(("config", "instancegroup/"))
            place = self._root.below(name) if own else base
            raise RemoteError(
                f"the state store's cluster {name} cannot be read: {exc}",
                name="StateStoreUnreadable",
                target=f"s3://{place.bucket}/{place.key(exc.path)}",
                fix="see what is in that object, and let kops write it again",
                command=f"kops update cluster {name} --state {self._root.url} --yes",
            ) from exc

    def _no_cluster(self, name: ClusterName) -> BootstrapError:
        known = self.cluster_names()
        deeper = next((path for path in known if path.endswith(f"/{name}")), "")
        near = difflib.get_close_matches(name, known, n=1)
        if deeper:
            fix = f"use --state {self._root.url}/{deeper.removesuffix(f'/{name}')}"
        elif near:
            fix = f"did you mean {near[0]}?"
        else:
            fix = "check --cluster, KOPS_CLUSTER_NAME and KOPS_STATE_STORE"
        return NotFoundError(
            f"{self._root.url} has no cluster {name}",
            name="NoSuchCluster",
            target=f"s3://{self._root.bucket}/{self._root.key(f'{name}/config')}",
            evidence=f"clusters there: {', '.join(known) or 'none'}",
            fix=fix,
            command=f"kops get clusters --state {self._root.url}",
        )

    def _not_completed(self, name: ClusterName, base: Location) -> BootstrapError:
        return NotFoundError(
            f"cluster {name} has a config, but kops has never completed it",
            name="ClusterNotCompleted",
            target=f"s3://{base.bucket}/{base.key(COMPLETED)}",
            evidence=f"neither {COMPLETED} nor {OLD} is in {base.url}",
            fix="let kops make the cluster first",
            command=f"kops update cluster {name} --state {self._root.url} --yes",
        )

    def _failure(self, exc: Exception, target: str) -> BootstrapError:
        if isinstance(exc, NO_CREDENTIALS):
            return AccessError(
                "read the state store: no usable AWS credentials",
                target=target,
                evidence=str(exc),
                fix="set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                command=aws_failures.CREDENTIALS_COMMAND,
            )
        if isinstance(exc, aws.ClientError):
            return self._answer(exc, target)
        return RemoteError(
            "read the state store: S3 cannot be reached",
            target=target,
            evidence=str(exc),
            fix="check network, proxy, region and AWS_ENDPOINT_URL",
            command=f"aws s3 ls {target}",
        )

    def _answer(self, exc: aws.ClientError, target: str) -> BootstrapError:
        code, message = _code(exc), str(exc.response.get("Error", {}).get("Message", ""))
        if code == "NoSuchBucket":
            return NotFoundError(
                f"the bucket of {target} does not exist",
                name="NoSuchStateStore",
                target=target,
                evidence=message,
                fix="check --state and KOPS_STATE_STORE",
                command="aws s3 ls",
            )
        # S3 has names of its own for what every other service calls otherwise.
        code = {
            "403": "AccessDenied",
            "Forbidden": "AccessDenied",
            "InvalidToken": "AuthFailure",
        }.get(code, code)
        return aws_failures.failure(code, message, action="read the state store", target=target)


def _override(text: str, field: str) -> Location | None:
    """Return where a Cluster says that a part of it lies, None where it does not say."""
    url = text_at(section(parse_object(text, "Cluster"), "spec"), field)
    if not url:
        return None
    try:
        return parse_location(url)
    except UsageError as exc:
        raise SpecError(f"{field} is not in S3: {url}") from exc


def _code(exc: Exception) -> str:
    if not isinstance(exc, aws.ClientError):
        return ""
    return str(exc.response.get("Error", {}).get("Code", ""))
