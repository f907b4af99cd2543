"""The control plane's programs from where their projects publish them, with their checksums.

Kubernetes publishes a ``.sha256`` beside each program (https://dl.k8s.io); etcd a ``SHA256SUMS``
beside its archives (https://github.com/etcd-io/etcd/releases).
"""

from __future__ import annotations

import hashlib
import io
import platform
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import urllib3

# Machines without the internet should notice at once and build instead.
_TIMEOUT = urllib3.Timeout(connect=3, read=60)
_ETCD = "https://github.com/etcd-io/etcd/releases/download"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class DownloadFailed(Exception):
    """The site could not be reached, or what it sent is not what it says."""


def download(name: str, version: str, folder: Path, progress: Callable[[str], None]) -> None:
    """Put one program into a folder, its SHA-256 checked."""
    architecture = _ARCHITECTURES.get(platform.machine(), "amd64")
    if name == "etcd":
        content = _etcd(version, architecture, progress)
    else:
        url = f"https://dl.k8s.io/v{version}/bin/linux/{architecture}/{name}"
        expected = _get(f"{url}.sha256").decode().split()[0]
        progress(f"downloading {name} {version}")
        content = _checked(url, expected)
    path = folder / name
    path.write_bytes(content)
    path.chmod(0o755)


def _etcd(version: str, architecture: str, progress: Callable[[str], None]) -> bytes:
    archive = f"etcd-v{version}-linux-{architecture}.tar.gz"
    sums = _get(f"{_ETCD}/v{version}/SHA256SUMS").decode()
    found = re.search(rf"^([0-9a-f]{{64}})\s+\*?{re.escape(archive)}$", sums, re.MULTILINE)
    if not found:
        raise DownloadFailed(f"SHA256SUMS does not list {archive}")
    progress(f"downloading etcd {version}")
    data = _checked(f"{_ETCD}/v{version}/{archive}", found[1])
    with tarfile.open(fileobj=io.BytesIO(data)) as unpacked:
        member = unpacked.extractfile(f"{archive.removesuffix('.tar.gz')}/etcd")
        if member is None:
            raise DownloadFailed(f"{archive} holds no etcd")
        return member.read()


def _checked(url: str, expected: str) -> bytes:
    data = _get(url)
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise DownloadFailed(f"{url}: SHA-256 is {found}, published is {expected}")
    return data


def _get(url: str) -> bytes:
    try:
        answer = urllib3.request("GET", url, timeout=_TIMEOUT, retries=urllib3.Retry(1, redirect=5))
    except urllib3.exceptions.HTTPError as exc:
        raise DownloadFailed(f"{url}: {type(exc).__name__}") from exc
    if answer.status != 200:
        raise DownloadFailed(f"{url}: HTTP {answer.status}")
    return answer.data
