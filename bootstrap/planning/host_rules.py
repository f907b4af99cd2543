"""What is wrong on a node by its state, read by Get-NodeState.ps1. Pure.

Each rule looks at one thing and says nothing about what was not read. They hold for a node whose
playbook went through; while one is being configured, only a failure makes them worth asking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from ipaddress import ip_address, ip_network

from bootstrap.model.evidence import Diagnosis, JoinEvidence
from bootstrap.model.finding import Finding, Level
from bootstrap.model.node_state import NodeState, ServiceFacts
from bootstrap.planning.flannel import WINDOWS_VNI

METADATA = "169.254.169.254"
FIRST_OVERLAY_BUILD = (17763, 379)
"""KB4489899: the first Windows Server 2019 whose HNS has remote subnet policies."""
MAX_SKEW_S = 300.0
"""Kubernetes' own certificates are made five minutes back for that reason."""
LEAST_FREE = 0.1
"""The kubelet evicts pods when less of a drive than this is free (its nodefs.available)."""
AGAIN = "bootstrap add-node --yes"

NEEDED_SERVICES = ("kubelet", "flanneld", "kube-proxy")
OWN_SERVICES = ("containerd", "docker", "cri-dockerd", "kubelet", "flanneld", "kube-proxy")
"""In the order in which they need each other."""

Rule = Callable[[NodeState, JoinEvidence], Diagnosis | None]


def look(evidence: JoinEvidence, rules: Sequence[Rule]) -> Diagnosis | None:
    """Return the first thing that is wrong, None when nothing is, or nothing was read."""
    if evidence.state is None:
        return None
    for rule in rules:
        if found := rule(evidence.state, evidence):
            return found
    return None


def findings(evidence: JoinEvidence) -> tuple[Finding, ...]:
    """Return everything that is wrong, for a person who looks at a node."""
    state = evidence.state
    if state is None:
        return ()
    found = [rule(state, evidence) for rule in (*CAUSES, *SYMPTOMS)]
    return tuple(
        Finding(
            level=Level.WARNING,
            name=item.name,
            target=evidence.node,
            message=item.message,
            evidence={"text": item.evidence},
            fix=item.fix,
            command=item.command or None,
        )
        for item in found
        if item is not None
    )


def stopped_services(state: NodeState) -> tuple[ServiceFacts, ...]:
    """Return our services that are not running, in the order in which they need each other."""
    by_name = {service.name: service for service in state.services or ()}
    found = (by_name.get(name) for name in OWN_SERVICES)
    return tuple(service for service in found if service and service.state.lower() != "running")


def _windows_too_old(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    windows = state.windows
    if windows is None or windows.build != FIRST_OVERLAY_BUILD[0]:
        return None
    if (windows.build, windows.revision) >= FIRST_OVERLAY_BUILD:
        return None
    return Diagnosis(
        name="WindowsTooOld",
        message="this Windows cannot do overlay networks: KB4489899 is missing",
        evidence=f"build {windows.build}.{windows.revision}, needed 17763.379",
        fix="take a newer image",
        command="bootstrap add-node --image AMI",
    )


def _clock(state: NodeState, evidence: JoinEvidence) -> Diagnosis | None:
    if state.windows is None or not evidence.now:
        return None
    skew = _instant(state.windows.clock) - evidence.now
    if abs(skew) <= MAX_SKEW_S:
        return None
    return Diagnosis(
        name="ClockSkew",
        message="the node's clock is wrong; certificates and AWS' signatures fail",
        evidence=f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}",
        fix="let it reach 169.254.169.123 (UDP 123), then: w32tm /resync",
        command="w32tm /query /status",
    )


