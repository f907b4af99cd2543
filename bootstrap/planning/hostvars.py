"""A node's configuration as Ansible host variables. Pure; Secrets stay Secrets here."""

from __future__ import annotations

from bootstrap.planning.node_config import NodeConfig

# Role -> the requests it hands to scripts; every variable is prefixed with its role's name.
ROLES = {
    "windows_base": {"host": "host"},
    "container_runtime": {
        "tasks": "runtime_tasks",
        "artifacts": "runtime_artifacts",
        "files": "runtime_files",
        "services": "runtime_services",
        "service_host": "service_host",
    },
    "kubernetes_binaries": {
        "artifacts": "kubernetes_artifacts",
        "service_host": "service_host",
    },
    "network_prepare": {"network": "network"},
    "kubelet": {"files": "kubelet_files", "services": "kubelet_services"},
    "flannel_overlay": {"services": "flannel_services", "overlay": "overlay"},
    "kube_proxy": {"source_vip": "source_vip", "services": "proxy_services"},
    "images": {"images": "images"},
}


def host_variables(config: NodeConfig) -> dict[str, object]:
    """Return the variables that the roles declare in their ``meta/argument_specs.yml``."""
    return {
        f"{role}_{name}": getattr(config, field)
        for role, requests in ROLES.items()
        for name, field in requests.items()
    }
