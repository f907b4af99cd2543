"""What a kubelet makes of its flags and KubeletConfiguration; what it refuses, in its own words.

Source: Kubernetes ``cmd/kubelet/app``; the rules are those seen on real kubelet.exe 1.33 to 1.37.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bootstrap.sandbox.windows_host.agents.command_line import FlagError, words
from bootstrap.sandbox.windows_host.agents.files import FileRefused, load_yaml
from bootstrap.sandbox.windows_host.agents.kubelet_flags import parse_labels

_KNOWN_FIELDS = words("""
    apiVersion kind enableServer staticPodPath podLogsDir syncFrequency fileCheckFrequency
    httpCheckFrequency staticPodURL staticPodURLHeader address port readOnlyPort tlsCertFile
    tlsPrivateKeyFile tlsCipherSuites tlsMinVersion rotateCertificates serverTLSBootstrap
    authentication authorization registryPullQPS registryBurst
    imagePullCredentialsVerificationPolicy
    preloadedImagesVerificationAllowlist eventRecordQPS eventBurst enableDebuggingHandlers
    enableContentionProfiling healthzPort healthzBindAddress oomScoreAdj clusterDomain clusterDNS
    streamingConnectionIdleTimeout nodeStatusUpdateFrequency nodeStatusReportFrequency
    nodeLeaseDurationSeconds imageMinimumGCAge imageMaximumGCAge imageGCHighThresholdPercent
    imageGCLowThresholdPercent volumeStatsAggPeriod kubeletCgroups systemCgroups cgroupRoot
    cgroupsPerQOS cgroupDriver cpuManagerPolicy singleProcessOOMKill cpuManagerPolicyOptions
    cpuManagerReconcilePeriod memoryManagerPolicy topologyManagerPolicy topologyManagerScope
    topologyManagerPolicyOptions qosReserved runtimeRequestTimeout hairpinMode maxPods podCIDR
    podPidsLimit resolvConf runOnce cpuCFSQuota cpuCFSQuotaPeriod nodeStatusMaxImages maxOpenFiles
    contentType kubeAPIQPS kubeAPIBurst serializeImagePulls maxParallelImagePulls evictionHard
    evictionSoft evictionSoftGracePeriod evictionPressureTransitionPeriod
    evictionMaxPodGracePeriod evictionMinimumReclaim mergeDefaultEvictionSettings podsPerCore
    enableControllerAttachDetach protectKernelDefaults makeIPTablesUtilChains iptablesMasqueradeBit
    iptablesDropBit featureGates failSwapOn memorySwap containerLogMaxSize containerLogMaxFiles
    containerLogMaxWorkers containerLogMonitorInterval configMapAndSecretChangeDetectionStrategy
    systemReserved kubeReserved reservedSystemCPUs showHiddenMetricsForVersion
    systemReservedCgroup kubeReservedCgroup enforceNodeAllocatable allowedUnsafeSysctls
    volumePluginDir providerID kernelMemcgNotification logging enableSystemLogHandler
    enableSystemLogQuery shutdownGracePeriod shutdownGracePeriodCriticalPods
    shutdownGracePeriodByPodPriority crashLoopBackOff reservedMemory enableProfilingHandler
    enableDebugFlagsHandler seccompDefault memoryThrottlingFactor registerWithTaints registerNode
    tracing localStorageCapacityIsolation containerRuntimeEndpoint imageServiceEndpoint
    failCgroupV1 userNamespaces
    """)
_FIELD_SINCE = {
    "providerID": 19,
    "registerWithTaints": 23,
    "containerRuntimeEndpoint": 27,
    "imageServiceEndpoint": 27,
}
"""First minor that knows the field (k8s.io/kubelet config/v1beta1/types.go at each tag)."""
_EMPTY_RESOLV_CONF_SINCE = 23
"""Before, the field is no pointer, and an empty one gets the default."""
DEFAULT_RESOLV_CONF = "/etc/resolv.conf"
HOST_RESOLVER = "Host"
_HOST_RESOLVER_SINCE = 27
"""The default on Windows from then on (kubernetes/kubernetes 110566)."""
_LAST_DOCKERSHIM = 23
_LOCKED_FROM = {"WinOverlay": 34, "WinDSR": 34}
_GATES = frozenset(_LOCKED_FROM) | words("""
    RotateKubeletServerCertificate GracefulNodeShutdown WindowsGracefulNodeShutdown
    WindowsHostNetwork NodeLogQuery WindowsCPUAndMemoryAffinity KubeletTracing
    InPlacePodVerticalScaling DynamicResourceAllocation AllAlpha AllBeta ContextualLogging
    LoggingAlphaOptions LoggingBetaOptions KubeletServiceAccountTokenForCredentialProviders
    """)
"""Gates a Windows node may be given; any other counts as unknown, as it would be in some minor."""


class Panic(Exception):
    """The kubelet ends with a Go panic: exit code 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletSettings:
    """Flags and file as one value."""

    name: str
    kubeconfig: str
    bootstrap_kubeconfig: str
    cert_dir: str
    endpoint: str
    """Pipe of the runtime; with dockershim that of Docker."""
    is_dockershim: bool = False
    cni_conf_dir: str = ""
    """Where dockershim looks for CNI configurations; '' without the plug-in ``cni``."""
    resolv_conf: str = ""
    node_ip: str
    provider_id: str
    client_ca_file: str
    rotate_certificates: bool
    is_cloud_external: bool
    max_pods: int = 110
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[dict[str, str], ...] = ()


