"""Which binaries a node gets, with their published checksums. Pure; ``wiring`` reads the files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import yaml

from bootstrap.model.finding import Finding, Level
from bootstrap.model.node import Runtime
from bootstrap.model.runtimes import OLDEST_CRI_DOCKERD, Link, RuntimeRow, runtime_row

KUBERNETES, CONTAINERD = "kubernetes-node", Runtime.CONTAINERD.value
DOCKER, DOCKER_EE, CRI_DOCKERD = Runtime.DOCKER.value, Runtime.DOCKER_EE.value, "cri-dockerd"
CNI_PLUGINS, FLANNEL_PLUGIN, FLANNELD = "cni-plugins", "flannel-cni-plugin", "flanneld"

OVERRIDE = "artifacts.overrides of the configuration"
"""Source of an artifact that the user named; it comes from its own URL, not from a mirror."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file to download; ``checksum`` is lower-case hex, ``source`` where it was published."""

    name: str
    version: str
    url: str
    algorithm: str
    checksum: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Every artifact whose checksum is known, by name."""

    artifacts: Mapping[str, tuple[Artifact, ...]]
    overridden: frozenset[str] = frozenset()
    """Names whose version the user chose; no line holds for them."""

    def versions(self, name: str) -> tuple[str, ...]:
        """List the versions of an artifact, the oldest first."""
        return tuple(sorted((item.version for item in self.artifacts[name]), key=_order))

    def get(self, name: str, version: str) -> Artifact:
        """Return one artifact; KeyError when it is not listed."""
        found = next((i for i in self.artifacts[name] if i.version == version), None)
        if found is None:
            raise KeyError(f"{name} {version}")
        return found

    def with_overrides(self, given: Sequence[Artifact]) -> Catalog:
        """Return a catalog with a user's own artifacts; they stand in for all others of the name.

        A Kubernetes version is named by the cluster, so that others stay beside it.
        """
        artifacts = dict(self.artifacts)
        for item in given:
            others = self.artifacts.get(item.name, ()) if item.name == KUBERNETES else ()
            artifacts[item.name] = (*(i for i in others if i.version != item.version), item)
        overridden = frozenset(item.name for item in given) - {KUBERNETES}
        return Catalog(artifacts=artifacts, overridden=overridden)

    def newest(self, name: str, line: str = "") -> Artifact:
        """Return the newest version, of a line (``1.7``) where it is given; KeyError for none."""
        if not (fitting := self._of_line(name, line)):
            raise KeyError(f"{name} {line}".strip())
        return self.get(name, fitting[-1])

    def has(self, name: str, line: str = "") -> bool:
        """Tell whether a version of a line is listed."""
        return bool(self._of_line(name, line))

    def _of_line(self, name: str, line: str) -> list[str]:
        wanted = () if name in self.overridden else _order(line)
        known = self.versions(name) if name in self.artifacts else ()
        return [version for version in known if _order(version)[: len(wanted)] == wanted]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactSet:
    """The artifacts of one node."""

    kubernetes: Artifact
    runtime: Artifact
    shim: Artifact | None
    """cri-dockerd, where the kubelet needs it to speak with Docker."""
    cni_plugins: Artifact
    flannel_plugin: Artifact
    flanneld: Artifact

    def mirrored(self, mirror: str) -> ArtifactSet:
        """Return the same set from a mirror, which has each host's paths below it."""
        if not mirror:
            return self
        return ArtifactSet(
            kubernetes=_mirrored(self.kubernetes, mirror),
            runtime=_mirrored(self.runtime, mirror),
            shim=_mirrored(self.shim, mirror) if self.shim else None,
            cni_plugins=_mirrored(self.cni_plugins, mirror),
            flannel_plugin=_mirrored(self.flannel_plugin, mirror),
            flanneld=_mirrored(self.flanneld, mirror),
        )


def parse_catalog(texts: Sequence[str]) -> Catalog:
    """Read the files below ``config/artifacts``."""
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    for text in texts:
        document = yaml.safe_load(text)
        name = str(document["artifact"])
        artifacts[name] = tuple(
            Artifact(
                name=name,
                version=str(item["version"]),
                url=str(item["url"]),
                algorithm=str(item["algorithm"]),
                checksum=str(item["checksum"]).lower(),
                source=str(item["source"]),
            )
            for item in document["versions"]
        )
    return Catalog(artifacts=artifacts)


