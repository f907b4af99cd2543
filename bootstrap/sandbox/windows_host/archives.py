"""Archives on a host: real ones of bytes, and published ones of which only the names are known.

A big download is a ``VirtualFile``. What the published archives hold is listed here, from releases
of 2026; a member's own bytes are not known, so that its checksum is made up from the archive's.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping

from bootstrap.sandbox.windows_host.state import VirtualFile

_KUBERNETES = ("kubelet", "kube-proxy", "kubeadm", "kubectl", "kube-log-runner")
_CONTAINERD = ("containerd", "ctr", "containerd-stress", "containerd-shim-runhcs-v1")
_CNI = ("host-local", "win-bridge", "win-overlay")
_PUBLISHED = (
    ("kubernetes-node-windows-amd64", tuple(f"kubernetes/node/bin/{n}.exe" for n in _KUBERNETES)),
    ("cni-plugin-flannel-windows-amd64", ("flannel-amd64.exe",)),
    ("cni-plugins-windows-amd64", tuple(f"{name}.exe" for name in _CNI)),
    ("cri-dockerd-", ("cri-dockerd/cri-dockerd.exe",)),
    ("docker-", ("docker/docker.exe", "docker/dockerd.exe")),
    ("containerd-", tuple(f"bin/{name}.exe" for name in _CONTAINERD)),
)
"""A part of the archive's name -> the Windows programs in it."""


class NoArchive(Exception):
    """What is there is no archive, or none whose content is known."""


def members(content: bytes | VirtualFile, name: str) -> Mapping[str, bytes | VirtualFile]:
    """Return the files of an archive by their names in it; NoArchive when it has none."""
    if isinstance(content, VirtualFile):
        return _virtual(content)
    try:
        if name.lower().endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return {
                    item.filename: archive.read(item)
                    for item in archive.infolist()
                    if not item.is_dir()
                }
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            found = {item.name: tar.extractfile(item) for item in tar.getmembers() if item.isfile()}
            return {name: file.read() for name, file in found.items() if file is not None}
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as exc:
        raise NoArchive(str(exc)) from exc


def _virtual(file: VirtualFile) -> dict[str, bytes | VirtualFile]:
    name = file.url.rpartition("/")[2]
    for part, programs in _PUBLISHED:
        if part in name:
            return {program: _member(file, program) for program in programs}
    raise NoArchive(f"sandbox: what {name or 'this file'} holds is not known")


def _member(file: VirtualFile, member: str) -> VirtualFile:
    seed = json.dumps([sorted(file.checksums.items()), member])
    made_up = hashlib.sha256(seed.encode()).hexdigest()
    return VirtualFile(size=file.size, checksums={"sha256": made_up}, url=f"{file.url}#{member}")
