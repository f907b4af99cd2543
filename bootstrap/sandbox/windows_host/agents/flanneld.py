"""flanneld.exe 0.28 with the Kubernetes subnet manager and the vxlan backend of Windows.

Sources: flannel ``main.go``, ``pkg/subnet/kube/kube.go``, ``pkg/backend/vxlan/vxlan_windows.go``;
texts and exit codes as seen on the real flanneld.exe.
"""

from __future__ import annotations

import ipaddress
import json

from bootstrap.sandbox.cluster_client import ApiError, ApiUnreachable
from bootstrap.sandbox.windows_host.agents.command_line import FlagError, parse_go_flags, words
from bootstrap.sandbox.windows_host.agents.files import (
    FileRefused,
    load_kubeconfig,
    load_net_conf,
)
from bootstrap.sandbox.windows_host.agents.flannel_peers import (
    PREFIX,
    FlannelSetup,
    follow_peers,
)
from bootstrap.sandbox.windows_host.agents.machine import (
    AdapterView,
    Invocation,
    LookupFailed,
    OverlayNetwork,
    missing_file,
    windows_path,
)

_FLAGS = words("""
    etcd-endpoints etcd-prefix etcd-keyfile etcd-certfile etcd-cafile etcd-username etcd-password
    kube-subnet-mgr kube-api-url kube-annotation-prefix kubeconfig-file iface iface-regex
    iface-can-reach subnet-file public-ip public-ipv6 subnet-lease-renew-margin healthz-ip
    healthz-port ip-masq ip-blackhole-route iptables-resync iptables-forward-rules net-config-path
    set-node-network-unavailable version v vmodule help
    """)
_BOOLEANS = words("""
    kube-subnet-mgr ip-masq ip-blackhole-route iptables-forward-rules version help
    set-node-network-unavailable
    """)
_NODE_WAIT_S = 30.0
"""How long it looks for its Node before it ends (between 7 and 90 s on the real one)."""
_RETRY_S = 1.0
_MANAGEMENT_ADDRESS_S = 5.0
_TUNNEL_OVERHEAD = 50


class _Ended(Exception):
    """flanneld ends with exit code 1; the text is logged."""


class _Stopped(Exception):
    """flanneld was told to stop."""


def run(invocation: Invocation) -> int:
    """Run flanneld until it is told to stop, or ends by itself."""
    try:
        flags, _ = parse_go_flags(invocation.arguments, known=_FLAGS, booleans=_BOOLEANS)
    except FlagError as error:
        invocation.log(str(error))
        invocation.log("Usage: flanneld [OPTION]...")
        return 0
    try:
        setup = _set_up(invocation, flags)
        pod_cidr = _lease(invocation, setup, mac="")
        network = _network(invocation, setup, pod_cidr)
        _lease(invocation, setup, mac=router_mac(setup.adapter.address))
        _write_subnet_file(invocation, setup, pod_cidr)
        follow_peers(invocation, setup, network)
    except (_Ended, FileRefused) as error:
        invocation.log(f"E1101 00:00:00.000000    4300 main.go:370] {error}")
        return 1
    except _Stopped:
        return 0
    return 0


def _set_up(invocation: Invocation, flags: dict[str, str]) -> FlannelSetup:
    machine = invocation.machine
    if flags.get("kube-subnet-mgr", "false") == "false":
        raise _Ended("Failed to create SubnetManager: this host has no etcd: dial tcp 127.0.0.1")
    adapter = _find_adapter(machine.adapters(), flags.get("iface", ""))
    node = invocation.environment.get("NODE_NAME", "")
    if not node:
        raise _Ended(
            "Failed to create SubnetManager: env variables POD_NAME and POD_NAMESPACE must be set"
        )
    kubeconfig_path = windows_path(flags.get("kubeconfig-file", ""))
    content = machine.read(kubeconfig_path) if kubeconfig_path else None
    if content is None:
        raise _Ended(
            "Failed to create SubnetManager: fail to create kubernetes config: "
            f"stat {kubeconfig_path}: The system cannot find the file specified."
        )
    conf_path = windows_path(flags.get("net-config-path", "/etc/kube-flannel/net-conf.json"))
    conf_content = machine.read(conf_path)
    if conf_content is None:
        raise _Ended(
            "Failed to create SubnetManager: failed to read net conf: " + missing_file(conf_path)
        )
    try:
        client = machine.connect(load_kubeconfig(content, machine.read))
    except LookupFailed as error:
        raise _Ended(f"Failed to create SubnetManager: {error}") from error
    return FlannelSetup(
        node=node,
        conf=load_net_conf(conf_content),
        adapter=adapter,
        client=client,
        subnet_file=windows_path(flags.get("subnet-file", "/run/flannel/subnet.env")),
    )


def _find_adapter(adapters: list[AdapterView], wanted: str) -> AdapterView:
    if not wanted and adapters:
        return adapters[0]
    for adapter in adapters:
        if wanted in (adapter.name, adapter.address):
            return adapter
    raise _Ended(f"Failed to find any valid interface to use: interface {wanted} not found")


