"""The real win-overlay.exe and host-local.exe take the CNI configuration that nodes get.

win-overlay drops what it does not know without a word, so the requests that reach HNS are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.model.node import WindowsRelease
from bootstrap.planning import node_config, node_files
from tests import node_cases
from tests.wine.windows_programs import WineHost

VERSION = "v1.9.1"
POD_SUBNET = "100.96.3.0/24"
INPUTS = node_cases.inputs("modern-public-flannel", "1.34.5", WindowsRelease.WS2019)
NETWORK = INPUTS.facts.network


def _delegated() -> dict[str, Any]:
    """Return what flannel's plug-in hands to win-overlay (cni-plugin flannel_windows.go)."""
    files = node_config.build(INPUTS).kubelet_files["files"]
    assert isinstance(files, list)
    path = rf"{node_files.CNI_CONF}\10-flannel.conf"
    conf = json.loads(next(item["content"] for item in files if item["path"] == path))
    return conf["delegate"] | {
        "name": conf["name"],
        "cniVersion": conf["cniVersion"],
        "ipMasq": True,
        "ipam": {"type": "host-local", "subnet": POD_SUBNET},
    }


@pytest.fixture
def namespace(host: WineHost, hns: Any, built: Callable[[str, str], Path]) -> str:
    """Put the plug-ins on a host with an overlay network; returns a pod's network namespace."""
    for name in ("win-overlay", "host-local"):
        host.install(built(name, VERSION), rf"{node_files.CNI_BIN}\{name}.exe")
    subnet = {
        "IpAddressPrefix": POD_SUBNET,
        "Routes": [{"NextHop": "100.96.3.1", "DestinationPrefix": "0.0.0.0/0"}],
        "Policies": [{"Type": "VSID", "Settings": {"IsolationId": 4096}}],
    }
    network = {
        "Name": node_files.OVERLAY,
        "Type": "Overlay",
        "Ipams": [{"Type": "Static", "Subnets": [subnet]}],
        "Policies": [{"Type": "NetAdapterName", "Settings": {"NetworkAdapterName": "Ethernet"}}],
    }
    _create(hns, "Network", network)
    return _create(hns, "Namespace", {"Type": "HostDefault"})


def _create(hns: Any, kind: str, body: dict[str, Any]) -> str:
    code, made = hns.handle({"call": "Create", "kind": kind, "text": json.dumps(body)})
    assert code == 0, made
    return str(made)


def _call(host: WineHost, command: str, namespace: str, conf: dict[str, Any]) -> str:
    environment = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": "0123456789abcdef",
        "CNI_NETNS": namespace,
        "CNI_IFNAME": "eth0",
        "CNI_PATH": node_files.CNI_BIN,
        "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web",
    }
    program = rf"{node_files.CNI_BIN}\win-overlay.exe"
    ended = host.run(program, stdin=conf, environment=environment)
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"
    return ended.stdout


def _endpoints(hns: Any, namespace: str) -> list[dict[str, Any]]:
    found = hns.state()["Endpoint"]
    return [item for item in found if item.get("HostComputeNamespace") == namespace]


def _settings(endpoint: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [item.get("Settings") or {} for item in endpoint["Policies"] if item["Type"] == kind]


def test_pod_gets_an_address_and_the_policies_that_were_meant(
    host: WineHost, hns: Any, namespace: str
):
    added = json.loads(_call(host, "ADD", namespace, _delegated()))
    assert added["ips"][0]["address"].startswith("100.96.3.")
    [endpoint] = _endpoints(hns, namespace)
    exceptions = [
        item for kept in _settings(endpoint, "OutBoundNAT") for item in kept.get("Exceptions", [])
    ]
    assert {NETWORK.pod_cidr, NETWORK.service_cidr} <= set(exceptions)
    assert NETWORK.vpc_cidr not in exceptions
    [route] = _settings(endpoint, "SDNRoute")
    assert route["DestinationPrefix"] == NETWORK.service_cidr
    assert route["NeedEncap"] is True
    assert endpoint["Dns"]["ServerList"] == [NETWORK.dns_service_ip]


def test_pod_that_ends_leaves_no_endpoint(host: WineHost, hns: Any, namespace: str):
    conf = _delegated()
    _call(host, "ADD", namespace, conf)
    _call(host, "DEL", namespace, conf)
    assert _endpoints(hns, namespace) == []


def test_policy_of_the_other_schema_loses_its_settings(host: WineHost, hns: Any, namespace: str):
    conf = _delegated()
    old = {"Type": "OutBoundNAT", "ExceptionList": [NETWORK.service_cidr]}
    conf["policies"] = [{"Name": "EndpointPolicy", "Value": old}]
    _call(host, "ADD", namespace, conf)
    [endpoint] = _endpoints(hns, namespace)
    assert {} in _settings(endpoint, "OutBoundNAT")
