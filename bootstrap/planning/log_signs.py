"""What programs of a node write when something of a known kind is wrong. Pure.

Each sign is a text that the program itself writes; ``source`` says where that was seen. The texts
of Windows' own errors (0x803b…) come with HNS' answers and stand in the logs as they are here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bootstrap.model.evidence import Diagnosis
from bootstrap.model.node_state import LogTail

AGAIN = "bootstrap add-node --yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A text in a log and the cause that it stands for.

    ``programs`` are the services in whose logs it counts, () for all. ``mode`` is its number in
    docs/failure-modes.md, 0 for none.
    """

    mode: int
    name: str
    pattern: re.Pattern[str]
    message: str
    fix: str
    command: str = AGAIN
    programs: tuple[str, ...] = ()


def _sign(mode: int, name: str, pattern: str, message: str, fix: str, **more: str) -> Sign:
    programs = tuple(more.pop("programs", "").split())
    return Sign(
        mode=mode,
        name=name,
        pattern=re.compile(pattern),
        message=message,
        fix=fix,
        command=more.pop("command", AGAIN),
        programs=programs,
    )


# The more specific first: one fault often writes several of these.
SIGNS: tuple[Sign, ...] = (
    _sign(
        33,
        "UnknownFlag",
        r"unknown (short)?hand flag|unknown flag|flag provided but not defined",
        "a program does not know a flag that it was given",
        "its version is not the one that its flags were made for; look at the pool's version",
        command="bootstrap support-matrix",
    ),
    _sign(
        33,
        "UnknownFeatureGate",
        r"unrecognized feature gate|cannot set feature gate \S+ to \S+, feature is locked",
        "a program does not know a feature gate, or its value is fixed by now",
        "its version is not the one that its configuration was made for",
        command="bootstrap support-matrix",
    ),
    _sign(
        39,
        "FileEncoding",
        r"invalid character '(ï|\\ufeff|ÿ|\\x00)'|invalid leading UTF-8 octet",
        "a configuration file has a byte order mark or is UTF-16",
        "write it as UTF-8 without a mark; the next run writes it anew",
    ),
    _sign(
        32,
        "CgroupsOnWindows",
        r"(?i)cgroups-?per-?qos must be set to true",
        "the kubelet's configuration asks for control groups, which Windows has not",
        "set cgroupsPerQOS false and enforceNodeAllocatable []",
        programs="kubelet",
    ),
    _sign(
        55,
        "ClockSkew",
        r"certificate has expired or is not yet valid",
        "the node's clock is wrong, or a certificate has expired",
        "look at the clock and at the route to 169.254.169.123",
        command="w32tm /query /status",
    ),
    _sign(
        31,
        "ClusterCaUnknown",
        r"x509: certificate signed by unknown authority",
        "the API server's certificate is not signed by the CA that the node was given",
        "the cluster's CA was rotated, or something stands in between; compare the bundles",
        command="kubectl get configmap -n kube-system kube-root-ca.crt -o yaml",
    ),
    _sign(
        29,
        "CertificateOfAnotherNode",
        r"can only read its own Node object|is not allowed to modify node",
        "the kubelet speaks with the certificate of another node",
        "a certificate store of an earlier name wins over everything else: remove it",
        command=r"Remove-Item C:\var\lib\kubelet\pki\kubelet-client-*",
        programs="kubelet",
    ),
    _sign(
        59,
        "RightsMissing",
        r'is forbidden: User "(?P<user>[^"]+)" cannot',
        "a program of the node lacks a right",
        "apply the RBAC objects of this tool again",
        command="bootstrap preflight --fix --yes",
    ),
    _sign(
        67,
        "CredentialsRefused",
        r"the server has asked for the client to provide credentials|(?<!\w)Unauthorized(?!\w)",
        "the API server does not take the credentials of a program of the node any more",
        "its token has expired or was revoked; the next run makes another",
    ),
    _sign(
        31,
        "ApiNameUnknown",
        r"dial tcp: lookup \S+: (no such host|getaddrinfow)",
        "the node cannot resolve the name of the API server",
        "look at the VPC's DNS, and at the hosts file of a cluster without DNS",
        command="bootstrap preflight",
    ),
    _sign(
        31,
        "ApiUnreachable",
        r"dial tcp \S+: (i/o timeout|connectex: )|net/http: TLS handshake timeout",
        "the node cannot reach the API server",
        "let the node's security group into that of the control plane, TCP 443",
        command="bootstrap preflight",
    ),
    _sign(
        2,
        "FlannelVniPort",
        r"invalid VXLAN backend config\. VNI \[\d+\]",
        "flannel's VNI is below 4096, which Windows cannot take",
        "give flannel VNI 4096 and port 4789",
        command="bootstrap preflight --fix",
        programs="flanneld",
    ),
    _sign(
        1,
        "FlannelNetworkMismatch",
        r"subnet \S+ specified in the .* doesn't contain|doesn't contain .*PodCIDR",
        "flanneld's net-conf.json names another network than the node's pod CIDR is of",
        "the network of kops and of flannel's ConfigMap differ; make them the same",
        command="kubectl get configmap -A -l k8s-app=flannel -o yaml",
        programs="flanneld",
    ),
    _sign(
        5,
        "PodCidrMissing",
        r"pod cidr not assigned",
        "the controller manager gave the Node no pod CIDR",
        "its range may be exhausted, or --allocate-node-cidrs is off",
        command="kubectl get nodes -o custom-columns=N:.metadata.name,CIDR:.spec.podCIDR",
        programs="flanneld",
    ),
    _sign(
        6,
        "FlannelNodeName",
        r"POD_NAME and POD_NAMESPACE must be set",
        "flanneld was not told which node it is",
        "its service lacks NODE_NAME in the environment; the next run writes it anew",
        programs="flanneld",
    ),
    _sign(
        12,
        "SourceVipMissing",
        r"source-vip flag not set",
        "kube-proxy was started without a source VIP",
        "the next run reserves one",
        programs="kube-proxy",
    ),
    _sign(
        13,
        "SourceVipIsNetworkAddress",
        r"0x803b002f",
        "HNS refuses a load balancer because the source VIP is the network's own address",
        "remove the reservation; the next run takes another",
        programs="kube-proxy",
    ),
    _sign(
        14,
        "PortsExhausted",
        r"0x803b0013|The specified port already exists",
        "HNS has no ports left for load balancers",
        "widen the dynamic port range; a reboot frees what leaked",
        command="netsh int ipv4 show dynamicport tcp",
        programs="kube-proxy",
    ),
    _sign(
        8,
        "AdapterNotFound",
        r"0x803b0006|An adapter was not found",
        "HNS finds no adapter for the network: it is taken by another one already",
        "remove leftovers of other networks, or replace the node",
        command="Get-HnsNetwork",
    ),
    _sign(
        15,
        "SwitchPortNotFound",
        r"0x803b0007|switch-port not found",
        "HNS has an endpoint without a container",
        "delete orphaned endpoints, or reboot the node",
        command="Get-HnsEndpoint",
    ),
    _sign(
        16,
        "HnsObjectExists",
        r"0x1392|The object already exists",
        "HNS still has an object of an earlier network",
        "delete leftovers, or reboot the node",
        command="Get-HnsNetwork; Get-HnsEndpoint; Get-HnsPolicyList",
    ),
    _sign(
        17,
        "HnsElementNotFound",
        r"0x490|Element not found",
        "HNS kept a reference to something that is gone",
        "delete policy lists, then endpoints, then the network, or replace the node",
        command="Get-HnsPolicyList",
    ),
    _sign(
        4,
        "WindowsTooOld",
        r"An expected policy was not found",
        "this Windows lacks KB4489899 and cannot do overlay networks",
        "take an image of build 17763.379 or later",
        command="bootstrap add-node --image AMI",
    ),
    _sign(
        18,
        "CniConfRefused",
        r"0x57\b|The parameter is incorrect",
        "HNS refuses what the CNI configuration asks for",
        "its schema is not the one of the runtime; the next run writes it anew",
    ),
    _sign(
        42,
        "RuntimeConfiguration",
        r"failed to load TOML|toml: |unable to configure the Docker daemon",
        "the container runtime refuses its configuration file",
        "look at the line that it names; the next run writes the file anew",
        programs="containerd docker",
    ),
    _sign(
        22,
        "ImageOfAnotherWindows",
        r"operating system does not match the host|0xc0370101",
        "an image was built for another Windows than the node's",
        "take the tag of the node's build (ltsc2019 for 17763)",
    ),
    _sign(
        23,
        "ImageWithoutWindows",
        r"no matching manifest for windows|no match for platform in manifest",
        "an image has no build for this Windows",
        "take an image that has one, and look whether a mirror drops platforms",
    ),
    _sign(
        0,
        "PullRefused",
        r"failed to pull image|ErrImagePull|pull access denied|toomanyrequests",
        "an image cannot be pulled",
        "look at the registry's answer, and at the node's way to it",
    ),
)


def read(logs: Iterable[LogTail]) -> Diagnosis | None:
    """Return what the first sign that stands in a log means, with the last line that shows it."""
    tails = {_program(log): log for log in logs}
    for sign in SIGNS:
        for program, line in _lines(tails):
            if sign.programs and program not in sign.programs:
                continue
            if sign.pattern.search(line):
                return Diagnosis(
                    name=sign.name,
                    message=sign.message,
                    evidence=f"{program}: {line}",
                    fix=sign.fix,
                    command=sign.command,
                )
    return None


def _program(log: LogTail) -> str:
    return log.path.rsplit("\\", 1)[-1].removesuffix(".log")


def _lines(tails: Mapping[str, LogTail]) -> Iterable[tuple[str, str]]:
    for program, tail in tails.items():
        for line in reversed(tail.lines):
            yield program, line
