"""What ``preflight --fix`` would change in the cluster: data, shown first, applied on request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap.model.kubernetes import FlannelConfig
from bootstrap.planning import checks, flannel
from bootstrap.planning.checks import View


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFlannelNetConf:
    """Write VNI 4096 and port 4789 into flannel's ConfigMap, then restart flannel everywhere."""

    flannel: FlannelConfig
    net_conf: dict[str, object]
    check: str = "FlannelVniPort"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartFlannel:
    """Restart flannel on every Linux node, so that it takes the ConfigMap's values."""

    flannel: FlannelConfig
    check: str = "FlannelRolledOut"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectLinux:
    """Give a DaemonSet the node selector ``kubernetes.io/os=linux``."""

    namespace: str
    daemon_set: str
    check: str = "DaemonSetsHaveOsSelector"


Fix = SetFlannelNetConf | RestartFlannel | SelectLinux


def fixes(view: View) -> Iterator[Fix]:
    """Find what can be mended of what the checks say."""
    found = view.cluster.flannel
    if found is not None and flannel.backend_type(found) == "vxlan":
        if any(checks.flannel_vni_port(view)):
            yield SetFlannelNetConf(flannel=found, net_conf=flannel.for_windows(found))
        elif any(checks.flannel_rolled_out(view)):
            yield RestartFlannel(flannel=found)
    for finding in checks.daemon_sets_have_os_selector(view):
        namespace, _, name = finding.target.partition("/")
        yield SelectLinux(namespace=namespace, daemon_set=name)


def describe(fix: Fix) -> tuple[str, ...]:
    """Say what a fix changes, line by line, with what it costs."""
    match fix:
        case SetFlannelNetConf(flannel=found, net_conf=net_conf):
            before = json.dumps(found.net_conf.get("Backend"), sort_keys=True)
            after = json.dumps(net_conf["Backend"], sort_keys=True)
            return (
                f"ConfigMap/{found.namespace}/{found.config_map}",
                f"  net-conf.json Backend  {before} -> {after}",
                f"DaemonSet/{found.namespace}/{found.daemon_set}",
                "  rolling restart: pods lose the network between nodes for some seconds while both"
                " settings are in use",
                "  kops renders neither value: a later 'kops update cluster' may revert this;"
                " every run checks it again",
            )
        case RestartFlannel(flannel=found):
            return (
                f"DaemonSet/{found.namespace}/{found.daemon_set}",
                "  rolling restart, so that every Linux node takes VNI 4096",
            )
        case SelectLinux(namespace=namespace, daemon_set=name):
            return (
                f"DaemonSet/{namespace}/{name}",
                "  nodeSelector  + kubernetes.io/os=linux (rolls its pods)",
            )
