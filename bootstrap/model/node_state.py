"""A Windows node as Get-NodeState.ps1 reads it; a section that was not read is None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsFacts:
    """Windows itself; times are RFC 3339, UTC."""

    build: int
    revision: int
    computer_name: str
    boot_time: str
    clock: str
    reboot_pending: bool
    dynamic_ports: tuple[int, int]
    """First port and count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """A Windows service; ``started_at`` is '' while no process runs."""

    name: str
    state: str
    start_mode: str
    path: str
    account: str
    exit_code: int
    process_id: int
    started_at: str
    recovery_delays_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HnsSubnet:
    """A subnet of an HNS network; ``vni`` is None where the network is no overlay."""

    prefix: str
    gateway: str
    vni: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HnsNetwork:
    """An HNS network."""

    name: str
    type: str
    management_ip: str
    subnets: tuple[HnsSubnet, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HnsEndpoint:
    """An HNS endpoint; a remote one stands for a pod of another node."""

    name: str
    address: str
    network: str
    remote: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HnsLoadBalancer:
    """A load balancer of HNS; ``protocol`` is an IP protocol number or its name."""

    vips: tuple[str, ...]
    protocol: str
    external_port: int
    internal_port: int
    source_vip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HnsFacts:
    """The Host Networking Service."""

    networks: tuple[HnsNetwork, ...]
    endpoints: tuple[HnsEndpoint, ...]
    load_balancers: tuple[HnsLoadBalancer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFacts:
    """An IPv4 address of an adapter."""

    address: str
    prefix_length: int
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFacts:
    """The default route, or one to EC2's link-local services."""

    destination: str
    next_hop: str
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallFacts:
    """A firewall rule of ours; ``text`` says what it allows."""

    name: str
    text: str
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file of ours, without its content."""

    path: str
    size: int
    """Bytes."""
    sha256: str
    written_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFile:
    """A file of an artifact: the checksum it was installed with, and the one it has ('': gone)."""

    path: str
    sha256: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFacts:
    """An artifact of the node's manifest; ``version`` is '' when its URL names none."""

    name: str
    url: str
    version: str
    checksum: str
    files: tuple[ArtifactFile, ...]

    @property
    def changed(self) -> tuple[ArtifactFile, ...]:
        """Files that are gone or not as they were installed."""
        return tuple(file for file in self.files if file.sha256 != file.found)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """A certificate of the kubelet; ``use`` is ``client`` or ``server``."""

    use: str
    subject: str
    issuer: str
    not_before: str
    not_after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlannelState:
    """What flannel and kube-proxy use: net-conf.json (None: no file), subnet.env, source VIP."""

    net_conf: Mapping[str, object] | None
    subnet: Mapping[str, str]
    source_vip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """A fixed drive; sizes in bytes."""

    drive: str
    size: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFacts:
    """An error of the event log."""

    time: str
    source: str
    id: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLogFacts:
    """Errors of one event log in the last 24 hours, at most 500; the newest ones in full."""

    log: str
    errors: int
    last: tuple[EventFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTail:
    """The end of a log; ``size`` is that of the whole file in bytes."""

    path: str
    size: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateError:
    """A section that cannot be read."""

    section: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """Everything that was read at one time."""

    windows: WindowsFacts | None = None
    services: tuple[ServiceFacts, ...] | None = None
    hns: HnsFacts | None = None
    addresses: tuple[AddressFacts, ...] | None = None
    routes: tuple[RouteFacts, ...] | None = None
    firewall: tuple[FirewallFacts, ...] | None = None
    files: tuple[FileFacts, ...] | None = None
    artifacts: tuple[ArtifactFacts, ...] | None = None
    certificates: tuple[CertificateFacts, ...] | None = None
    flannel: FlannelState | None = None
    disk: tuple[DiskFacts, ...] | None = None
    events: tuple[EventLogFacts, ...] | None = None
    logs: tuple[LogTail, ...] | None = None
    errors: tuple[StateError, ...] = ()
