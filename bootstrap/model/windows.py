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
    gone or going (removed in 1.26). ``taints_in_file``: ``registerWithTaints`` is a field of the
    configuration file (1.23); before, it is a flag, and the field is ignored without an error.
    ``endpoint_in_file``: the same of ``containerRuntimeEndpoint`` (1.27); the flag then goes with
    ``--container-runtime=remote``.
    ``overlay_gate``: WinOverlay still has to be named for kube-proxy; it is locked on from 1.34.
    """

    has_log_runner: bool
    taints_in_file: bool
    endpoint_in_file: bool
    overlay_gate: bool
    containerd_major: int


# Sources: kubernetes/kubernetes CHANGELOG-1.24.md (dockershim flags), CHANGELOG-1.26.md (klog
# flags), CHANGELOG-1.27.md (--container-runtime), CHANGELOG-1.34.md (WinOverlay locked); seen on
# real kubelet.exe and kube-proxy.exe 1.33 to 1.37; fields of the file: k8s.io/kubelet
# config/v1beta1/types.go of 0.20 to 0.27. containerd: its RELEASES.md names 2.x for Kubernetes 1.30
# and newer; 1.7 is the last to speak CRI v1alpha2, all that kubelets before 1.23 know, and kops
# itself put it on nodes of 1.27.
FIRST_TAINTS_IN_FILE = 23
FIRST_LOG_RUNNER = 24
FIRST_ENDPOINT_IN_FILE = 27
FIRST_LOCKED_OVERLAY = 34
FIRST_CONTAINERD_2 = 31


def kubelet_rules(minor: int) -> KubeletRules:
    """Return the rules of a Kubernetes minor."""
    return KubeletRules(
        has_log_runner=minor >= FIRST_LOG_RUNNER,
        taints_in_file=minor >= FIRST_TAINTS_IN_FILE,
        endpoint_in_file=minor >= FIRST_ENDPOINT_IN_FILE,
        overlay_gate=minor < FIRST_LOCKED_OVERLAY,
        containerd_major=2 if minor >= FIRST_CONTAINERD_2 else 1,
    )


FIRST_PAUSE_3_10 = 34


def pause_image(minor: int, windows: WindowsRelease) -> str:
    """Return the sandbox image: 3.9 has Windows Server 2019 and 2022, 3.10.1 has 2025, too.

    https://github.com/kubernetes-sigs/image-builder images/capi/ansible/windows (pause_image).
    """
    if minor < FIRST_PAUSE_3_10 and windows is not WindowsRelease.WS2025:
        return "mcr.microsoft.com/oss/kubernetes/pause:3.9"
    return "mcr.microsoft.com/oss/v2/kubernetes/pause:3.10.1-3"
