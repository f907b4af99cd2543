"""The names of causes that a failed join can end with, and what each means. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from bootstrap.planning import log_signs

_OF_CLUSTER_AND_HOST = {
    "ApprovalRejected": "the API server does not let a certificate request be approved",
    "ArtifactChanged": "a file is not the one that was installed",
    "BootNotFinished": "the console does not show that Windows has finished its first boot",
    "CertificateExpired": "a certificate of the kubelet is not valid now",
    "CertificateNeverSigned": "an approved certificate request was never signed",
    "CertificateRequestRefused": "a certificate request speaks for a node and is not as it must be",
    "DiskFull": "less than a tenth of a drive is free",
    "ManagementIpMissing": "the overlay network has no address of the host",
    "MetadataRouteLost": "a node has no route to EC2's metadata",
    "MetadataRouteWrongGateway": "the route to EC2's metadata leads to another subnet's gateway",
    "NodeDeleted": "a Node was deleted after it had registered",
    "NodeNameMismatch": "a kubelet asks for a certificate in another name than its node's",
    "OverlayMissing": "HNS has no overlay network with flannel's VNI",
    "RebootPending": "Windows waits for a restart",
    "ServiceMissing": "a service of a node is not there",
    "ServiceRecoveryDelay": "a service restarts in a loop of milliseconds when it fails",
    "ServiceStopped": "a service of a node does not run",
    "SourceVipStale": "kube-proxy's source VIP is not of the node's pod network",
    "UserDataNotRun": "Windows is up, and the user data did not run to its end",
    "WinRmUnreachable": "a host opened WinRM, and nothing answers",
}

CAUSES: Mapping[str, str] = dict(
    sorted(({sign.name: sign.message for sign in log_signs.SIGNS} | _OF_CLUSTER_AND_HOST).items())
)
