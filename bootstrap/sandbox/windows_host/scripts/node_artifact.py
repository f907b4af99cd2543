"""Install-NodeArtifact: downloads, checksums, archives, the manifest of what is installed."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts.request import Request, Thrown, answer, field
from bootstrap.sandbox.windows_host.state import VirtualFile

_KUBERNETES = r"kubernetes/node/bin/(kubelet|kube-proxy|kubeadm|kubectl|kube-log-runner)\.exe"
_MEMBERS = (
    ("kubernetes-node-windows-amd64", _KUBERNETES),
    ("cri-dockerd-", r"cri-dockerd/cri-dockerd\.exe"),
    ("docker-", r"docker/(docker|dockerd)\.exe"),
    ("containerd-", r"(\./)?bin/(containerd|ctr|containerd-stress|containerd-shim-runhcs-v1)\.exe"),
    ("cni-plugins-windows-amd64", r"(\./)?(host-local|win-bridge|win-overlay)\.exe"),
    ("cni-plugin-flannel-windows-amd64", r"(\./)?flannel-amd64\.exe"),
)
"""What the published archives hold, by a part of their name (listed from releases of 2026)."""


def install(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Install what the manifest does not show as installed."""
    path = str(field(request, "manifest"))
    known = _read_manifest(host, path)
    results = []
    for artifact in field(request, "artifacts"):
        name = str(field(artifact, "name"))
        missing = not _is_installed(host, artifact, known.get(name))
        if missing and not check:
            known[name] = _install(host, artifact)
            manifest = {"artifacts": [known[key] for key in sorted(known)]}
            host.state.files.write(path, json.dumps(manifest, indent=2).encode("ascii"))
        results.append({"name": name, "changed": missing})
    return answer(changed=any(result["changed"] for result in results), artifacts=results)


def _read_manifest(host: WindowsHost, path: str) -> dict[str, dict[str, Any]]:
    content = host.state.files.read(path)
    if not content:
        return {}
    return {str(item["name"]): item for item in json.loads(content).get("artifacts") or []}


def _is_installed(host: WindowsHost, artifact: Request, known: dict[str, Any] | None) -> bool:
    if known is None:
        return False
    if (known["checksum"], known["url"]) != (field(artifact, "checksum"), field(artifact, "url")):
        return False
    for entry in known["files"]:
        file = host.state.files.get(str(entry["path"]))
        if file is None or file.checksum("sha256").upper() != entry["sha256"]:
            return False
    return True


def _install(host: WindowsHost, artifact: Request) -> dict[str, Any]:
    url, name = str(field(artifact, "url")), str(artifact["name"])
    downloaded = _download(host, url)
    algorithm, wanted = str(field(artifact, "algorithm")), str(field(artifact, "checksum"))
    found = downloaded.checksums.get(algorithm, "")
    if found.lower() != wanted.lower():
        raise Thrown(
            f"WN0202 {name}: wrong {algorithm} of C:\\k\\download\\artifact from {url}: "
            f"expected {wanted}, found {found}"
        )
    placed = []
    for entry in field(artifact, "files"):
        content = _member(downloaded, artifact, str(entry["from"]))
        host.state.files.write(str(entry["to"]), content)
        placed.append({"path": entry["to"], "sha256": content.checksums["sha256"].upper()})
    return {
        "name": name,
        "url": url,
        "algorithm": algorithm,
        "checksum": wanted,
        "files": placed,
    }


def _download(host: WindowsHost, url: str) -> VirtualFile:
    found = host.hooks.internet(url)
    if found is None:
        raise Thrown(f"WN0201 {url} cannot be downloaded: (404) Not Found.")
    if isinstance(found, VirtualFile):
        return found
    checksums = {name: hashlib.new(name, found).hexdigest() for name in ("sha256", "sha512")}
    return VirtualFile(size=len(found), checksums=checksums, url=url)


def _member(downloaded: VirtualFile, artifact: Request, member: str) -> VirtualFile:
    """Return a file of an archive: its content is not known, so its checksum is made up."""
    if artifact.get("unpack") == "none":
        known = downloaded.checksums.get("sha256") or _made_up(downloaded, "")
        return VirtualFile(
            size=downloaded.size,
            checksums=dict(downloaded.checksums) | {"sha256": known},
            url=downloaded.url,
        )
    name = downloaded.url.rpartition("/")[2]
    patterns = [pattern for part, pattern in _MEMBERS if part in name]
    if not member or (patterns and not re.fullmatch(patterns[0], member)):
        raise Thrown(f"WN0203 {artifact['name']} has no member {member}")
    return VirtualFile(
        size=downloaded.size,
        checksums={"sha256": _made_up(downloaded, member)},
        url=f"{downloaded.url}#{member}",
    )


def _made_up(downloaded: VirtualFile, member: str) -> str:
    seed = json.dumps([sorted(downloaded.checksums.items()), member])
    return hashlib.sha256(seed.encode()).hexdigest()
