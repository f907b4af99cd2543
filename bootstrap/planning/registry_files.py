"""Mirrors, proxy and CA of registries, as files and environment of a runtime. Pure.

Sources: containerd docs/hosts.md (``hosts.toml``; a port stands as ``_5000_`` in a folder's name),
moby registry/config_windows.go (folders of ``certs.d`` without ``:``), and Go's
``httpproxy.FromEnvironment``, by which both runtimes find their proxy.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from bootstrap.model.cluster import NetworkFacts
from bootstrap.model.registries import Registries, RegistryMirror

DOCKER_HUB = "docker.io"
HOSTS_FOLDER = r"C:\k\containerd\certs.d"
CONTAINERD_CA = r"C:\k\containerd\registry-ca.crt"
DOCKER_CERTS = r"C:\ProgramData\docker\certs.d"
_SERVERS = {DOCKER_HUB: "registry-1.docker.io"}
_NEVER_BY_PROXY = ("localhost", "127.0.0.1", "169.254.169.254", ".svc")


def containerd_files(registries: Registries) -> dict[str, str]:
    """Return ``hosts.toml`` of each registry, and the CA that they name."""
    files = {CONTAINERD_CA: registries.ca_pem} if registries.ca_pem else {}
    for mirror in registries.mirrors:
        folder = mirror.registry.replace(":", "_") + ("_" if ":" in mirror.registry else "")
        has_ca = bool(registries.ca_pem)
        files[rf"{HOSTS_FOLDER}\{folder}\hosts.toml"] = _hosts_toml(mirror, has_ca=has_ca)
    return files


def _hosts_toml(mirror: RegistryMirror, *, has_ca: bool) -> str:
    lines = [f"server = 'https://{_SERVERS.get(mirror.registry, mirror.registry)}'"]
    for url in mirror.urls:
        lines += ["", f"[host.'{url}']", "capabilities = ['pull', 'resolve']"]
        lines += [f"ca = '{CONTAINERD_CA}'"] if has_ca else []
    return "\n".join(lines) + "\n"


def docker_mirrors(registries: Registries) -> list[str]:
    """Return what dockerd can mirror: Docker Hub alone."""
    return [
        url for mirror in registries.mirrors if mirror.registry == DOCKER_HUB for url in mirror.urls
    ]


def docker_files(registries: Registries) -> dict[str, str]:
    """Return the CA of each mirror where dockerd looks for it."""
    hosts = {urlsplit(url).netloc for mirror in registries.mirrors for url in mirror.urls}
    if not registries.ca_pem:
        return {}
    return {
        rf"{DOCKER_CERTS}\{host.replace(':', '')}\ca.crt": registries.ca_pem
        for host in sorted(hosts)
    }


def not_mirrored_by_docker(registries: Registries) -> tuple[str, ...]:
    """Return registries whose mirrors dockerd cannot use; one that only needs its CA is fine."""
    return tuple(
        mirror.registry
        for mirror in registries.mirrors
        if mirror.registry != DOCKER_HUB
        and {urlsplit(url).netloc for url in mirror.urls} != {mirror.registry}
    )


def environment(registries: Registries, network: NetworkFacts) -> dict[str, str]:
    """Return the variables of a runtime behind a proxy; the cluster itself is reached directly."""
    if not registries.proxy:
        return {}
    inside = (network.vpc_cidr, network.pod_cidr, network.service_cidr)
    domain = f".{network.cluster_domain}"
    direct = dict.fromkeys((*_NEVER_BY_PROXY, domain, *inside, *registries.no_proxy))
    return {
        "HTTP_PROXY": registries.proxy,
        "HTTPS_PROXY": registries.proxy,
        "NO_PROXY": ",".join(direct),
    }
