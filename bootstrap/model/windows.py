"""What a Windows node needs of each Windows release and Kubernetes minor, with sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bootstrap.model.node import WindowsRelease

# https://learn.microsoft.com/windows-server/get-started/windows-server-release-info
BUILDS: Mapping[WindowsRelease, int] = {
    WindowsRelease.WS2019: 17763,
    WindowsRelease.WS2022: 20348,
    WindowsRelease.WS2025: 26100,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletRules:
    """How a kubelet of one minor is started on Windows.

    ``has_log_runner``: the node archive has kube-log-runner.exe, and flags like ``--log-dir`` are
    gone or going (removed in 1.26). ``endpoint_in_file``: ``containerRuntimeEndpoint`` is a field
    of the configuration file (1.27); before, it is a flag with ``--container-runtime=remote``.
    ``overlay_gate``: WinOverlay still has to be named for kube-proxy; it is locked on from 1.34.
    """

    has_log_runner: bool
    endpoint_in_file: bool
    overlay_gate: bool
    containerd_major: int


# Sources: kubernetes/kubernetes CHANGELOG-1.24.md (dockershim flags), CHANGELOG-1.26.md (klog
# flags), CHANGELOG-1.27.md (--container-runtime), CHANGELOG-1.34.md (WinOverlay locked); seen on
# real kubelet.exe and kube-proxy.exe 1.33 to 1.37. containerd 1.7 serves CRI v1 for all; 2.x is
# what kops' own Linux nodes run from Kubernetes 1.33 on.
FIRST_LOG_RUNNER = 24
FIRST_ENDPOINT_IN_FILE = 27
FIRST_LOCKED_OVERLAY = 34
FIRST_CONTAINERD_2 = 33


def kubelet_rules(minor: int) -> KubeletRules:
    """Return the rules of a Kubernetes minor."""
    return KubeletRules(
        has_log_runner=minor >= FIRST_LOG_RUNNER,
        endpoint_in_file=minor >= FIRST_ENDPOINT_IN_FILE,
        overlay_gate=minor < FIRST_LOCKED_OVERLAY,
        containerd_major=2 if minor >= FIRST_CONTAINERD_2 else 1,
    )


def pause_image(minor: int) -> str:
    """Return the sandbox image.

    Microsoft's images have every Windows build in one manifest:
    https://github.com/kubernetes-sigs/image-builder images/capi/ansible/windows (pause_image).
    """
    return (
        "mcr.microsoft.com/oss/kubernetes/pause:3.9"
        if minor < FIRST_LOCKED_OVERLAY
        else "mcr.microsoft.com/oss/v2/kubernetes/pause:3.10.1-3"
    )
