"""Get-NodeState: what it reads, that it reads on after a failure, and that it changes nothing."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bootstrap.planning import node_state
from tests.powershell.windows_node import SERVICES, STATE_STUBS, WindowsNode

ALL: dict[str, Any] = {"sections": [], "tailLines": 2}
SECTIONS = set(node_state.SECTIONS)
TOKEN = "token: very-secret"


@pytest.fixture
def state_node(tmp_path: Path, pwsh: str) -> WindowsNode:
    node = WindowsNode(tmp_path, pwsh)
    node.modules = (STATE_STUBS,)
    actions = b"".join(
        number.to_bytes(4, "little") for number in (300, 0, 0, 2, 20, 1, 10000, 1, 30000)
    )
    node.state["registry"][f"{SERVICES}\\kubelet"] = {"FailureActions": list(actions)}
    node.state |= {"broken": [], "rows": rows()}
    node.state["networks"] = [
        {
            "Name": "flannel.4096",
            "Type": "Overlay",
            "ManagementIP": "172.20.32.20",
            "Subnets": [
                {
                    "AddressPrefix": "100.96.3.0/24",
                    "GatewayAddress": "100.96.3.1",
                    "Policies": [{"Type": "VSID", "VSID": 4096}],
                }
            ],
        }
    ]
    node.state["addresses"][0] |= {"PrefixLength": 19, "InterfaceAlias": "vEthernet (Ethernet)"}
    node.state["routes"] = [
        {
            "DestinationPrefix": destination,
            "NextHop": "172.20.32.1",
            "InterfaceAlias": "vEthernet (Ethernet)",
        }
        for destination in ("0.0.0.0/0", "169.254.169.254/32", "224.0.0.0/4")
    ]
    return node


def rows() -> dict[str, Any]:
    return {
        "Win32_OperatingSystem": [
            {"CSName": "EC2AMAZ-1", "LastBootUpTime": "2026-11-01T10:00:00Z"}
        ],
        "Win32_Service": [
            {
                "Name": "kubelet",
                "State": "Running",
                "StartMode": "Auto",
                "PathName": r"C:\k\kubelet.exe",
                "StartName": "LocalSystem",
                "ExitCode": 0,
                "ProcessId": 44,
            }
        ],
        "Win32_LogicalDisk": [{"DeviceID": "C:", "Size": 100, "FreeSpace": 40}],
        "Process": [{"Id": 44, "StartTime": "2026-11-01T10:05:00Z"}],
        "HnsEndpoint": [
            {"Name": "sourceVip", "IPAddress": "100.96.3.2", "VirtualNetworkName": "flannel.4096"}
        ],
        "HnsPolicyList": [
            {
                "Policies": [
                    {
                        "Type": "ELB",
                        "VIPs": ["100.64.0.10"],
                        "Protocol": 17,
                        "ExternalPort": 53,
                        "InternalPort": 53,
                        "SourceVIP": "100.96.3.2",
                    }
                ]
            }
        ],
        "NetFirewallRule": [
            {"Name": "bootstrap-kubelet", "Description": "TCP 10250 from any", "Enabled": "True"},
            {"Name": "other", "Description": "", "Enabled": "True"},
        ],
        "WinEvent": [
            {
                "LogName": "System",
                "TimeCreated": "2026-11-01T10:06:00Z",
                "ProviderName": "Service Control Manager",
                "Id": 7031,
                "Message": "The kubelet service\r\nterminated.",
            }
        ],
    }


def pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system:node:n")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return made.public_bytes(serialization.Encoding.PEM).decode() + private.decode()


def read(node: WindowsNode, request: dict[str, Any] = ALL) -> dict[str, Any]:
    done = node.run("Get-NodeState", request)
    assert done.exit_code == 0, done.error
    assert done.calls == []
    return done.answer


def fill(node: WindowsNode) -> None:
    node.write(r"C:\k\kubelet.exe", "program")
    node.write(r"C:\etc\kubernetes\kube-proxy.kubeconfig", TOKEN)
    node.write(r"C:\k\kube-proxy.conf", "winkernel:\n  sourceVip: '100.96.3.2'\n")
    node.write(r"C:\etc\kube-flannel\net-conf.json", '{"Backend": {"VNI": 4096}}')
    node.write(r"C:\run\flannel\subnet.env", "FLANNEL_SUBNET=100.96.3.1/24\nFLANNEL_MTU=8951\n")
    node.write(r"C:\var\lib\kubelet\pki\kubelet-client-current.pem", pem())
    node.write(r"C:\var\log\kubelet\kubelet.log", "one\ntwo\nthree\n")
    entry = {"path": r"C:\k\kubelet.exe", "sha256": "AA"}
    artifact = {
        "name": "kubernetes",
        "url": "https://dl.k8s.io/v1.34.5/node.tgz",
        "checksum": "1",
        "files": [entry],
    }
    node.write(r"C:\k\manifest.json", json.dumps({"artifacts": [artifact]}))


def test_every_section_is_read_and_parses(state_node: WindowsNode) -> None:
    fill(state_node)
    answer = read(state_node)
    assert set(answer) == SECTIONS | {"changed", "errors"}
    assert (answer["changed"], answer["errors"]) == (False, [])
    state = node_state.parse(answer)
    assert state.windows is not None
    assert (state.windows.build, state.windows.boot_time) == (17763, "2026-11-01T10:00:00Z")
    (service,) = state.services or ()
    assert service.recovery_delays_ms == (10000, 30000)
    assert service.started_at == "2026-11-01T10:05:00Z"
    assert state.hns is not None
    assert state.hns.networks[0].subnets[0].vni == 4096
    assert state.hns.load_balancers[0].vips == ("100.64.0.10",)
    assert [r.destination for r in state.routes or ()] == ["0.0.0.0/0", "169.254.169.254/32"]
    assert [rule.name for rule in state.firewall or ()] == ["bootstrap-kubelet"]
    assert state.flannel is not None
    assert state.flannel.source_vip == "100.96.3.2"
    assert state.flannel.subnet["FLANNEL_MTU"] == "8951"
    assert state.logs is not None
    assert state.logs[0].lines == ("two", "three")
    (certificate,) = state.certificates or ()
    assert (certificate.use, certificate.not_after) == ("client", "2027-01-01T00:00:00Z")


def test_files_are_compared_with_the_manifest_by_checksum(state_node: WindowsNode) -> None:
    fill(state_node)
    (artifact,) = node_state.parse(read(state_node)).artifacts or ()
    assert artifact.version == "v1.34.5"
    assert artifact.files[0].found == hashlib.sha256(b"program").hexdigest()
    assert [file.path for file in artifact.changed] == [r"C:\k\kubelet.exe"]


def test_no_file_s_content_is_in_the_answer(state_node: WindowsNode) -> None:
    fill(state_node)
    text = json.dumps(read(state_node))
    assert TOKEN not in text
    assert "PRIVATE" not in text
    path = r"C:\etc\kubernetes\kube-proxy.kubeconfig"
    assert json.dumps(path) in text


def test_section_that_cannot_be_read_is_an_error_and_the_rest_is_there(
    state_node: WindowsNode,
) -> None:
    state_node.state["broken"] = ["HnsEndpoint"]
    answer = read(state_node)
    assert answer["hns"] is None
    assert [error["section"] for error in answer["errors"]] == ["hns"]
    assert "HnsEndpoint cannot be read" in answer["errors"][0]["message"]
    assert answer["services"][0]["name"] == "kubelet"


def test_only_the_sections_that_are_asked_for_are_read(state_node: WindowsNode) -> None:
    answer = read(state_node, {"sections": ["disk", "none"], "tailLines": 0})
    assert answer["disk"] == [{"drive": "C:", "bytes": 100, "freeBytes": 40}]
    assert set(answer) == {"changed", "errors", "disk", "none"}
    assert answer["errors"] == [{"section": "none", "message": "there is no such section"}]


def test_host_without_anything_of_ours_is_read_without_errors(state_node: WindowsNode) -> None:
    answer = read(state_node)
    assert answer["errors"] == []
    assert (answer["files"], answer["artifacts"], answer["certificates"]) == ([], [], [])


def test_logs_that_programs_write_themselves_and_those_of_ec2launch_are_read(
    state_node: WindowsNode,
) -> None:
    folder = r"C:\var\log\kubelet"
    state_node.write(rf"{folder}\kubelet.exe.H.U.log.INFO.20261101-100000.4", "old\n")
    state_node.write(rf"{folder}\kubelet.exe.H.U.log.INFO.20261102-100000.4", "new\n")
    state_node.write(r"C:\ProgramData\Amazon\EC2Launch\log\agent.log", "started\n")
    logs = read(state_node, {"sections": ["logs"], "tailLines": 5})["logs"]
    assert [(log["path"].rpartition("\\")[2], log["lines"]) for log in logs] == [
        ("kubelet.exe.H.U.log.INFO.20261102-100000.4", ["new"]),
        ("agent.log", ["started"]),
    ]
