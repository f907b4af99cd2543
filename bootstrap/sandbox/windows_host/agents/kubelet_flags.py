"""Which flags a kubelet takes, by minor; what it refuses, with the kubelet's own words.

Source: ``kubelet --help`` of 1.33 to 1.37 and what the real kubelet.exe of these versions refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.sandbox.windows_host.agents.command_line import FlagError, parse_pflags, words

_FLAGS = words("""
    address allowed-unsafe-sysctls anonymous-auth authentication-token-webhook
    authentication-token-webhook-cache-ttl authorization-mode
    authorization-webhook-cache-authorized-ttl authorization-webhook-cache-unauthorized-ttl
    bootstrap-kubeconfig cert-dir cgroup-driver cgroup-root cgroups-per-qos client-ca-file
    cloud-config cloud-provider cluster-dns cluster-domain config config-dir
    container-log-max-files container-log-max-size container-runtime-endpoint
    contention-profiling cpu-cfs-quota cpu-cfs-quota-period cpu-manager-policy
    cpu-manager-policy-options cpu-manager-reconcile-period enable-controller-attach-detach
    enable-debugging-handlers enable-server enforce-node-allocatable event-burst event-qps
    eviction-hard eviction-max-pod-grace-period eviction-minimum-reclaim
    eviction-pressure-transition-period eviction-soft eviction-soft-grace-period
    exit-on-lock-contention fail-swap-on feature-gates file-check-frequency hairpin-mode
    healthz-bind-address healthz-port help hostname-override http-check-frequency
    image-credential-provider-bin-dir image-credential-provider-config image-gc-high-threshold
    image-gc-low-threshold image-service-endpoint kernel-memcg-notification kube-api-burst
    kube-api-content-type kube-api-qps kube-reserved kube-reserved-cgroup kubeconfig
    kubelet-cgroups local-storage-capacity-isolation lock-file log-flush-frequency
    log-json-info-buffer-size log-json-split-stream log-text-info-buffer-size
    log-text-split-stream logging-format make-iptables-util-chains manifest-url
    manifest-url-header max-open-files max-pods maximum-dead-containers
    maximum-dead-containers-per-container memory-manager-policy minimum-container-ttl-duration
    minimum-image-ttl-duration node-ip node-labels node-status-max-images
    node-status-update-frequency oom-score-adj pod-cidr pod-manifest-path pod-max-pids
    pods-per-core port protect-kernel-defaults provider-id qos-reserved read-only-port
    register-node register-with-taints registry-burst registry-qps reserved-cpus
    reserved-memory resolv-conf root-dir rotate-certificates rotate-server-certificates runonce
    runtime-cgroups runtime-request-timeout seccomp-default serialize-image-pulls
    streaming-connection-idle-timeout sync-frequency system-cgroups system-reserved
    system-reserved-cgroup tls-cert-file tls-cipher-suites tls-min-version
    tls-private-key-file topology-manager-policy topology-manager-policy-options
    topology-manager-scope v version vmodule volume-plugin-dir volume-stats-agg-period
    windows-service windows-priorityclass
    """)
_BOOLEANS = words("""
    anonymous-auth authentication-token-webhook cgroups-per-qos contention-profiling
    cpu-cfs-quota enable-controller-attach-detach enable-debugging-handlers enable-server
    exit-on-lock-contention fail-swap-on help kernel-memcg-notification
    local-storage-capacity-isolation log-json-split-stream log-text-split-stream
    make-iptables-util-chains protect-kernel-defaults register-node rotate-certificates
    rotate-server-certificates runonce seccomp-default serialize-image-pulls version
    windows-service
    """)
_UNTIL = {
    "pod-infra-container-image": 34,
    "container-runtime": 26,
    "log-dir": 25,
    "log-file": 25,
    "logtostderr": 25,
    "alsologtostderr": 25,
    "network-plugin": 23,
    "network-plugin-mtu": 23,
    "cni-bin-dir": 23,
    "cni-conf-dir": 23,
    "cni-cache-dir": 23,
    "docker-endpoint": 23,
    "experimental-dockershim-root-directory": 23,
    "image-pull-progress-deadline": 23,
    "non-masquerade-cidr": 25,
    "register-schedulable": 23,
    "keep-terminated-pod-volumes": 26,
    "allow-privileged": 14,
}
"""Last minor that knows the flag (research on flags by version; facts of the real programs)."""
_UNTIL_BOOLEANS = words(
    "logtostderr alsologtostderr register-schedulable keep-terminated-pod-volumes allow-privileged"
)
_PRIORITY_CLASSES = words(
    "BELOW_NORMAL_PRIORITY_CLASS ABOVE_NORMAL_PRIORITY_CLASS HIGH_PRIORITY_CLASS "
    "IDLE_PRIORITY_CLASS NORMAL_PRIORITY_CLASS REALTIME_PRIORITY_CLASS"
)
_KUBERNETES_LABELS = words("""
    kubernetes.io/hostname kubernetes.io/arch kubernetes.io/os beta.kubernetes.io/arch
    beta.kubernetes.io/os node.kubernetes.io/instance-type beta.kubernetes.io/instance-type
    failure-domain.beta.kubernetes.io/zone failure-domain.beta.kubernetes.io/region
    topology.kubernetes.io/zone topology.kubernetes.io/region
    """)


def parse_kubelet_flags(arguments: Sequence[str], minor: int) -> dict[str, str]:
    """Read the kubelet's flags as version ``1.<minor>`` does; FlagError for what it refuses."""
    gone = {name for name, last in _UNTIL.items() if minor <= last}
    try:
        flags = parse_pflags(
            arguments, known=_FLAGS | gone, booleans=_BOOLEANS | (_UNTIL_BOOLEANS & gone)
        )
    except FlagError as error:
        raise FlagError(f"failed to parse kubelet flag: {error}") from error
    _check_values(flags, minor)
    return flags


