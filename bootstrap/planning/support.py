"""Which clusters Windows nodes can join; what cannot work is refused by name. Pure.

Sources: kops docs/networking.md; kubernetes.io "Windows containers in Kubernetes" (supported OS
versions); research on each Kubernetes minor as cited in ``model.windows``.
"""

from __future__ import annotations

from collections.abc import Iterator

from bootstrap.model.cluster import StoreFacts
from bootstrap.model.finding import Finding, Level
from bootstrap.model.node import WindowsRelease

# Overlay on Windows needs kube-proxy 1.14; Windows Server 2022 is supported from 1.23 on, 2025 from
# 1.32 on. Kubernetes' documentation lists 2019 up to 1.34.
OLDEST_MINOR = {
    WindowsRelease.WS2019: 14,
    WindowsRelease.WS2022: 23,
    WindowsRelease.WS2025: 32,
}
NEWEST_DOCUMENTED_MINOR = {WindowsRelease.WS2019: 34}
NEWEST_MINOR = 37


def refusals(
    store: StoreFacts, *, windows: WindowsRelease = WindowsRelease.WS2019
) -> tuple[Finding, ...]:
    """Return what speaks against Windows nodes in this cluster; errors refuse it."""
    return tuple(
        finding
        for rule in (_cloud, _ip_family, _network, _proxy, _too_old, _too_new)
        for finding in rule(store, windows)
    )


def _cloud(store: StoreFacts, _: WindowsRelease) -> Iterator[Finding]:
    if store.cloud_provider != "aws":
        yield _refused(
            store,
            "CloudIsAws",
            f"the cluster runs on {store.cloud_provider}; bootstrap launches EC2 instances",
            fix="use a cluster on AWS",
        )


def _ip_family(store: StoreFacts, _: WindowsRelease) -> Iterator[Finding]:
    if store.is_ipv6:
        yield _refused(
            store,
            "ClusterIsIpv4",
            f"the cluster's pods use IPv6 ({store.pod_cidr}); HNS overlay networks are IPv4 only",
            fix="use an IPv4 cluster",
        )


def _network(store: StoreFacts, _: WindowsRelease) -> Iterator[Finding]:
    cni = store.cni
    if cni.name not in ("flannel", "cni"):
        yield _refused(
            store,
            "CniServesWindows",
            f"the pod network is {cni.name or 'unknown'}; Windows nodes need flannel with vxlan",
            fix="make the cluster with --networking flannel; a running cluster cannot be changed",
        )
    elif cni.name == "flannel" and cni.backend != "vxlan":
        yield _refused(
            store,
            "FlannelBackend",
            f"flannel's backend is {cni.backend}; Windows knows vxlan",
            fix="set spec.networking.flannel.backend to vxlan and roll the cluster",
            command=f"kops edit cluster {store.name}",
        )


def _proxy(store: StoreFacts, _: WindowsRelease) -> Iterator[Finding]:
    if not store.kube_proxy_enabled:
        yield _refused(
            store,
            "KubeProxyEnabled",
            "kube-proxy is switched off; on Windows only kube-proxy makes Services work",
            fix="use a cluster with kube-proxy",
        )


def _too_old(store: StoreFacts, windows: WindowsRelease) -> Iterator[Finding]:
    oldest = OLDEST_MINOR[windows]
    if _minor(store) < oldest:
        yield _refused(
            store,
            "KubernetesServesWindows",
            f"Kubernetes {store.kubernetes_version} is too old for Windows Server {windows},"
            f" which needs 1.{oldest}",
            fix=f"upgrade the cluster to 1.{oldest} or newer",
        )


def _too_new(store: StoreFacts, windows: WindowsRelease) -> Iterator[Finding]:
    minor = _minor(store)
    if minor > NEWEST_MINOR:
        yield _refused(
            store,
            "KubernetesServesWindows",
            f"this version of bootstrap knows Kubernetes up to 1.{NEWEST_MINOR},"
            f" the cluster has {store.kubernetes_version}",
            fix="use a newer bootstrap",
        )
    elif minor > NEWEST_DOCUMENTED_MINOR.get(windows, NEWEST_MINOR):
        yield Finding(
            level=Level.WARNING,
            name="WindowsReleaseSupported",
            target=store.name,
            message=(
                f"Kubernetes' documentation no longer lists Windows Server {windows} for 1.{minor};"
                " it is known to start there, not to be tested"
            ),
            fix="plan the move to Windows Server 2022",
            command="bootstrap add-node --windows 2022 ...",
        )


def _minor(store: StoreFacts) -> int:
    return int(store.kubernetes_version.split(".")[1])


def _refused(
    store: StoreFacts, name: str, message: str, *, fix: str, command: str | None = None
) -> Finding:
    return Finding(
        level=Level.ERROR,
        name=name,
        target=store.name,
        message=message,
        evidence={"kubernetes": store.kubernetes_version, "kops": store.kops_version},
        fix=fix,
        command=command,
    )