def _disk(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    for drive in state.disk or ():
        if drive.free < drive.size * LEAST_FREE:
            return Diagnosis(
                name="DiskFull",
                message=f"drive {drive.drive} is full",
                evidence=f"{drive.free // 2**20} of {drive.size // 2**20} MiB are free",
                fix="give the pool larger volumes and replace the node",
                command="bootstrap config show",
            )
    return None


def _reboot_pending(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    if state.windows is None or not state.windows.reboot_pending:
        return None
    return Diagnosis(
        name="RebootPending",
        message="Windows waits for a restart",
        evidence=f"up since {state.windows.boot_time}",
        fix="the next run restarts it",
        command=AGAIN,
    )


def _artifact(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    for artifact in state.artifacts or ():
        for file in artifact.changed:
            return Diagnosis(
                name="ArtifactChanged",
                message=f"{file.path} is not the file that was installed",
                evidence=f"{artifact.url}: {file.sha256}; found {file.found or 'nothing'}",
                fix="find out who changed it; the next run installs it again",
                command=AGAIN,
            )
    return None


def _metadata_route(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    routes = state.routes
    if routes is None:
        return None
    wanted = next((r for r in routes if r.destination == f"{METADATA}/32"), None)
    if wanted is None:
        return Diagnosis(
            name="MetadataRouteLost",
            message=f"the node has no route to {METADATA}: no credentials, no SSM, no ECR",
            evidence="routes: " + ", ".join(r.destination for r in routes),
            fix="the network task of the node puts it back at every start; look at its log",
            command="Get-NetRoute -DestinationPrefix 169.254.169.254/32",
        )
    default = next((r for r in routes if r.destination == "0.0.0.0/0"), None)
    if default is None or wanted.next_hop in ("0.0.0.0", default.next_hop):
        return None
    return Diagnosis(
        name="MetadataRouteWrongGateway",
        message=f"the route to {METADATA} leads to another subnet's gateway",
        evidence=f"via {wanted.next_hop}, default via {default.next_hop}",
        fix="the image was made in another subnet; remove the persistent route",
        command="route delete 169.254.169.254",
    )


def _management_address(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    for network in state.hns.networks if state.hns else ():
        if network.type.lower() == "overlay" and not network.management_ip:
            return Diagnosis(
                name="ManagementIpMissing",
                message="the overlay network has no address of the host",
                evidence=f"HNS network {network.name}",
                fix="restart hns and flanneld; when it stays so, replace the node",
                command="Restart-Service hns; Restart-Service flanneld",
            )
    return None


def _net_conf(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    conf = state.flannel.net_conf if state.flannel else None
    if not conf:
        return None
    backend = conf.get("Backend")
    shown = backend if isinstance(backend, dict) else {}
    if str(shown.get("Type", "")).lower() != "vxlan":
        return None
    if (shown.get("VNI"), shown.get("Port")) == (4096, 4789):
        return None
    return Diagnosis(
        name="FlannelVniPort",
        message="flanneld's net-conf.json has another VNI or port than Windows can take",
        evidence=f"VNI {shown.get('VNI')}, port {shown.get('Port')}; needed 4096 and 4789",
        fix="give flannel VNI 4096 and port 4789, on every node",
        command="bootstrap preflight --fix",
    )


def _source_vip(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    flannel = state.flannel
    subnet = flannel.subnet.get("FLANNEL_SUBNET", "") if flannel else ""
    if flannel is None or not flannel.source_vip or not subnet:
        return None
    if ip_address(flannel.source_vip) in ip_network(subnet, strict=False):
        return None
    return Diagnosis(
        name="SourceVipStale",
        message="kube-proxy's source VIP is not of the node's pod network",
        evidence=f"{flannel.source_vip} is not in {subnet}",
        fix="the next run reserves another and restarts kube-proxy",
        command=AGAIN,
    )


def _certificate(state: NodeState, evidence: JoinEvidence) -> Diagnosis | None:
    for certificate in state.certificates or ():
        wanted = f"system:node:{evidence.kube_name}"
        if not evidence.kube_name or certificate.use != "client":
            continue
        if wanted not in certificate.subject:
            return Diagnosis(
                name="CertificateOfAnotherNode",
                message="the kubelet's certificate is that of another node",
                evidence=f"{certificate.subject}, wanted CN={wanted}",
                fix="remove it: a store of an earlier name wins over everything else",
                command=r"Remove-Item C:\var\lib\kubelet\pki\kubelet-client-*",
            )
    return None


def _certificate_time(state: NodeState, evidence: JoinEvidence) -> Diagnosis | None:
    if not evidence.now:
        return None
    for certificate in state.certificates or ():
        begin, end = _instant(certificate.not_before), _instant(certificate.not_after)
        if not begin - MAX_SKEW_S <= evidence.now <= end:
            return Diagnosis(
                name="CertificateExpired",
                message=f"the kubelet's {certificate.use} certificate is not valid now",
                evidence=f"valid from {certificate.not_before} to {certificate.not_after}",
                fix="look at the host's clock and at its certificate requests",
                command="kubectl get csr",
            )
    return None


def _missing_service(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    if state.services is None:
        return None
    there = {service.name for service in state.services}
    missing = [name for name in NEEDED_SERVICES if name not in there]
    if not missing:
        return None
    return Diagnosis(
        name="ServiceMissing",
        message=f"there is no service {missing[0]}",
        evidence=f"services: {', '.join(sorted(there)) or 'none of ours'}",
        fix="the next run makes it",
        command=AGAIN,
    )


def _overlay(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    if state.hns is None:
        return None
    overlays = [network for network in state.hns.networks if network.type.lower() == "overlay"]
    if any(subnet.vni == WINDOWS_VNI for network in overlays for subnet in network.subnets):
        return None
    return Diagnosis(
        name="OverlayMissing",
        message=f"HNS has no overlay network with VNI {WINDOWS_VNI}",
        evidence=f"networks: {', '.join(n.name for n in state.hns.networks) or 'none'}",
        fix="read flanneld's log; it makes the network when it starts",
        command="Get-HnsNetwork",
    )


def _instant(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _recovery(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    for service in state.services or ():
        short = [delay for delay in service.recovery_delays_ms if delay < 1000]
        if service.name in OWN_SERVICES and short:
            return Diagnosis(
                name="ServiceRecoveryDelay",
                message=f"service {service.name} restarts in a loop of milliseconds when it fails",
                evidence=f"recovery delays of {short} ms; sc failure counts milliseconds",
                fix="the next run sets them",
                command=AGAIN,
            )
    return None


def _stopped(state: NodeState, _: JoinEvidence) -> Diagnosis | None:
    for service in stopped_services(state):
        return Diagnosis(
            name="ServiceStopped",
            message=f"service {service.name} does not run",
            evidence=f"{service.state}, exit {service.exit_code}; {last_words(state, service)}",
            fix="mend what its log says; the next run starts it again",
            command=f"Get-Service {service.name}",
        )
    return None


def last_words(state: NodeState, service: ServiceFacts) -> str:
    """Return the last line of a service's log, or that there is none."""
    for log in state.logs or ():
        if log.path.endswith(f"\\{service.name}.log") and log.lines:
            return f"its log ends: {log.lines[-1]}"
    return "it wrote no log"


CAUSES: Sequence[Rule] = (
    _windows_too_old,
    _clock,
    _disk,
    _artifact,
    _certificate,
    _certificate_time,
    _net_conf,
)
"""What makes programs fail; asked before their logs are."""

SYMPTOMS: Sequence[Rule] = (
    _management_address,
    _source_vip,
    _metadata_route,
    _missing_service,
    _stopped,
    _overlay,
    _recovery,
    _reboot_pending,
)
"""What a failure leaves, or what may be so for a while; asked when no log says more."""

BLOCKING: Sequence[Rule] = tuple(
    rule for rule in (*CAUSES, *SYMPTOMS) if rule is not _reboot_pending
)
"""What a proven node must not have. Windows asks for restarts after every update."""
