"""Get-NodeState: a simulated host as the script reads a real one; changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from bootstrap.sandbox.windows_host.contract import ScriptOutcome
from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.scripts.request import Request, answer, field
from bootstrap.sandbox.windows_host.state import Service

_SERVICES = ("containerd", "docker", "cri-dockerd", "kubelet", "flanneld", "kube-proxy", "hns")
_FOLDERS = (r"C:\k", r"C:\etc\kubernetes", r"C:\etc\kube-flannel", r"C:\Program Files\containerd")
_LOGS = ("containerd", "cri-dockerd", "kubelet", "flanneld", "kube-proxy")
_LAUNCH_LOGS = (
    r"C:\ProgramData\Amazon\EC2-Windows\Launch\Log\Ec2Launch.log",
    r"C:\ProgramData\Amazon\EC2-Windows\Launch\Log\UserdataExecution.log",
    r"C:\ProgramData\Amazon\EC2Launch\log\agent.log",
)
_CERTIFICATES = {
    use: rf"C:\var\lib\kubelet\pki\kubelet-{use}-current.pem" for use in ("client", "server")
}
_LONGEST_LINE = 500


def read(host: WindowsHost, request: Request, check: bool) -> ScriptOutcome:
    """Read the sections that are asked for, all of them when none is named."""
    asked = [str(name) for name in field(request, "sections")] or list(_READERS)
    lines = int(field(request, "tailLines"))
    sections: dict[str, Any] = {}
    errors = []
    for name in asked:
        sections[name] = None
        reader = _READERS.get(name)
        if reader is None:
            errors.append({"section": name, "message": "there is no such section"})
            continue
        try:
            with host.state.lock:
                sections[name] = reader(host, lines)
        except (ValueError, KeyError, LookupError) as exc:
            errors.append({"section": name, "message": f"{type(exc).__name__}: {exc}"})
    return answer(changed=False, **sections, errors=errors)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(host: WindowsHost, path: str) -> str | None:
    content = host.state.files.read(path)
    return None if content is None else content.decode("utf-8", errors="replace")


def _windows(host: WindowsHost, lines: int) -> dict[str, Any]:
    state = host.state
    start, count = state.dynamic_ports
    return {
        "build": state.build,
        "revision": state.revision,
        "computerName": state.computer_name,
        "bootTime": _time(state.boot_time),
        "clock": _time(datetime.now(UTC).timestamp()),
        "rebootPending": state.reboot_pending,
        "dynamicPorts": {"start": start, "count": count},
    }


def _services(host: WindowsHost, lines: int) -> list[dict[str, Any]]:
    found = [host.state.service(name) for name in _SERVICES]
    return [_service(service) for service in found if service is not None]


def _service(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "state": service.state.value,
        "startMode": service.start_mode.value,
        "path": service.binary_path,
        "account": service.account,
        "exitCode": service.exit_code,
        "processId": service.pid,
        "startedAt": _time(service.started_at) if service.pid else None,
        "recoveryDelaysMs": list(service.recovery),
    }


def _hns(host: WindowsHost, lines: int) -> dict[str, Any]:
    hns = host.state.hns
    return {
        "networks": [_network(document) for document in hns.networks.values()],
        "endpoints": [
            {
                "name": str(item.get("Name", "")),
                "address": str(item.get("IPAddress", "")),
                "network": str(item.get("VirtualNetworkName", "")),
                "remote": bool(item.get("IsRemoteEndpoint")),
            }
            for item in hns.endpoints.values()
        ],
        "loadBalancers": [
            {
                "vips": list(item["FrontendVIPs"]),
                "protocol": str(mapping["Protocol"]),
                "externalPort": int(mapping["ExternalPort"]),
                "internalPort": int(mapping["InternalPort"]),
                "sourceVip": str(item["SourceVIP"]),
            }
            for item in hns.load_balancers.values()
            for mapping in item["PortMappings"]
        ],
    }


def _network(document: Mapping[str, Any]) -> dict[str, Any]:
    subnets = []
    for subnet in document.get("Subnets", ()):
        vnis = [p["VSID"] for p in subnet.get("Policies", ()) if p.get("Type") == "VSID"]
        subnets.append(
            {
                "prefix": subnet["AddressPrefix"],
                "gateway": subnet["GatewayAddress"],
                "vni": vnis[0] if vnis else None,
            }
        )
    return {
        "name": document["Name"],
        "type": document["Type"],
        "managementIp": document.get("ManagementIP", ""),
        "subnets": subnets,
    }


def _addresses(host: WindowsHost, lines: int) -> dict[str, Any]:
    adapters = host.state.adapters.values()
    default = [("0.0.0.0/0", adapter.gateway, adapter.name) for adapter in adapters]
    routes = [(r.destination, r.next_hop, r.interface) for r in host.state.routes]
    return {
        "addresses": [
            {"address": a.address, "prefixLength": a.prefix_length, "interface": a.name}
            for a in adapters
        ],
        "routes": [
            {"destination": destination, "nextHop": hop, "interface": interface}
            for destination, hop, interface in default + routes
            if destination == "0.0.0.0/0" or destination.startswith("169.254.169.")
        ],
    }


def _firewall(host: WindowsHost, lines: int) -> list[dict[str, Any]]:
    return [
        {
            "name": rule.name,
            "text": f"{rule.protocol.upper()} {rule.local_port} from "
            + ", ".join(rule.remote.split(",")),
            "enabled": rule.enabled,
        }
        for rule in host.state.firewall.values()
        if rule.name.startswith("bootstrap-")
    ]


def _files(host: WindowsHost, lines: int) -> list[dict[str, Any]]:
    return [
        {
            "path": file.path,
            "bytes": file.size,
            "sha256": file.digest("sha256"),
            "writtenAt": _time(file.written),
        }
        for folder in _FOLDERS
        for file in host.state.files.below(folder)
    ]


def _artifacts(host: WindowsHost, lines: int) -> list[dict[str, Any]]:
    text = _text(host, r"C:\k\manifest.json")
    if text is None:
        return []
    return [
        {
            "name": item["name"],
            "url": item["url"],
            "checksum": item["checksum"],
            "files": [
                {
                    "path": file["path"],
                    "sha256": str(file["sha256"]).lower(),
                    "found": _digest(host, file["path"]),
                }
                for file in item["files"]
            ],
        }
        for item in json.loads(text)["artifacts"]
    ]


def _digest(host: WindowsHost, path: str) -> str | None:
    file = host.state.files.get(path)
    return None if file is None else file.digest("sha256")


def _certificates(host: WindowsHost, lines: int) -> list[dict[str, Any]]:
    found = []
    for use, path in _CERTIFICATES.items():
        content = host.state.files.read(path)
        if content is None:
            continue
        certificate = x509.load_pem_x509_certificate(content)
        found.append(
            {
                "use": use,
                "subject": certificate.subject.rfc4514_string(),
                "issuer": certificate.issuer.rfc4514_string(),
                "notBefore": _time(certificate.not_valid_before_utc.timestamp()),
                "notAfter": _time(certificate.not_valid_after_utc.timestamp()),
            }
        )
    return found


def _flannel(host: WindowsHost, lines: int) -> dict[str, Any]:
    conf = _text(host, r"C:\etc\kube-flannel\net-conf.json")
    subnet = (_text(host, r"C:\run\flannel\subnet.env") or "").splitlines()
    proxy = _text(host, r"C:\k\kube-proxy.conf") or ""
    vip = re.search(r"(?m)^\s*sourceVip:\s*['\"]?([0-9.]*)", proxy)
    return {
        "netConf": json.loads(conf) if conf else None,
        "subnet": dict(line.split("=", 1) for line in subnet if "=" in line),
        "sourceVip": vip[1] if vip else "",
    }


def _disk(host: WindowsHost, lines: int) -> list[dict[str, Any]]:
    used = sum(file.size for file in host.state.files.below("C:"))
    size = 100 * 2**30
    return [{"drive": "C:", "bytes": size, "freeBytes": max(0, size // 2 - used)}]


def _events(host: WindowsHost, lines: int) -> list[dict[str, Any]]:
    events = host.state.events
    now = _time(datetime.now(UTC).timestamp())
    last = [
        {"time": now, "source": "Service Control Manager", "id": 7031, "message": _line(text)}
        for text in reversed(events[-lines:] if lines else [])
    ]
    return [
        {"log": "System", "errors": len(events), "last": last},
        {"log": "Application", "errors": 0, "last": []},
    ]


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[:_LONGEST_LINE]


def _log_of(host: WindowsHost, name: str) -> str:
    path = rf"C:\var\log\{name}\{name}.log"
    files = [file.path for file in host.state.files.below(rf"C:\var\log\{name}")]
    own = sorted(file for file in files if ".log.INFO." in file)
    return path if path in files or not own else own[-1]


def _logs(host: WindowsHost, lines: int) -> list[dict[str, Any]]:
    found = []
    for path in [*(_log_of(host, name) for name in _LOGS), *_LAUNCH_LOGS]:
        file = host.state.files.get(path)
        if file is None:
            continue
        text = (_text(host, path) or "").splitlines()
        tail = [_line(line) for line in (text[-lines:] if lines else [])]
        found.append({"path": path, "bytes": file.size, "lines": tail})
    return found


_READERS: Mapping[str, Callable[[WindowsHost, int], Any]] = {
    "windows": _windows,
    "services": _services,
    "hns": _hns,
    "network": _addresses,
    "firewall": _firewall,
    "files": _files,
    "artifacts": _artifacts,
    "certificates": _certificates,
    "flannel": _flannel,
    "disk": _disk,
    "events": _events,
    "logs": _logs,
}
