"""What flannel must look like on Linux nodes before Windows nodes can talk to them.

kops renders net-conf without VNI and port, so Linux nodes use VNI 1 and UDP 8472; Windows can do
neither: HNS takes VNIs from 4096 on, and encapsulates with port 4789 only.
Source: flannel pkg/backend/vxlan/vxlan_windows.go; Documentation/backends.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from bootstrap.model.kubernetes import FlannelConfig
from bootstrap.model.node import KubeNode

WINDOWS_VNI = 4096
WINDOWS_PORT = 4789
LINUX_DEFAULT_VNI = 1
LINUX_DEFAULT_PORT = 8472
BACKEND_TYPE = "flannel.alpha.coreos.com/backend-type"
BACKEND_DATA = "flannel.alpha.coreos.com/backend-data"
PUBLIC_IP = "flannel.alpha.coreos.com/public-ip"


def backend_value(flannel: FlannelConfig, key: str) -> object:
    """Return a value of net-conf's Backend; flanneld reads its keys without regard to case."""
    for name, value in flannel.backend.items():
        if name.lower() == key.lower():
            return value
    return None


def backend_type(flannel: FlannelConfig) -> str:
    """Return the backend's type in lower case, '' when there is none."""
    return str(backend_value(flannel, "Type") or "").lower()


def vni(flannel: FlannelConfig) -> int:
    """Return the VNI that Linux nodes use with this net-conf."""
    return _number(backend_value(flannel, "VNI"), LINUX_DEFAULT_VNI)


def port(flannel: FlannelConfig) -> int:
    """Return the UDP port that Linux nodes use with this net-conf."""
    return _number(backend_value(flannel, "Port"), LINUX_DEFAULT_PORT)


def serves_windows(flannel: FlannelConfig) -> bool:
    """Tell whether this net-conf is one that Windows can share."""
    return (
        backend_type(flannel) == "vxlan"
        and vni(flannel) == WINDOWS_VNI
        and port(flannel) == WINDOWS_PORT
    )


def for_windows(flannel: FlannelConfig) -> dict[str, object]:
    """Return the net-conf with VNI 4096 and port 4789; everything else stays."""
    kept = {k: v for k, v in flannel.backend.items() if k.lower() not in ("vni", "port")}
    backend = {**kept, "VNI": WINDOWS_VNI, "Port": WINDOWS_PORT}
    return {**flannel.net_conf, "Backend": backend}


def node_vni(node: KubeNode) -> int | None:
    """Return the VNI that a node's flannel announced, None while it has not."""
    data = _announced(node)
    return _number(data.get("VNI"), LINUX_DEFAULT_VNI) if data else None


def node_vtep(node: KubeNode) -> str:
    """Return the MAC of a node's tunnel end point, '' while it has not announced one."""
    return str(_announced(node).get("VtepMAC") or "")


def _announced(node: KubeNode) -> Mapping[str, object]:
    try:
        data = json.loads(node.annotations.get(BACKEND_DATA, "{}"))
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _number(value: object, default: int) -> int:
    if isinstance(value, bool) or value is None:
        return default
    try:
        return int(str(value))
    except ValueError:
        return default
