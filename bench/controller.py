"""One run of a playbook over hosts, given as JSON on stdin: ``python -m bench.controller KIND``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.hosts import Host

FORKS = 20
HERE = Path(__file__).resolve().parent


def variables(host: Host) -> dict[str, object]:
    """Return the host variables of a node, as add-node makes them."""
    from bootstrap.model.node import KubeNodeName
    from bootstrap.model.secret import Secret
    from bootstrap.planning import artifacts, hostvars, node_config
    from bootstrap.resources import data_path
    from tests.unit.planning import builders as make

    class Tokens:
        bootstrap = flannel = kube_proxy = Secret("token")

    files = sorted((data_path("config") / "artifacts").glob("*.yaml"))
    catalog = artifacts.parse_catalog([file.read_text() for file in files])
    (desired,) = make.desired()
    inputs = node_config.inputs_of(
        desired,
        make.instance(1, private_ip=host.address),
        KubeNodeName("i-1"),
        Tokens(),
        make.facts(),
        artifacts.artifact_set(catalog, "1.34.5"),
    )
    return hostvars.host_variables(node_config.build(inputs))


def run_ours(hosts: list[Host]) -> None:
    """Run our playbook through the adapter that add-node uses."""
    from bootstrap.adapters.playbooks import AnsiblePlaybookRunner
    from bootstrap.adapters.processes import LocalProcesses
    from bootstrap.model.host import HostTarget, PlaybookEnded, PlaybookHost, PlaybookRun
    from bootstrap.model.node import NodeName
    from bootstrap.model.secret import Secret
    from bootstrap.resources import data_path

    with tempfile.TemporaryDirectory() as logs:
        os.environ["ANSIBLE_ROLES_PATH"] = str(data_path("playbooks") / "roles")
        # playbook_dir leads to the scripts, so the benchmark's playbook stands beside the real one.
        folder = Path(tempfile.mkdtemp())
        (folder / "playbooks").mkdir()
        (folder / "scripts").symlink_to(data_path("scripts"))
        (folder / "playbooks" / "our_node.yml").write_text((HERE / "our_node.yml").read_text())
        processes = LocalProcesses()
        runner = AnsiblePlaybookRunner(
            folder / "playbooks",
            Path(logs),
            identity=processes.me(),
            is_alive=processes.is_alive,
        )
        targets = [
            PlaybookHost(
                target=HostTarget(
                    node=NodeName(host.name),
                    host=host.address,
                    ca_pem=host.certificate,
                    user="Administrator",
                    password=Secret(host.password),
                ),
                variables=variables(host),
            )
            for host in hosts
        ]
        run = PlaybookRun(playbook="our_node.yml", hosts=tuple(targets), forks=FORKS)
        for event in runner.run(run, should_stop=lambda: False):
            if isinstance(event, PlaybookEnded) and event.failed:
                raise SystemExit(Path(event.log_path).read_text()[-3000:])


def run_stock(hosts: list[Host]) -> None:
    """Run the stock playbook with plain ansible-playbook."""
    with tempfile.TemporaryDirectory() as folder:
        inventory = {}
        for host in hosts:
            certificate = Path(folder) / f"{host.name}.pem"
            certificate.write_text(host.certificate)
            inventory[host.name] = stock_variables(variables(host)) | {
                "ansible_connection": "winrm",
                "ansible_shell_type": "powershell",
                "ansible_host": host.address,
                "ansible_port": 5986,
                "ansible_user": "Administrator",
                "ansible_password": host.password,
                "ansible_winrm_transport": "ntlm",
                "ansible_winrm_server_cert_validation": "validate",
                "ansible_winrm_ca_trust_path": str(certificate),
            }
        path = Path(folder) / "hosts.json"
        path.write_text(json.dumps({"all": {"hosts": inventory}}, default=lambda s: s.reveal()))
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(path)]
        ended = subprocess.run(
            [*command, "-f", str(FORKS), str(HERE / "stock_node.yml")],
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise SystemExit(ended.stdout[-3000:] + ended.stderr[-1000:])


def stock_variables(ours: dict) -> dict[str, object]:
    """Turn the requests of our scripts into what the stock playbook loops over."""
    artifacts = [
        *ours["container_runtime_artifacts"]["artifacts"],
        *ours["kubernetes_binaries_artifacts"]["artifacts"],
    ]
    folders = [
        r"C:\k",
        r"C:\k\cni",
        r"C:\k\cni\config",
        r"C:\unpacked",
        r"C:\etc\kubernetes\pki",
        r"C:\etc\kube-flannel",
        r"C:\Program Files\containerd",
        *ours["container_runtime_files"]["folders"],
        *ours["kubelet_files"]["folders"],
    ]
    archives = [item for item in artifacts if item["unpack"] != "none"]
    downloads = [
        {
            "url": item["url"],
            "algorithm": item["algorithm"],
            "checksum": item["checksum"],
            "dest": rf"C:\unpacked\{item['name']}.tgz"
            if item["unpack"] != "none"
            else item["files"][0]["to"],
        }
        for item in artifacts
    ]
    targets = {
        "containerd": r"C:\PROGRA~1\containerd",
        "kubernetes-node": r"C:\k",
        "cni-plugins": r"C:\k\cni",
    }
    services = [
        ours["container_runtime_services"]["services"][0],
        ours["kubelet_services"]["services"][0],
    ]
    return {
        "bench_folders": folders,
        "bench_downloads": downloads,
        "bench_archives": [
            {
                "archive": rf"C:\unpacked\{item['name']}.tgz",
                "folder": r"C:\unpacked",
                "creates": rf"C:\unpacked\{item['name']}.done",
            }
            for item in archives
        ],
        "bench_files": [
            *ours["container_runtime_files"]["files"],
            *ours["kubelet_files"]["files"],
        ],
        "bench_services": [
            service | {"binaryPath": _unpacked(str(service["binaryPath"]))} for service in services
        ],
        "bench_targets": targets,
    }


def _unpacked(line: str) -> str:
    """Stock tasks run the programs from where tar put them; copying them is left out for both."""
    return line.replace(
        r'"C:\Program Files\containerd\containerd.exe"', r"C:\unpacked\bin\containerd.exe"
    ).replace(r"C:\k\kube-log-runner.exe", r"C:\unpacked\kubernetes\node\bin\kube-log-runner.exe")


if __name__ == "__main__":
    given = [Host(**item) for item in json.load(sys.stdin)]
    (run_ours if sys.argv[1] == "ours" else run_stock)(given)
