"""The real kubelet.exe and kube-proxy.exe read the files and flags that nodes get.

Both are started without their kubeconfig, so that they end by themselves once everything is read.
Fields that they do not know are not refused, only logged (``lenient decoding``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.model.node import WindowsRelease
from bootstrap.planning import node_config
from tests import node_cases
from tests.wine.windows_programs import WineHost

# A release in the catalog, and the patch of it that was built: files and flags follow the minor.
BUILT = {"1.34.4": "v1.34.4", "1.36.1": "v1.36.3"}
NEWEST = "1.36.1"
COMPLAINT = re.compile(r"lenient decoding|unknown field|unknown flag|has been deprecated", re.I)
MISSING = re.compile(r"kube-?config|kubelet\.conf|kube-proxy\.kubeconfig", re.I)


def _read(host: WineHost, service: dict[str, Any], files: list[dict[str, Any]]) -> str:
    """Start a service's program with its files but its kubeconfig; returns its last words."""
    for file in files:
        if not file["secret"]:
            host.write(file["path"], file["content"])
            if file["path"].endswith(".template.conf"):
                host.write(node_config.PROXY_CONFIG, file["content"])
    # After the runner of the log; services are not emulated.
    line = service["binaryPath"].split()
    at = next(index for index, word in enumerate(line) if word.endswith(f"{service['name']}.exe"))
    command = [word for word in line[at:] if word != "--windows-service"]
    ended = host.run(*command)
    assert ended.returncode != 0
    return ended.stderr + ended.stdout


def _config(version: str) -> node_config.NodeConfig:
    release = WindowsRelease.WS2019
    return node_config.build(node_cases.inputs("modern-public-flannel", version, release))


def _said(
    host: WineHost, name: str, version: str, made: Path, wrong: tuple[str, str] = ("", "")
) -> str:
    config = _config(version)
    request = config.kubelet_services if name == "kubelet" else config.proxy_services
    services, files = request["services"], config.kubelet_files["files"]
    assert isinstance(services, list)
    assert isinstance(files, list)
    changed = [
        item | ({} if item["secret"] else {"content": item["content"].replace(*wrong)})
        for item in files
    ]
    service = services[0] | {"binaryPath": services[0]["binaryPath"].replace(*wrong)}
    host.install(made, rf"C:\k\{name}.exe")
    return _read(host, service, changed)


@pytest.mark.parametrize("version", BUILT)
@pytest.mark.parametrize("name", ["kubelet", "kube-proxy"])
def test_program_takes_every_flag_and_field(
    name: str, version: str, host: WineHost, built: Callable[[str, str], Path]
):
    said = _said(host, name, version, built(name, BUILT[version]))
    assert COMPLAINT.findall(said) == []
    assert MISSING.search(said), said


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("kubelet", "clusterDomain", "clusterDomian"),
        ("kubelet", "--cert-dir", "--certificate-dir"),
        ("kube-proxy", "clusterCIDR", "clusterCidr2"),
    ],
)
def test_what_a_program_does_not_know_is_noticed(
    name: str, right: str, wrong: str, host: WineHost, built: Callable[[str, str], Path]
):
    made = built(name, BUILT[NEWEST])
    assert COMPLAINT.search(_said(host, name, NEWEST, made, (right, wrong)))
