"""Which binaries a node gets, with their published checksums. Pure; ``wiring`` reads the files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import yaml

from bootstrap.model.finding import Finding, Level
from bootstrap.model.windows import kubelet_rules

KUBERNETES, CONTAINERD = "kubernetes-node", "containerd"
CNI_PLUGINS, FLANNEL_PLUGIN, FLANNELD = "cni-plugins", "flannel-cni-plugin", "flanneld"


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

    def versions(self, name: str) -> tuple[str, ...]:
        """List the versions of an artifact, the oldest first."""
        return tuple(sorted((item.version for item in self.artifacts[name]), key=_order))

    def get(self, name: str, version: str) -> Artifact:
        """Return one artifact; KeyError when it is not listed."""
        found = next((i for i in self.artifacts[name] if i.version == version), None)
        if found is None:
            raise KeyError(f"{name} {version}")
        return found

    def newest(self, name: str, major: int | None = None) -> Artifact:
        """Return the newest version, of one major where it is given."""
        fitting = [v for v in self.versions(name) if major is None or _order(v)[0] == major]
        return self.get(name, fitting[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactSet:
    """The artifacts of one node."""

    kubernetes: Artifact
    containerd: Artifact
    cni_plugins: Artifact
    flannel_plugin: Artifact
    flanneld: Artifact

    def mirrored(self, mirror: str) -> ArtifactSet:
        """Return the same set from a mirror, which has each host's paths below it."""
        if not mirror:
            return self
        return ArtifactSet(
            kubernetes=_mirrored(self.kubernetes, mirror),
            containerd=_mirrored(self.containerd, mirror),
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


def artifact_set(catalog: Catalog, kubernetes: str, mirror: str = "") -> ArtifactSet:
    """Return what a node of a Kubernetes version gets."""
    rules = kubelet_rules(_order(kubernetes)[1])
    chosen = ArtifactSet(
        kubernetes=catalog.get(KUBERNETES, kubernetes),
        containerd=catalog.newest(CONTAINERD, rules.containerd_major),
        cni_plugins=catalog.newest(CNI_PLUGINS),
        flannel_plugin=catalog.newest(FLANNEL_PLUGIN),
        flanneld=catalog.newest(FLANNELD),
    )
    return chosen.mirrored(mirror)


def _mirrored(artifact: Artifact, mirror: str) -> Artifact:
    parts = urlsplit(artifact.url)
    return replace(artifact, url=f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}")


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
