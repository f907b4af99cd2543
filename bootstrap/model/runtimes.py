"""Which container runtime exists for which Kubernetes minor and Windows release, with sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bootstrap.model.node import Runtime, WindowsRelease
from bootstrap.model.windows import NEWEST_MINOR, RELEASES


class Link(StrEnum):
    """How a kubelet speaks with a container runtime."""

    CRI = "cri"
    DOCKERSHIM = "dockershim"
    CRI_DOCKERD = "cri-dockerd"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeRow:
    """One way to run containers, for a range of Kubernetes minors.

    ``line``: how the runtime's versions begin; '' where the user names the version.
    ``config``: version of containerd's configuration format, 0 for Docker.
    """

    runtime: Runtime
    link: Link
    line: str
    first: int
    last: int
    config: int = 0
    source: str

    @property
    def cni_api(self) -> int:
        """``apiVersion`` of win-overlay: Docker's endpoints are HNS's (1), those of CRI HCN's (2).

        containernetworking/plugins plugins/main/windows/win-overlay; cri-dockerd calls plug-ins
        with a container's id where they expect a network namespace.
        """
        return 2 if self.link is Link.CRI else 1


_DOCKERSHIM = "kubernetes/kubernetes CHANGELOG-1.24.md (dockershim removed)"
_CRI_DOCKERD = (
    "Mirantis/cri-dockerd README.md (Kubernetes 1.24 and newer), commit a8698e96 (bind mounts on"
    " Windows), cmd/cri/options/options.go"
)
_MCR = "docs.mirantis.com/mcr (Windows Server); the same engine as Moby of its version"

ROWS: tuple[RuntimeRow, ...] = (
    RuntimeRow(
        runtime=Runtime.CONTAINERD,
        link=Link.CRI,
        line="1.7",
        first=20,
        last=30,
        config=2,
        source="kubernetes/kubernetes CHANGELOG-1.20.md (containerd on Windows stable);"
        " containerd RELEASES.md (1.7 is the last with CRI v1alpha2, all that 1.22 knows)",
    ),
    RuntimeRow(
        runtime=Runtime.CONTAINERD,
        link=Link.CRI,
        line="2",
        first=31,
        last=NEWEST_MINOR,
        config=3,
        source="containerd RELEASES.md (Kubernetes support: 2.x for 1.30 and newer)",
    ),
    RuntimeRow(
        runtime=Runtime.DOCKER,
        link=Link.DOCKERSHIM,
        line="20.10",
        first=14,
        last=23,
        source=f"{_DOCKERSHIM}; kubeadm of 1.21 to 1.23 is validated against Docker 20.10",
    ),
    RuntimeRow(
        runtime=Runtime.DOCKER,
        link=Link.CRI_DOCKERD,
        line="28",
        first=24,
        last=NEWEST_MINOR,
        source=f"{_CRI_DOCKERD}; its go.mod has the client of Docker 27, Docker 29 takes API 1.44"
        " and newer only",
    ),
    RuntimeRow(
        runtime=Runtime.DOCKER_EE,
        link=Link.DOCKERSHIM,
        line="",
        first=14,
        last=23,
        source=f"{_DOCKERSHIM}; {_MCR}",
    ),
    RuntimeRow(
        runtime=Runtime.DOCKER_EE,
        link=Link.CRI_DOCKERD,
        line="",
        first=24,
        last=NEWEST_MINOR,
        source=f"{_CRI_DOCKERD}; {_MCR}",
    ),
)

OLDEST_CRI_DOCKERD = "0.3.17"
"""The first whose bind mounts of single files work on Windows (commit a8698e96)."""


def runtime_row(runtime: Runtime, minor: int) -> RuntimeRow:
    """Return how a runtime serves a Kubernetes minor; KeyError when it does not."""
    for row in ROWS:
        if row.runtime is runtime and row.first <= minor <= row.last:
            return row
    raise KeyError(f"{runtime} for 1.{minor}")


def runtimes_for(minor: int) -> tuple[Runtime, ...]:
    """Return the runtimes that serve a minor, the one that ``auto`` takes first."""
    return tuple(row.runtime for row in ROWS if row.first <= minor <= row.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A Kubernetes minor, a Windows release and a runtime that go together.

    ``is_documented``: Kubernetes' documentation lists the release for this minor.
    """

    minor: int
    windows: WindowsRelease
    row: RuntimeRow
    is_documented: bool


def combinations() -> Iterator[Combination]:
    """Yield everything that exists, by minor, release and runtime."""
    oldest = min(release.first for release in RELEASES.values())
    for minor in range(oldest, NEWEST_MINOR + 1):
        for windows, release in RELEASES.items():
            if release.first > minor:
                continue
            for runtime in runtimes_for(minor):
                yield Combination(
                    minor=minor,
                    windows=windows,
                    row=runtime_row(runtime, minor),
                    is_documented=minor <= release.last_documented,
                )
