"""The answer of Get-NodeState.ps1 as a ``NodeState``. Pure.

Fields that are missing or of another type than the script's contract says are a ``RemoteError``:
what comes from a host is not trusted to be as expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from bootstrap.errors import RemoteError
from bootstrap.model import node_state as model

T = TypeVar("T")
Json = Mapping[str, Any]

SECTIONS = (
    "windows",
    "services",
    "hns",
    "network",
    "firewall",
    "files",
    "artifacts",
    "certificates",
    "flannel",
    "disk",
    "events",
    "logs",
)
_VERSION = re.compile(r"v\d+\.\d+\.\d+")


def request(*, sections: tuple[str, ...] = (), tail_lines: int = 20) -> dict[str, object]:
    """Return the script's request; no sections means all of them."""
    return {"sections": list(sections), "tailLines": tail_lines}


def parse(answer: Json) -> model.NodeState:
    """Parse the script's answer; RemoteError when it is not as the contract says."""
    try:
        return _state(answer)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise RemoteError(
            "the node's state is not as Get-NodeState.ps1 gives it",
            name="NodeStateUnreadable",
            evidence=f"{type(exc).__name__}: {exc}",
        ) from exc


def _state(answer: Json) -> model.NodeState:
    network: Json = answer.get("network") or {}
    errors = tuple(
        model.StateError(section=str(item["section"]), message=str(item["message"]))
        for item in answer["errors"]
    )
    return model.NodeState(
        windows=_one(answer, "windows", _windows),
        services=_all(answer, "services", _service),
        hns=_one(answer, "hns", _hns),
        addresses=_all(network, "addresses", _address),
        routes=_all(network, "routes", _route),
        firewall=_all(answer, "firewall", _rule),
        files=_all(answer, "files", _file),
        artifacts=_all(answer, "artifacts", _artifact),
        certificates=_all(answer, "certificates", _certificate),
        flannel=_one(answer, "flannel", _flannel),
        disk=_all(answer, "disk", _disk),
        events=_all(answer, "events", _events),
        logs=_all(answer, "logs", _log),
        errors=errors,
    )


def _one(answer: Json, name: str, read: Callable[[Json], T]) -> T | None:
    found = answer.get(name)
    return None if found is None else read(found)


def _all(answer: Json, name: str, read: Callable[[Json], T]) -> tuple[T, ...] | None:
    found = answer.get(name)
    return None if found is None else tuple(read(item) for item in found)


def _windows(item: Json) -> model.WindowsFacts:
    ports = item["dynamicPorts"]
    return model.WindowsFacts(
        build=int(item["build"]),
        revision=int(item["revision"]),
        computer_name=str(item["computerName"]),
        boot_time=str(item["bootTime"] or ""),
        clock=str(item["clock"]),
        reboot_pending=bool(item["rebootPending"]),
        dynamic_ports=(int(ports["start"]), int(ports["count"])),
    )


def _service(item: Json) -> model.ServiceFacts:
    return model.ServiceFacts(
        name=str(item["name"]),
        state=str(item["state"]),
        start_mode=str(item["startMode"]),
        path=str(item["path"]),
        account=str(item["account"]),
        exit_code=int(item["exitCode"]),
        process_id=int(item["processId"]),
        started_at=str(item["startedAt"] or ""),
        recovery_delays_ms=tuple(int(delay) for delay in item["recoveryDelaysMs"]),
    )


def _hns(item: Json) -> model.HnsFacts:
    return model.HnsFacts(
        networks=tuple(_network(network) for network in item["networks"]),
        endpoints=tuple(_endpoint(endpoint) for endpoint in item["endpoints"]),
        load_balancers=tuple(_balancer(balancer) for balancer in item["loadBalancers"]),
    )


def _network(item: Json) -> model.HnsNetwork:
    subnets = tuple(
        model.HnsSubnet(
            prefix=str(subnet["prefix"]),
            gateway=str(subnet["gateway"]),
            vni=None if subnet["vni"] is None else int(subnet["vni"]),
        )
        for subnet in item["subnets"]
    )
    return model.HnsNetwork(
        name=str(item["name"]),
        type=str(item["type"]),
        management_ip=str(item["managementIp"]),
        subnets=subnets,
    )


def _endpoint(item: Json) -> model.HnsEndpoint:
    return model.HnsEndpoint(
        name=str(item["name"]),
        address=str(item["address"]),
        network=str(item["network"]),
        remote=bool(item["remote"]),
    )


def _balancer(item: Json) -> model.HnsLoadBalancer:
    return model.HnsLoadBalancer(
        vips=tuple(str(vip) for vip in item["vips"]),
        protocol=str(item["protocol"]),
        external_port=int(item["externalPort"]),
        internal_port=int(item["internalPort"]),
        source_vip=str(item["sourceVip"]),
    )


def _address(item: Json) -> model.AddressFacts:
    return model.AddressFacts(
        address=str(item["address"]),
        prefix_length=int(item["prefixLength"]),
        interface=str(item["interface"]),
    )


def _route(item: Json) -> model.RouteFacts:
    return model.RouteFacts(
        destination=str(item["destination"]),
        next_hop=str(item["nextHop"]),
        interface=str(item["interface"]),
    )


def _rule(item: Json) -> model.FirewallFacts:
    return model.FirewallFacts(
        name=str(item["name"]), text=str(item["text"]), enabled=bool(item["enabled"])
    )


def _file(item: Json) -> model.FileFacts:
    return model.FileFacts(
        path=str(item["path"]),
        size=int(item["bytes"]),
        sha256=str(item["sha256"]),
        written_at=str(item["writtenAt"]),
    )


def _artifact(item: Json) -> model.ArtifactFacts:
    url = str(item["url"])
    version = _VERSION.search(url)
    files = tuple(
        model.ArtifactFile(
            path=str(file["path"]),
            sha256=str(file["sha256"]).lower(),
            found=str(file["found"] or ""),
        )
        for file in item["files"]
    )
    return model.ArtifactFacts(
        name=str(item["name"]),
        url=url,
        version=version[0] if version else "",
        checksum=str(item["checksum"]),
        files=files,
    )


def _certificate(item: Json) -> model.CertificateFacts:
    return model.CertificateFacts(
        use=str(item["use"]),
        subject=str(item["subject"]),
        issuer=str(item["issuer"]),
        not_before=str(item["notBefore"]),
        not_after=str(item["notAfter"]),
    )


def _flannel(item: Json) -> model.FlannelState:
    conf = item["netConf"]
    return model.FlannelState(
        net_conf=dict(conf) if conf is not None else None,
        subnet={str(name): str(value) for name, value in item["subnet"].items()},
        source_vip=str(item["sourceVip"]),
    )


def _disk(item: Json) -> model.DiskFacts:
    return model.DiskFacts(
        drive=str(item["drive"]), size=int(item["bytes"]), free=int(item["freeBytes"])
    )


def _events(item: Json) -> model.EventLogFacts:
    last = tuple(
        model.EventFacts(
            time=str(event["time"]),
            source=str(event["source"]),
            id=int(event["id"]),
            message=str(event["message"]),
        )
        for event in item["last"]
    )
    return model.EventLogFacts(log=str(item["log"]), errors=int(item["errors"]), last=last)


def _log(item: Json) -> model.LogTail:
    return model.LogTail(
        path=str(item["path"]),
        size=int(item["bytes"]),
        lines=tuple(str(line) for line in item["lines"]),
    )
