"""The kinds of values in the config file, each with its rule and its words for people."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.fields import FieldInfo

from bootstrap.durations import duration_seconds
from bootstrap.model.node import WindowsRelease

_TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
_SELF_SET_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")
"""What a kubelet may label itself with below kubernetes.io (admission plugin NodeRestriction)."""


def _release(value: object) -> object:
    """Take ``windows: 2019`` without quotes too; YAML reads a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _seconds(value: object) -> object:
    """Take ``25m`` and a bare number of seconds."""
    if not isinstance(value, str):
        return value
    seconds = duration_seconds(value)
    if seconds is None:
        raise ValueError("not a duration; write 90s, 25m or 1h30m")
    return seconds


def _label_key(key: str) -> str:
    """Accept a label or taint key as Kubernetes does."""
    prefix, slash, name = key.rpartition("/")
    if not _LABEL_NAME.fullmatch(name) or (slash and not _LABEL_PREFIX.fullmatch(prefix)):
        raise ValueError(f"{key!r} is no valid key; [prefix/]name with at most 63 of A-Za-z0-9-_.")
    return key


def _labels(labels: dict[str, str]) -> dict[str, str]:
    """Accept labels that a kubelet may set on its own node."""
    for key, value in labels.items():
        prefix = _label_key(key).rpartition("/")[0]
        if value and not _LABEL_NAME.fullmatch(value):
            raise ValueError(f"{value!r} is no valid value of {key}; at most 63 of A-Za-z0-9-_.")
        reserved = prefix.endswith(("kubernetes.io", "k8s.io")) and not prefix.endswith(
            _SELF_SET_PREFIXES
        )
        if reserved or prefix == "bootstrap.node":
            raise ValueError(f"{key} is reserved; a node may not set it on itself")
    return labels


def _taint(text: str) -> str:
    """Accept ``key[=value]:Effect`` as ``kubectl taint`` does."""
    key, colon, effect = text.rpartition(":")
    key, _, value = key.partition("=")
    if not colon or effect not in _TAINT_EFFECTS:
        effects = ", ".join(_TAINT_EFFECTS)
        raise ValueError(
            f"{text!r} is no taint; write key=value:Effect with an effect of {effects}"
        )
    _label_key(key)
    if value and not _LABEL_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no valid value of a taint")
    return text


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an entry that is listed twice."""
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"listed twice: {', '.join(twice)}")
    return values


Seconds = Annotated[
    float,
    BeforeValidator(_seconds, json_schema_input_type=str | float),
    Field(gt=0, le=24 * 3600),
]
Release = Annotated[WindowsRelease, BeforeValidator(_release)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], AfterValidator(_unique)]
TaintText = Annotated[str, AfterValidator(_taint)]
Labels = Annotated[dict[str, str], AfterValidator(_labels)]

MEANINGS: dict[str, str] = {}
"""Pattern -> what it asks for, since a pattern is no message for people."""


def _text(pattern: str, meaning: str) -> FieldInfo:
    """Make a field that holds text of one form."""
    MEANINGS[pattern] = meaning
    info: FieldInfo = Field(pattern=pattern)
    return info


Url = Annotated[str, _text(r"^https?://[^\s/]+", "a URL (http:// or https://)")]
_DEAD_HOSTS = ("dockermsft.blob.core.windows.net", "dockermsft.azureedge.net", "/fwlink/")


def _some(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty list."""
    if not values:
        raise ValueError("name at least one")
    return values


def _alive(url: str) -> str:
    """Refuse the places where the DockerMsftProvider looked for Docker EE."""
    if any(part in url for part in _DEAD_HOSTS):
        raise ValueError(
            "the DockerMsftProvider and its index are gone since 2023 (OneGet/"
            "MicrosoftDockerProvider 90, 91); name an archive of Mirantis or of your own"
        )
    return url


DownloadUrl = Annotated[Url, AfterValidator(_alive)]
Checksum = Annotated[
    str, _text(r"^([0-9a-fA-F]{64}|[0-9a-fA-F]{128})$", "a SHA-256 or SHA-512 in hex digits")
]
ArtifactVersion = Annotated[str, _text(r"^\d+(\.\d+)+([-+.][\w.]+)?$", "a version such as 25.0.8")]
ProxyUrl = Annotated[
    str, _text(r"^https?://[^\s/@]+/?$", "a URL http://HOST:PORT without user and password")
]
MirrorUrl = Annotated[
    str, _text(r"^https://[^\s/@]+(/[^\s']*)?$", "a URL that begins with https://")
]
MirrorUrls = Annotated[tuple[MirrorUrl, ...], AfterValidator(_some)]
RegistryHost = Annotated[
    str, _text(r"^[a-z0-9][a-z0-9.-]*(:\d+)?$", "a registry's host such as docker.io")
]
PoolName = Annotated[
    str,
    _text(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a name of lower-case letters, digits and '-'"),
    Field(max_length=50),
]
InstanceType = Annotated[str, _text(r"^[a-z0-9-]+\.[a-z0-9-]+$", "an EC2 type such as m5.xlarge")]
ImageId = Annotated[str, _text(r"^ami-[0-9a-f]{8,17}$", "an AMI id such as ami-0123456789abcdef0")]
KubernetesVersion = Annotated[str, _text(r"^\d+\.\d+(\.\d+)?$", "a version such as '1.34.5'")]
ClusterName = Annotated[
    str,
    _text(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9-]+)+$", "a name such as games.example.com"),
]
StateStore = Annotated[
    str, _text(r"^s3://[a-z0-9][a-z0-9.-]+(/.*)?$", "a state store s3://BUCKET[/PREFIX]")
]
Region = Annotated[str, _text(r"^[a-z]{2}(-[a-z]+)+-\d$", "an AWS region such as eu-west-1")]
