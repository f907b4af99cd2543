"""Kubernetes versions and their skew. https://kubernetes.io/releases/version-skew-policy/"""

from __future__ import annotations

import re


def minor(version: str) -> int:
    """Return the minor of ``1.34.5`` or ``v1.34.5+build``; ValueError when it is no version."""
    found = re.match(r"v?1\.(\d+)", version)
    if not found:
        raise ValueError(f"no Kubernetes version: {version!r}")
    return int(found.group(1))


def kubelet_fits(kubelet: str, server: str) -> bool:
    """Tell whether a kubelet goes with an API server."""
    newest = minor(server)
    return newest - allowed_kubelet_skew(newest) <= minor(kubelet) <= newest


def allowed_kubelet_skew(server_minor: int) -> int:
    """Return by how many minors a kubelet may be older than the API server."""
    return 3 if server_minor >= 28 else 2
