"""The configuration files of the container runtimes, as text. Pure.

containerd: back slashes in single quotes, no byte-order mark (seen on containerd 1.7 and 2.2).
dockerd refuses a key of daemon.json that is none of its flags, also one of Linux (moby
daemon/config/config.go, config_windows.go).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bootstrap.planning.node_files import CNI_BIN, CNI_CONF

DOCKER_DATA = r"C:\ProgramData\docker"


def daemon_json(mirrors: Sequence[str]) -> str:
    """Return dockerd's configuration.

    No default network: pods get theirs from the CNI plug-in, and Docker's would put an adapter of
    its own beside the node's. Logs of containers rotate, as the kubelet does it for CRI runtimes
    only.
    """
    document: dict[str, object] = {
        "bridge": "none",
        "data-root": DOCKER_DATA,
        "log-driver": "json-file",
        "log-opts": {"max-size": "50m", "max-file": "5"},
    }
    if mirrors:
        document["registry-mirrors"] = list(mirrors)
    return json.dumps(document, indent=2) + "\n"


def containerd_config(version: int, pause_image: str) -> str:
    """Return containerd's configuration: version 3 for 2.x, version 2 for 1.x."""
    return (_CONTAINERD_2 if version == 3 else _CONTAINERD_1).format(
        image=pause_image, bin=CNI_BIN, conf=CNI_CONF
    )


_CONTAINERD_1 = r"""version = 2
root = 'C:\ProgramData\containerd\root'
state = 'C:\ProgramData\containerd\state'

[grpc]
address = '\\.\pipe\containerd-containerd'

[plugins.'io.containerd.grpc.v1.cri']
sandbox_image = '{image}'

[plugins.'io.containerd.grpc.v1.cri'.containerd]
default_runtime_name = 'runhcs-wcow-process'
snapshotter = 'windows'

[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runhcs-wcow-process]
runtime_type = 'io.containerd.runhcs.v1'

[plugins.'io.containerd.grpc.v1.cri'.cni]
bin_dir = '{bin}'
conf_dir = '{conf}'

[plugins.'io.containerd.grpc.v1.cri'.registry]
config_path = 'C:\k\containerd\certs.d'
"""

_CONTAINERD_2 = r"""version = 3
root = 'C:\ProgramData\containerd\root'
state = 'C:\ProgramData\containerd\state'

[grpc]
address = '\\.\pipe\containerd-containerd'

[plugins.'io.containerd.cri.v1.images']
snapshotter = 'windows'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{image}'

[plugins.'io.containerd.cri.v1.images'.registry]
config_path = 'C:\k\containerd\certs.d'

[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = 'runhcs-wcow-process'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runhcs-wcow-process]
runtime_type = 'io.containerd.runhcs.v1'

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['{bin}']
conf_dir = '{conf}'
"""
