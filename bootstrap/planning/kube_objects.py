"""Kubernetes API objects (JSON) turned into our values, once. Pure; no client is needed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from bootstrap.model.certificates import CertificateRequest, RequestState
from bootstrap.model.kubernetes import (
    DaemonSetFacts,
    FlannelConfig,
    LeaseFacts,
    NodeEvent,
    PodFacts,
)
from bootstrap.model.node import KubeNode, KubeNodeName, Taint

Json = Mapping[str, Any]
OS_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
# Anybody who may ask for a certificate chooses these bytes; none of them may end the reading.
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def node_from(item: Json) -> KubeNode:
    """Read a Node."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    info = status.get("nodeInfo") or {}
    addresses = {a["type"]: a["address"] for a in status.get("addresses") or ()}
    return KubeNode(
        name=KubeNodeName(metadata["name"]),
        uid=metadata.get("uid", ""),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        taints=tuple(taint_from(taint) for taint in spec.get("taints") or ()),
        provider_id=spec.get("providerID", ""),
        pod_cidr=spec.get("podCIDR", ""),
        ready=conditions.get("Ready") == "True",
        unschedulable=bool(spec.get("unschedulable")),
        kubelet_version=info.get("kubeletVersion", ""),
        kube_proxy_version=info.get("kubeProxyVersion", ""),
        runtime_version=info.get("containerRuntimeVersion", ""),
        os_image=info.get("osImage", ""),
        internal_ip=addresses.get("InternalIP", ""),
        created_at=metadata.get("creationTimestamp") or "",
        conditions=conditions,
    )


def taint_from(item: Json) -> Taint:
    """Read a taint."""
    return Taint(key=item["key"], value=item.get("value") or "", effect=item["effect"])


def taint_json(taint: Taint) -> dict[str, str]:
    """Write a taint."""
    body = {"key": taint.key, "effect": taint.effect}
    return body | ({"value": taint.value} if taint.value else {})


def flannel_from(namespace: str, config_map: Json, daemon_set: str) -> FlannelConfig:
    """Read kops' ConfigMap ``kube-flannel-cfg``; ValueError when its JSON is broken."""
    data = config_map.get("data") or {}
    net_conf = json.loads(data.get("net-conf.json") or "{}")
    if not isinstance(net_conf, dict):
        raise ValueError("net-conf.json is no object")
    try:
        name = str(json.loads(data.get("cni-conf.json") or "{}").get("name", ""))
    except (ValueError, AttributeError):
        name = ""
    return FlannelConfig(
        namespace=namespace,
        config_map=config_map["metadata"]["name"],
        daemon_set=daemon_set,
        net_conf=net_conf,
        cni_network_name=name,
    )


def daemon_set_from(item: Json) -> DaemonSetFacts:
    """Read a DaemonSet."""
    spec = item["spec"]["template"]["spec"]
    status = item.get("status") or {}
    tolerations = spec.get("tolerations") or ()
    return DaemonSetFacts(
        namespace=item["metadata"]["namespace"],
        name=item["metadata"]["name"],
        node_selector=spec.get("nodeSelector") or {},
        required_os=_required_os(spec),
        tolerates_all=any(
            toleration.get("operator") == "Exists" and not toleration.get("key")
            for toleration in tolerations
        ),
        tolerated_keys=tuple(sorted({t["key"] for t in tolerations if t.get("key")})),
        priority_class=spec.get("priorityClassName") or "",
        generation=int(item["metadata"].get("generation") or 0),
        observed_generation=int(status.get("observedGeneration") or 0),
        desired=int(status.get("desiredNumberScheduled") or 0),
        updated=int(status.get("updatedNumberScheduled") or 0),
        available=int(status.get("numberAvailable") or 0),
    )


def _required_os(pod_spec: Json) -> tuple[str, ...]:
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    values: set[str] = set()
    for term in required.get("nodeSelectorTerms") or ():
        for expression in term.get("matchExpressions") or ():
            if expression["key"] in OS_LABELS and expression["operator"] == "In":
                values.update(expression.get("values") or ())
    return tuple(sorted(values))


