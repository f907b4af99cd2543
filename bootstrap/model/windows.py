"""What a Windows node needs of each Windows release and Kubernetes minor, with sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bootstrap.model.node import WindowsRelease

NEWEST_MINOR: Final = 37
"""The newest Kubernetes whose Windows programs were seen to take what we write for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRow:
    """A Windows release: its build, and the Kubernetes minors that serve it.

    ``last_documented``: the last minor whose documentation lists it.
    """

    build: int
    first: int
    last_documented: int
    source: str


_BUILDS = "learn.microsoft.com/windows-server/get-started/windows-server-release-info"
_WINDOWS = "kubernetes.io/docs/concepts/windows/intro (Windows OS version compatibility)"

RELEASES: Final[Mapping[WindowsRelease, ReleaseRow]] = {
    WindowsRelease.WS2019: ReleaseRow(
        build=17763,
        first=14,
        last_documented=34,
        source=f"{_BUILDS}; overlay networks need kube-proxy 1.14; {_WINDOWS}: up to 1.34",
    ),
    WindowsRelease.WS2022: ReleaseRow(
        build=20348,
        first=23,
        last_documented=NEWEST_MINOR,
        source=f"{_BUILDS}; {_WINDOWS}: 1.23 and newer",
    ),
    WindowsRelease.WS2025: ReleaseRow(
        build=26100,
        first=32,
        last_documented=NEWEST_MINOR,
        source=f"{_BUILDS}; {_WINDOWS}: 1.32 and newer",
    ),
}
BUILDS: Final[Mapping[WindowsRelease, int]] = {name: row.build for name, row in RELEASES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different from a Kubernetes minor on."""

    first: int
    what: str
    source: str


# Fields of the kubelet's file: k8s.io/kubelet config/v1beta1/types.go at each minor's tag. Older
# kubelets ignore a field that they do not know, without an error.
PROVIDER_ID_IN_FILE: Final = Change(
    first=19,
    what="providerID is a field of the kubelet's file; before, --provider-id",
    source="k8s.io/kubelet config/v1beta1/types.go, tags 1.18.0 and 1.19.0",
)
RESOLV_CONF_IN_FILE: Final = Change(
    first=23,
    what="an empty resolvConf in the kubelet's file is taken; before, it meant /etc/resolv.conf and"
    " --resolv-conf= had to empty it",
    source="k8s.io/kubelet config/v1beta1/types.go, tags 1.22.0 (string) and 1.23.0 (pointer)",
)
TAINTS_IN_FILE: Final = Change(
    first=23,
    what="registerWithTaints is a field of the kubelet's file; before, --register-with-taints",
    source="k8s.io/kubelet config/v1beta1/types.go, tags 1.22.0 and 1.23.0",
)
LOG_RUNNER: Final = Change(
    first=24,
    what="kube-log-runner.exe is in the node archive and writes the logs; before, --log-dir",
    source="kubernetes/kubernetes CHANGELOG-1.26.md (klog flags removed)",
)
DOCKERSHIM_REMOVED: Final = Change(
    first=24,
    what="the kubelet speaks CRI only: --network-plugin, --cni-bin-dir, --cni-conf-dir,"
    " --image-pull-progress-deadline and dockershim are gone",
    source="kubernetes/kubernetes CHANGELOG-1.24.md",
)
ENDPOINT_IN_FILE: Final = Change(
    first=27,
    what="containerRuntimeEndpoint is a field of the kubelet's file; before,"
    " --container-runtime=remote with --container-runtime-endpoint",
    source="k8s.io/kubelet config/v1beta1/types.go, tags 1.26.0 and 1.27.0; CHANGELOG-1.27.md",
)
OVERLAY_LOCKED: Final = Change(
    first=34,
    what="WinOverlay is locked on; before, kube-proxy is given the gate",
    source="kubernetes/kubernetes CHANGELOG-1.34.md; seen on kube-proxy.exe 1.33 to 1.37",
)
PAUSE_3_10: Final = Change(
    first=34,
    what="the sandbox image is pause 3.10.1; before, 3.9, but on Windows Server 2025",
    source="kubernetes-sigs/image-builder images/capi/ansible/windows (pause_image): 3.9 has"
    " Windows Server 2019 and 2022, 3.10.1 has 2025, too",
)
CHANGES: Final = (
    PROVIDER_ID_IN_FILE,
    RESOLV_CONF_IN_FILE,
    TAINTS_IN_FILE,
    LOG_RUNNER,
    DOCKERSHIM_REMOVED,
    ENDPOINT_IN_FILE,
    OVERLAY_LOCKED,
    PAUSE_3_10,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletRules:
    """How kubelet and kube-proxy of one minor are started on Windows (``CHANGES``)."""

    has_log_runner: bool
    provider_id_in_file: bool
    resolv_conf_in_file: bool
    taints_in_file: bool
    endpoint_in_file: bool
    overlay_gate: bool


def kubelet_rules(minor: int) -> KubeletRules:
    """Return the rules of a Kubernetes minor."""
    return KubeletRules(
        has_log_runner=minor >= LOG_RUNNER.first,
        provider_id_in_file=minor >= PROVIDER_ID_IN_FILE.first,
        resolv_conf_in_file=minor >= RESOLV_CONF_IN_FILE.first,
        taints_in_file=minor >= TAINTS_IN_FILE.first,
        endpoint_in_file=minor >= ENDPOINT_IN_FILE.first,
        overlay_gate=minor < OVERLAY_LOCKED.first,
    )


def pause_image(minor: int, windows: WindowsRelease) -> str:
    """Return the sandbox image of a Kubernetes minor on a Windows release (``PAUSE_3_10``)."""
    if minor < PAUSE_3_10.first and windows is not WindowsRelease.WS2025:
        return "mcr.microsoft.com/oss/kubernetes/pause:3.9"
    return "mcr.microsoft.com/oss/v2/kubernetes/pause:3.10.1-3"