def choose_kubernetes(catalog: Catalog, wanted: str) -> tuple[str, tuple[Finding, ...]]:
    """Choose a version whose checksum is known; '' with an error where the minor has none.

    ``wanted`` may be ``1.34`` or ``1.34.5``. Another patch of the same minor is within the skew
    policy: the newest that is not newer, else the oldest that is.
    """
    known = catalog.versions(KUBERNETES)
    same_minor = [version for version in known if _order(version)[:2] == _order(wanted)[:2]]
    if wanted in same_minor:
        return wanted, ()
    if not same_minor:
        return "", (_unknown_minor(wanted, known),)
    if wanted.count(".") == 1:
        return same_minor[-1], ()
    older = [version for version in same_minor if _order(version) < _order(wanted)]
    chosen = older[-1] if older else same_minor[0]
    note = Finding(
        level=Level.INFO,
        name="KubernetesPatchSubstituted",
        target=wanted,
        message=f"nodes get Kubernetes {chosen}: no checksum of {wanted} is known",
        evidence={"known": same_minor},
    )
    return chosen, (note,)


def _unknown_minor(wanted: str, known: Sequence[str]) -> Finding:
    minors = sorted({_order(version)[:2] for version in known})
    near = min(minors, key=lambda item: abs(item[1] - _order(wanted)[1]))
    nearest = ".".join(map(str, near))
    return Finding(
        level=Level.ERROR,
        name="ArtifactsKnown",
        target=wanted,
        message=f"no checksum of any Windows binary of Kubernetes {wanted} is known",
        evidence={"minors": [".".join(map(str, item)) for item in minors]},
        fix=f"the nearest minor that is known is {nearest}",
        command=f"bootstrap add-node --kubernetes-version {nearest} ...",
    )


def missing(catalog: Catalog, kubernetes: str, runtime: Runtime) -> tuple[Finding, ...]:
    """Refuse a runtime of which no checksum is known; nothing is installed unchecked."""
    row = runtime_row(runtime, _order(kubernetes)[1])
    wanted = [(row.runtime.value, row.line)]
    if row.link is Link.CRI_DOCKERD:
        wanted.append((CRI_DOCKERD, ""))
    unknown = [_unknown(name, line) for name, line in wanted if not catalog.has(name, line)]
    return (*unknown, *_too_old(catalog, row))


def _too_old(catalog: Catalog, row: RuntimeRow) -> Iterator[Finding]:
    """Refuse a cri-dockerd that does not mount single files on Windows."""
    if row.link is not Link.CRI_DOCKERD or not catalog.has(CRI_DOCKERD):
        return
    version = catalog.newest(CRI_DOCKERD).version
    if _order(version) < _order(OLDEST_CRI_DOCKERD):
        yield Finding(
            level=Level.ERROR,
            name="ArtifactsKnown",
            target=CRI_DOCKERD,
            message=f"cri-dockerd {version} cannot mount single files on Windows",
            evidence={"artifact": CRI_DOCKERD, "version": version},
            fix=f"name {OLDEST_CRI_DOCKERD} or newer in artifacts.overrides of the config file",
            command="bootstrap config validate",
        )


_WHY_UNKNOWN = {
    DOCKER_EE: "Mirantis Container Runtime is licensed and bootstrap knows no checksum of it;"
    " the DockerMsftProvider, which installed Docker EE, has lost its index and is not used",
    CRI_DOCKERD: "no checksum of cri-dockerd for Windows is published",
}


def _unknown(name: str, line: str) -> Finding:
    why = _WHY_UNKNOWN.get(name, f"no checksum of {name} {line} is known".strip())
    return Finding(
        level=Level.ERROR,
        name="ArtifactsKnown",
        target=name,
        message=why,
        evidence={"artifact": name, "version": line},
        fix=f"give version, URL and checksum of {name} in artifacts.overrides of the config file",
        command="bootstrap config schema",
    )


def artifact_set(
    catalog: Catalog,
    kubernetes: str,
    mirror: str = "",
    *,
    runtime: Runtime = Runtime.CONTAINERD,
) -> ArtifactSet:
    """Return what a node of a Kubernetes version and runtime gets; KeyError for what is unknown."""
    row = runtime_row(runtime, _order(kubernetes)[1])
    chosen = ArtifactSet(
        kubernetes=catalog.get(KUBERNETES, kubernetes),
        runtime=catalog.newest(row.runtime, row.line),
        shim=catalog.newest(CRI_DOCKERD) if row.link is Link.CRI_DOCKERD else None,
        cni_plugins=catalog.newest(CNI_PLUGINS),
        flannel_plugin=catalog.newest(FLANNEL_PLUGIN),
        flanneld=catalog.newest(FLANNELD),
    )
    return chosen.mirrored(mirror)


def _mirrored(artifact: Artifact, mirror: str) -> Artifact:
    if artifact.source == OVERRIDE:
        return artifact
    parts = urlsplit(artifact.url)
    return replace(artifact, url=f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}")


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