def pod_from(item: Json) -> PodFacts:
    """Read a Pod; ``reason`` is the most telling one of conditions and container states."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    reason, message = _why_not(conditions, status)
    owners = metadata.get("ownerReferences") or ()
    return PodFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        node=spec.get("nodeName") or "",
        phase=status.get("phase") or "",
        ready=conditions.get("Ready", {}).get("status") == "True",
        reason=reason,
        message=message,
        pod_ip=status.get("podIP") or "",
        host_ip=status.get("hostIP") or "",
        labels=metadata.get("labels") or {},
        node_selector=spec.get("nodeSelector") or {},
        owner_kind=owners[0]["kind"] if owners else "",
        uid=metadata.get("uid", ""),
        controller_kind=next((item["kind"] for item in owners if item.get("controller")), ""),
        is_mirror=MIRROR_ANNOTATION in (metadata.get("annotations") or {}),
        has_empty_dir=any("emptyDir" in volume for volume in spec.get("volumes") or ()),
        is_deleting=bool(metadata.get("deletionTimestamp")),
    )


def _why_not(conditions: Mapping[str, Json], status: Json) -> tuple[str, str]:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return scheduled.get("reason", ""), scheduled.get("message", "")
    for container in status.get("containerStatuses") or ():
        for state in ("waiting", "terminated"):
            found = (container.get("state") or {}).get(state)
            if found:
                return found.get("reason", ""), found.get("message", "")
    return status.get("reason") or "", status.get("message") or ""


def lease_from(item: Json) -> LeaseFacts:
    """Read a Lease."""
    spec = item.get("spec") or {}
    return LeaseFacts(
        name=item["metadata"]["name"],
        holder=spec.get("holderIdentity") or "",
        acquired_at=spec.get("acquireTime") or "",
        renewed_at=spec.get("renewTime") or "",
        duration_s=int(spec.get("leaseDurationSeconds") or 0),
        resource_version=item["metadata"].get("resourceVersion", ""),
        annotations=item["metadata"].get("annotations") or {},
    )


def node_event_from(item: Json) -> NodeEvent:
    """Read an Event; components of today write ``eventTime``, older ones ``lastTimestamp``."""
    at = item.get("lastTimestamp") or item.get("eventTime") or item.get("firstTimestamp") or ""
    return NodeEvent(reason=item.get("reason") or "", message=item.get("message") or "", at=at)


def request_from(item: Json) -> CertificateRequest:
    """Read a CertificateSigningRequest and its PKCS#10 content."""
    spec, metadata = item["spec"], item["metadata"]
    return CertificateRequest(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        created_at=metadata.get("creationTimestamp") or "",
        signer=spec.get("signerName", ""),
        requester=spec.get("username", ""),
        requester_groups=tuple(spec.get("groups") or ()),
        usages=frozenset(spec.get("usages") or ()),
        state=_request_state(item.get("status") or {}),
        **_content(spec.get("request") or ""),
    )


def _request_state(status: Json) -> RequestState:
    types = {condition["type"] for condition in status.get("conditions") or ()}
    if "Denied" in types:
        return RequestState.DENIED
    if "Failed" in types:
        return RequestState.FAILED
    if status.get("certificate"):
        return RequestState.ISSUED
    return RequestState.APPROVED if "Approved" in types else RequestState.PENDING


def _content(encoded: str) -> dict[str, Any]:
    try:
        request = x509.load_pem_x509_csr(base64.b64decode(encoded))
        if not request.is_signature_valid:
            return {"parse_error": "its signature does not fit its key"}
        return _subject(request.subject) | _alternative_names(request) | _key(request)
    except UNREADABLE as exc:
        return {"parse_error": f"no PKCS#10 request: {exc}"[:200]}


def _subject(subject: x509.Name) -> dict[str, Any]:
    names = [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    organizations = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    known = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    other = [
        f"{item.rfc4514_attribute_name}={item.value!s}" for item in subject if item.oid not in known
    ]
    return {
        "common_name": str(names[0]) if len(names) == 1 else "",
        "organizations": tuple(str(item.value) for item in organizations),
        "other_subject": tuple(other + [f"CN={name!s}" for name in names[1:]]),
    }


def _alternative_names(request: x509.CertificateSigningRequest) -> dict[str, Any]:
    try:
        extension = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return {}
    names: Iterable[x509.GeneralName] = extension.value
    other = [name for name in names if not isinstance(name, x509.DNSName | x509.IPAddress)]
    return {
        "dns_names": tuple(extension.value.get_values_for_type(x509.DNSName)),
        "ip_addresses": tuple(map(str, extension.value.get_values_for_type(x509.IPAddress))),
        "other_names": tuple(str(name.value) for name in other),
    }


def _key(request: x509.CertificateSigningRequest) -> dict[str, Any]:
    key = request.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return {"key_type": "rsa", "key_bits": key.key_size}
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {"key_type": "ecdsa", "key_bits": key.curve.key_size}
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {"key_type": "ed25519", "key_bits": 256}
    return {"key_type": type(key).__name__.lower(), "key_bits": 0}
