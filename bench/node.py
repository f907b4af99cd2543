"""One node's configuration, as our roles take it and as the stock playbook loops over it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from bench.hosts import Host
from bootstrap.model.node import KubeNodeName
from bootstrap.model.secret import Secret
from bootstrap.planning import artifacts, hostvars, node_config
from bootstrap.resources import data_path
from tests.unit.planning import builders as make

UNPACKED = r"C:\unpacked"
VERSION = "1.34.5"
_TARGETS = {
    # artifact -> what of it is copied, and where to; whole folders, as it takes fewest requests.
    "containerd": (rf"{UNPACKED}\containerd\bin\\", r"C:\Program Files\containerd"),
    "kubernetes-node": (rf"{UNPACKED}\kubernetes-node\kubernetes\node\bin\\", r"C:\k"),
    "cni-plugins": (rf"{UNPACKED}\cni-plugins\\", r"C:\k\cni"),
}

# As long as kops' bundle of one certificate, and the same in every run.
_CA = f"-----BEGIN CERTIFICATE-----\n{('Q' * 64 + chr(10)) * 16}-----END CERTIFICATE-----\n"


class _Tokens:
    # As long as the token of a ServiceAccount is.
    bootstrap = Secret("b" * 900)
    flannel = Secret("f" * 900)
    kube_proxy = Secret("p" * 900)


@cache
def _artifacts() -> artifacts.ArtifactSet:
    files = sorted((data_path("config") / "artifacts").glob("*.yaml"))
    return artifacts.artifact_set(artifacts.parse_catalog([f.read_text() for f in files]), VERSION)


def ours(host: Host) -> dict[str, Any]:
    """Return the host variables of a node, as add-node makes them from a cluster's facts."""
    (desired,) = make.desired()
    inputs = node_config.inputs_of(
        desired,
        make.instance(1, private_ip=host.address),
        KubeNodeName("i-1"),
        _Tokens(),
        make.facts(ca_bundle=_CA),
        _artifacts(),
    )
    return hostvars.host_variables(node_config.build(inputs))


def stock(given: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the requests of our scripts into what stock tasks loop over."""
    wanted = [
        *given["container_runtime_artifacts"]["artifacts"],
        *given["kubernetes_binaries_artifacts"]["artifacts"],
    ]
    files = [*given["container_runtime_files"]["files"], *given["kubelet_files"]["files"]]
    archives = [item for item in wanted if item["unpack"] != "none"]
    folders = [
        *given["container_runtime_files"]["folders"],
        *given["kubelet_files"]["folders"],
        *(_parent(file["path"]) for file in files),
        *(_parent(entry["to"]) for item in wanted for entry in item["files"]),
        *(rf"{UNPACKED}\{item['name']}" for item in archives),
    ]
    return {
        "bench_ports": given["windows_base_host"]["dynamicPorts"],
        "bench_firewall": given["windows_base_host"]["firewall"],
        "bench_power_plan": given["windows_base_host"]["powerPlan"],
        "bench_folders": deepest(folders),
        "bench_downloads": [_download(item) for item in wanted],
        "bench_archives": [_archive(item) for item in archives],
        "bench_unpacked": UNPACKED,
        "bench_files": files,
        "bench_services": [
            _service(item)
            for role in ("container_runtime", "kubelet")
            for item in given[f"{role}_services"]["services"]
        ],
    }


def deepest(folders: Iterable[str]) -> list[str]:
    """Leave out folders that come into being with another one, and doubles."""
    found = {folder.lower(): folder for folder in folders}
    return sorted(
        folder
        for key, folder in found.items()
        if not any(other.startswith(f"{key}\\") for other in found)
    )


def _parent(path: str) -> str:
    return path.rpartition("\\")[0]


def _archive_path(item: Mapping[str, Any]) -> str:
    return rf"{UNPACKED}\{item['name']}.tgz"


def _download(item: Mapping[str, Any]) -> dict[str, str]:
    entries: Sequence[Mapping[str, str]] = item["files"]
    return {
        "url": item["url"],
        "algorithm": item["algorithm"],
        "checksum": item["checksum"],
        "dest": entries[0]["to"] if item["unpack"] == "none" else _archive_path(item),
    }


def _archive(item: Mapping[str, Any]) -> dict[str, str]:
    source, target = _TARGETS[item["name"]]
    return {
        "archive": _archive_path(item),
        "folder": rf"{UNPACKED}\{item['name']}",
        "from": source.replace("\\\\", "\\"),
        "to": target,
    }


def _service(item: Mapping[str, Any]) -> dict[str, Any]:
    delays = item["recoveryDelaysMs"]
    return {**item, "actions": [{"type": "restart", "delay_ms": delay} for delay in delays]}