def _lease(invocation: Invocation, setup: FlannelSetup, *, mac: str) -> str:
    """Annotate the Node with our side of the tunnel; returns its podCIDR."""
    node = _find_node(invocation, setup)
    pod_cidr = str((node.get("spec") or {}).get("podCIDR") or "")
    if not pod_cidr:
        raise _Ended(
            f'Error registering network: failed to acquire lease: node "{setup.node}" pod cidr '
            "not assigned"
        )
    if not _is_inside(pod_cidr, setup.conf.network):
        raise _Ended(
            f"Error registering network: failed to acquire lease: subnet {setup.conf.network} "
            f"specified in the flannel net config doesn't contain {pod_cidr!r} PodCIDR of the "
            f"{setup.node!r} node"
        )
    backend = {"VNI": setup.conf.vni, "VtepMAC": mac}
    annotations = {
        f"{PREFIX}/backend-data": json.dumps(backend, separators=(",", ":")),
        f"{PREFIX}/backend-type": "vxlan",
        f"{PREFIX}/kube-subnet-manager": "true",
        f"{PREFIX}/public-ip": setup.adapter.address,
    }
    try:
        setup.client.patch(
            f"/api/v1/nodes/{setup.node}/status", {"metadata": {"annotations": annotations}}
        )
    except (ApiError, ApiUnreachable) as error:
        if invocation.pause(_NODE_WAIT_S):
            raise _Stopped from error
        raise _Ended(
            "Error registering network: failed to acquire lease: timeout contacting kube-api, "
            f"failed to patch node {setup.node!r}. Error: {error}"
        ) from error
    return pod_cidr


def _find_node(invocation: Invocation, setup: FlannelSetup) -> dict[str, dict[str, object]]:
    """Look for our Node in the list, as its informer does; without rights it logs for ever."""
    waited = 0.0
    while not invocation.stop.is_set():
        try:
            for node in setup.client.list("/api/v1/nodes"):
                if node["metadata"]["name"] == setup.node:
                    return node
        except (ApiError, ApiUnreachable) as error:
            invocation.log(f"E1101 reflector.go:205] Failed to watch *v1.Node: {error}")
            if invocation.stop.wait(_RETRY_S):
                raise _Stopped from error
            continue
        if waited >= _NODE_WAIT_S:
            raise _Ended(
                f'Error registering network: failed to acquire lease: node "{setup.node}" not found'
            )
        waited += _RETRY_S
        if invocation.pause(_RETRY_S):
            break
    raise _Stopped


def _is_inside(inner: str, outer: str) -> bool:
    try:
        outer_network = ipaddress.IPv4Network(outer)
    except ValueError as error:
        raise _Ended(f"error parsing subnet config: invalid CIDR address: {outer}") from error
    return ipaddress.IPv4Network(inner).subnet_of(outer_network)


def _network(invocation: Invocation, setup: FlannelSetup, pod_cidr: str) -> OverlayNetwork:
    subnet = ipaddress.IPv4Network(pod_cidr)
    wanted = OverlayNetwork(
        name=setup.conf.name,
        vsid=setup.conf.vni,
        subnet=pod_cidr,
        gateway=str(subnet.network_address + 1),
        management_address=setup.adapter.address,
    )
    if wanted in invocation.machine.overlay_networks():
        invocation.log(f"I1101 device_windows.go:82] Found existing HNSNetwork {wanted.name}")
        return wanted
    invocation.machine.create_overlay_network(wanted, setup.adapter.name)
    if invocation.pause(_MANAGEMENT_ADDRESS_S):
        raise _Stopped
    invocation.log(f"I1101 device_windows.go:124] Created HNSNetwork {wanted.name}")
    return wanted


def router_mac(address: str) -> str:
    """Return the distributed router's MAC that HNS gives a host, made of its address here."""
    return "00:15:5d:" + ":".join(f"{int(part):02x}" for part in address.split(".")[1:])


def _write_subnet_file(invocation: Invocation, setup: FlannelSetup, pod_cidr: str) -> None:
    subnet = ipaddress.IPv4Network(pod_cidr)
    lines = (
        f"FLANNEL_NETWORK={setup.conf.network}",
        f"FLANNEL_SUBNET={subnet.network_address + 1}/{subnet.prefixlen}",
        f"FLANNEL_MTU={setup.adapter.mtu - _TUNNEL_OVERHEAD}",
        f"FLANNEL_IPMASQ={_ip_masq(invocation)}",
    )
    text = "".join(f"{line}\n" for line in lines)
    invocation.machine.write(setup.subnet_file, text.encode())
    invocation.log(f"I1101 main.go:396] Wrote subnet file to {setup.subnet_file}")


def _ip_masq(invocation: Invocation) -> str:
    flags, _ = parse_go_flags(invocation.arguments, known=_FLAGS, booleans=_BOOLEANS)
    return flags.get("ip-masq", "false")