def _check_values(flags: dict[str, str], minor: int) -> None:
    if flags.get("cloud-provider") == "aws" and minor >= 27:
        raise FlagError(
            "built-in cloud providers are disabled. Please set --cloud-provider=external"
        )
    priority = flags.get("windows-priorityclass", "NORMAL_PRIORITY_CLASS")
    if priority not in _PRIORITY_CLASSES:
        raise FlagError(f'unknown priority class "{priority}", valid ones are available at ...')
    check_labels(parse_labels(flags.get("node-labels", "")))


def parse_labels(text: str) -> dict[str, str]:
    """Read ``key=value,key=value``."""
    labels: dict[str, str] = {}
    for entry in filter(None, text.split(",")):
        key, has_value, value = entry.partition("=")
        if not has_value:
            raise FlagError(f'invalid argument "{text}" for "--node-labels" flag: malformed pair')
        labels[key] = value
    return labels


def check_labels(labels: dict[str, str]) -> None:
    """Refuse labels of Kubernetes' own prefixes that a kubelet may not give itself."""
    refused = sorted(key for key in labels if not _is_allowed(key))
    if refused:
        raise FlagError(
            f"invalid node labels: unknown 'kubernetes.io' or 'k8s.io' labels specified with "
            f"--node-labels: {refused}"
        )


def _is_allowed(key: str) -> bool:
    prefix, has_prefix, _ = key.partition("/")
    if not has_prefix or key in _KUBERNETES_LABELS:
        return True
    is_kubernetes = any(
        prefix == domain or prefix.endswith(f".{domain}") for domain in ("kubernetes.io", "k8s.io")
    )
    if not is_kubernetes:
        return True
    return any(
        prefix == allowed or prefix.endswith(f".{allowed}")
        for allowed in ("kubelet.kubernetes.io", "node.kubernetes.io")
    )
