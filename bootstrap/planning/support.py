"""Which clusters Windows nodes can join; what cannot work is refused by name. Pure.

Sources: kops docs/networking.md and ``pkg/apis/kops/v1alpha2/networking.go`` (what there is);
``model.windows`` and ``model.runtimes`` (which Kubernetes serves what on Windows);
docs.tigera.io "Limitations of Calico for Windows".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bootstrap.model.cluster import StoreFacts
from bootstrap.model.finding import Finding, Level
from bootstrap.model.node import Runtime, WindowsRelease
from bootstrap.model.registries import Registries
from bootstrap.model.runtimes import runtimes_for
from bootstrap.model.windows import NEWEST_MINOR, RELEASES
from bootstrap.planning import versions
from bootstrap.planning.registry_files import DOCKER_HUB, not_mirrored_by_docker

EXTERNAL_CNI: Final = frozenset({"cni", "external"})
"""kops leaves the pod network to the user; preflight looks for flannel in the cluster itself."""
_WHY_NOT: Final = {
    "amazonvpc": "AWS' VPC CNI serves Windows on EKS only",
    "calico": "Calico on Windows needs a pool with VXLAN on every packet and a setup of its own,"
    " which bootstrap does not know yet",
    "canal": "Canal ended with Kubernetes 1.28 and never served Windows",
    "cilium": "Cilium has no agent for Windows",
    "kindnet": "kindnet has no agent for Windows",
    "kubenet": "kubenet routes pods through the VPC's tables, which on Windows nobody keeps",
    "kuberouter": "kube-router has no agent for Windows",
    "weave": "Weave Net is not maintained any more and never served Windows",
}


def refusals(
    store: StoreFacts, *, windows: WindowsRelease = WindowsRelease.WS2019
) -> tuple[Finding, ...]:
    """Return what speaks against such Windows nodes in this cluster; errors refuse it."""
    return tuple(
        finding
        for rule in (_cloud, _ip_family, _network, _proxy, _too_old, _too_new)
        for finding in rule(store, windows)
    )


def releases_for(minor: int) -> tuple[WindowsRelease, ...]:
    """Return the Windows releases that a Kubernetes minor is documented for, oldest first."""
    return tuple(
        release for release, row in RELEASES.items() if row.first <= minor <= row.last_documented
    )


def runtime_refusals(runtime: Runtime, version: str) -> tuple[Finding, ...]:
    """Refuse a runtime that does not serve a Kubernetes version, naming one that does."""
    served = runtimes_for(versions.minor(version))
    if runtime in served or not served:
        return ()
    better = served[0]
    return (
        Finding(
            level=Level.ERROR,
            name="RuntimeServesKubernetes",
            target=str(runtime),
            message=f"{runtime} on Windows does not serve Kubernetes {version}",
            evidence={"kubernetes": version, "runtimes": [str(item) for item in served]},
            fix=f"the nearest combination is {better} with Kubernetes {version}",
            command=f"bootstrap add-node --runtime {better} ...",
        ),
    )


def mirror_refusals(runtime: Runtime, registries: Registries) -> tuple[Finding, ...]:
    """Refuse mirrors that a runtime cannot use, rather than go around them."""
    if runtime is Runtime.CONTAINERD:
        return ()
    return tuple(
        Finding(
            level=Level.ERROR,
            name="RegistryMirrorsServed",
            target=registry,
            message=f"Docker has mirrors for {DOCKER_HUB} only, not for {registry}",
            evidence={"runtime": str(runtime)},
            fix="leave its mirrors out, or use containerd",
            command="bootstrap add-node --runtime containerd ...",
        )
        for registry in not_mirrored_by_docker(registries)
    )


def _cloud(store: StoreFacts, _: WindowsRelease) -> Iterator[Finding]:
    if store.cloud_provider != "aws":
        yield _refused(
            store,
            "CloudIsAws",
            f"the cluster runs on {store.cloud_provider or 'an unknown cloud'};"
            " bootstrap launches EC2 instances",
            evidence={"cloudProvider": store.cloud_provider},
            fix="use a cluster on AWS",
        )


def _ip_family(store: StoreFacts, _: WindowsRelease) -> Iterator[Finding]:
    if store.is_ipv6:
        yield _refused(
            store,
            "ClusterIsIpv4",
            "the cluster's pods or Services have IPv6 addresses; overlay networks on Windows are"
            " IPv4 only",
            evidence={"podCIDR": store.pod_cidr, "serviceCIDR": store.service_cidr},
            fix="use an IPv4 cluster; kops cannot change the address family of a running one",
        )


def _network(store: StoreFacts, _: WindowsRelease) -> Iterator[Finding]:
    cni = store.cni
    evidence = {"networking": cni.name, "backend": cni.backend}
    if cni.name == "flannel" and cni.backend != "vxlan":
        yield _refused(
            store,
            "FlannelBackend",
            f"flannel's backend is {cni.backend}; on Windows flannel has vxlan only",
            evidence=evidence,
            fix="set spec.networking.flannel.backend to vxlan, update and roll the cluster",
            command=f"kops edit cluster {store.name}",
        )
    elif cni.name != "flannel" and cni.name not in EXTERNAL_CNI:
        why = _WHY_NOT.get(cni.name, "it has no way to Windows that bootstrap knows")
        yield _refused(
            store,
            "CniServesWindows",
            f"the pod network is {cni.name or 'not named in the spec'}: {why}",
            evidence=evidence,
            fix="use a cluster made with --networking flannel; kops does not move a running cluster"
            " from one pod network to another",
        )


def _proxy(store: StoreFacts, _: WindowsRelease) -> Iterator[Finding]:
    if not store.kube_proxy_enabled:
        yield _refused(
            store,
            "KubeProxyEnabled",
            "kube-proxy is switched off; on Windows nothing else makes Services work",
            evidence={"kubeProxy.enabled": False},
            fix="use a cluster with kube-proxy",
        )


def _too_old(store: StoreFacts, windows: WindowsRelease) -> Iterator[Finding]:
    oldest, minor = RELEASES[windows].first, versions.minor(store.kubernetes_version)
    if minor >= oldest:
        return
    others = releases_for(minor)
    upgrade = f"upgrade the cluster to 1.{oldest} or newer"
    yield _refused(
        store,
        "KubernetesServesWindows",
        f"Kubernetes {store.kubernetes_version} is too old for Windows Server {windows},"
        f" which needs 1.{oldest}",
        evidence={"windows": str(windows)},
        fix=f"use Windows Server {others[-1]}, or {upgrade}" if others else upgrade,
        command=f"bootstrap add-node --windows {others[-1]} ..."
        if others
        else f"kops upgrade cluster {store.name}",
    )


def _too_new(store: StoreFacts, windows: WindowsRelease) -> Iterator[Finding]:
    minor = versions.minor(store.kubernetes_version)
    if minor > NEWEST_MINOR:
        yield _refused(
            store,
            "KubernetesServesWindows",
            f"Kubernetes {store.kubernetes_version} is too new: this version of bootstrap knows"
            f" what Windows nodes need up to 1.{NEWEST_MINOR}",
            evidence={"windows": str(windows)},
            fix="use a newer bootstrap",
            command="pip install --upgrade kops-windows-bootstrap",
        )
    elif windows not in releases_for(minor) and minor >= RELEASES[windows].first:
        better = releases_for(minor)[0]
        yield Finding(
            level=Level.WARNING,
            name="WindowsReleaseSupported",
            target=store.name,
            message=f"Kubernetes' documentation no longer lists Windows Server {windows} for"
            f" 1.{minor}; its programs start there, but nobody tests them",
            evidence={"kubernetes": store.kubernetes_version, "windows": str(windows)},
            fix=f"plan the move to Windows Server {better}",
            command=f"bootstrap add-node --windows {better} ...",
        )


def _refused(
    store: StoreFacts,
    name: str,
    message: str,
    *,
    evidence: Mapping[str, object],
    fix: str,
    command: str | None = None,
) -> Finding:
    return Finding(
        level=Level.ERROR,
        name=name,
        target=store.name,
        message=message,
        evidence={"kubernetes": store.kubernetes_version, "kops": store.kops_version, **evidence},
        fix=fix,
        command=command,
    )