def settings(
    flags: dict[str, str],
    content: bytes | None,
    *,
    minor: int,
    computer_name: str,
    log: Callable[[str], None],
) -> KubeletSettings:
    """Merge flags over the file; FlagError, FileRefused or Panic for what the kubelet refuses."""
    config = _file(content, minor, log) if content is not None else {}
    _check_gates(flags.get("feature-gates", ""), minor)
    is_dockershim = _has_dockershim(flags, minor)
    endpoint = _endpoint(flags, config, is_dockershim)
    _check_endpoint(endpoint)
    authentication = config.get("authentication")
    x509 = authentication.get("x509") if isinstance(authentication, dict) else None
    client_ca = str(x509.get("clientCAFile") or "") if isinstance(x509, dict) else ""
    rotate = flags.get("rotate-certificates", str(config.get("rotateCertificates", False)))
    return KubeletSettings(
        name=(flags.get("hostname-override") or computer_name).lower().strip(),
        kubeconfig=flags.get("kubeconfig", ""),
        bootstrap_kubeconfig=flags.get("bootstrap-kubeconfig", ""),
        cert_dir=flags.get("cert-dir", r"C:\var\lib\kubelet\pki"),
        endpoint=endpoint,
        is_dockershim=is_dockershim,
        cni_conf_dir=_cni_conf_dir(flags) if is_dockershim else "",
        resolv_conf=_resolv_conf(flags, config, minor),
        node_ip=flags.get("node-ip", ""),
        provider_id=flags.get("provider-id") or str(config.get("providerID") or ""),
        client_ca_file=flags.get("client-ca-file") or client_ca,
        rotate_certificates=rotate.lower() == "true",
        is_cloud_external=flags.get("cloud-provider", "") == "external",
        max_pods=int(str(flags.get("max-pods") or config.get("maxPods") or 110)),
        labels=parse_labels(flags.get("node-labels", "")),
        taints=_taints(flags.get("register-with-taints", ""), config.get("registerWithTaints")),
    )


def _has_dockershim(flags: dict[str, str], minor: int) -> bool:
    runtime = flags.get("container-runtime", "docker" if minor <= _LAST_DOCKERSHIM else "remote")
    if runtime == "docker" and minor <= _LAST_DOCKERSHIM:
        return True
    if runtime != "remote":
        raise FlagError(f'unsupported CRI runtime: "{runtime}"')
    return False


def _endpoint(flags: dict[str, str], config: dict[str, object], is_dockershim: bool) -> str:
    if is_dockershim:
        return flags.get("docker-endpoint") or "npipe:////./pipe/docker_engine"
    named = flags.get("container-runtime-endpoint")
    return named or str(config.get("containerRuntimeEndpoint") or "")


def _cni_conf_dir(flags: dict[str, str]) -> str:
    plugin = flags.get("network-plugin", "")
    if plugin not in ("", "cni", "kubenet"):
        raise FlagError(f'network plugin "{plugin}" not found')
    return flags.get("cni-conf-dir", r"C:\etc\cni\net.d") if plugin == "cni" else ""


def _resolv_conf(flags: dict[str, str], config: dict[str, object], minor: int) -> str:
    if "resolv-conf" in flags:
        return flags["resolv-conf"]
    named = config.get("resolvConf")
    if named or (named == "" and minor >= _EMPTY_RESOLV_CONF_SINCE):
        return str(named)
    return HOST_RESOLVER if minor >= _HOST_RESOLVER_SINCE else DEFAULT_RESOLV_CONF


def _file(content: bytes, minor: int, log: Callable[[str], None]) -> dict[str, object]:
    config = load_yaml(content)
    kind = f"{config.get('apiVersion')}/{config.get('kind')}"
    if kind != "kubelet.config.k8s.io/v1beta1/KubeletConfiguration":
        raise FileRefused(
            f'no kind "{config.get("kind")}" is registered for version '
            f'"{config.get("apiVersion")}" in scheme'
        )
    unknown = sorted(
        name
        for name in config
        if name not in _KNOWN_FIELDS or minor < _FIELD_SINCE.get(name, minor)
    )
    if unknown:
        fields = ", ".join(f'unknown field "{name}"' for name in unknown)
        log(f"I1101 Using lenient decoding as strict decoding failed: {fields}")
    config = {name: value for name, value in config.items() if name not in unknown}
    _check_cgroups(config, log)
    gates = config.get("featureGates")
    for name, value in gates.items() if isinstance(gates, dict) else ():
        _check_gate(str(name), enabled=bool(value), minor=minor, in_file=True)
    return config


def _check_cgroups(config: dict[str, object], log: Callable[[str], None]) -> None:
    enforced = config.get("enforceNodeAllocatable", ["pods"])
    if config.get("cgroupsPerQOS", True):
        log(
            "W1101 ignored configuration option: CgroupsPerQOS (--cgroups-per-qos) true is not "
            "supported on Windows"
        )
    elif isinstance(enforced, list) and "pods" in enforced:
        raise FileRefused(
            'invalid configuration: cgroupsPerQOS must be set to true when "pods" contained in '
            "enforceNodeAllocatable"
        )


def _check_gates(text: str, minor: int) -> None:
    for entry in filter(None, text.split(",")):
        name, _, value = entry.partition("=")
        _check_gate(name.strip(), enabled=value.strip() == "true", minor=minor, in_file=False)


def _check_gate(name: str, *, enabled: bool, minor: int, in_file: bool) -> None:
    problem = ""
    if name not in _GATES:
        problem = f"unrecognized feature gate: {name}"
    elif not enabled and minor >= _LOCKED_FROM.get(name, minor + 1):
        problem = f"cannot set feature gate {name} to false, feature is locked to true"
    if problem and in_file:
        raise Panic(problem)
    if problem:
        raise FlagError(f'invalid argument "{name}" for "--feature-gates" flag: {problem}')


def _check_endpoint(endpoint: str) -> None:
    if not endpoint or endpoint.startswith("unix:"):
        raise FileRefused('failed to run Kubelet: protocol "unix" not supported')
    if not endpoint.startswith("npipe://"):
        shown = endpoint.replace("\\", "/")
        raise FileRefused(
            f'Using "{shown}" as endpoint is deprecated, please consider using full url format '
            f'"npipe:{shown}".'
        )


def _taints(text: str, listed: object) -> tuple[dict[str, str], ...]:
    if not text:
        entries = listed if isinstance(listed, list) else []
        return tuple({str(k): str(v) for k, v in entry.items()} for entry in entries)
    taints = []
    for entry in text.split(","):
        head, _, effect = entry.rpartition(":")
        key, _, value = head.partition("=")
        if not effect or not key:
            raise FlagError(f'invalid argument "{text}" for "--register-with-taints" flag')
        taints.append({"key": key, "value": value, "effect": effect})
    return tuple(taints)
