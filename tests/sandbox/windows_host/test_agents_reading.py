"""What the node's programs take and refuse; the facts were seen on the real programs."""

from __future__ import annotations

import pytest

from bootstrap.sandbox.windows_host.agents.certificates import new_request, split_pair
from bootstrap.sandbox.windows_host.agents.command_line import (
    FlagError,
    parse_go_flags,
    split_command_line,
)
from bootstrap.sandbox.windows_host.agents.containerd_config import load_containerd_config
from bootstrap.sandbox.windows_host.agents.files import (
    FileRefused,
    load_kubeconfig,
    load_net_conf,
    load_yaml,
)
from bootstrap.sandbox.windows_host.agents.images import WS2019, WS2025, image_problem
from bootstrap.sandbox.windows_host.agents.kubelet_config import Panic, settings
from bootstrap.sandbox.windows_host.agents.kubelet_flags import parse_kubelet_flags
from bootstrap.sandbox.windows_host.agents.runtime import pipe_of

CONFIG = b"""
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: npipe:////./pipe/containerd-containerd
cgroupsPerQOS: false
enforceNodeAllocatable: []
"""


def settings_of(content: bytes, *, minor: int = 34, log: list[str] | None = None, **flags: str):
    lines = log if log is not None else []
    named = {name.replace("_", "-"): value for name, value in flags.items()}
    return settings(named, content, minor=minor, computer_name="EC2AMAZ-1", log=lines.append)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (r"C:\k\kubelet.exe --v=2", [r"C:\k\kubelet.exe", "--v=2"]),
        (r'"C:\Program Files\x.exe" -a "b c"', [r"C:\Program Files\x.exe", "-a", "b c"]),
        (r'a "" b', ["a", "", "b"]),
        (r"a --path=C:\dir\\", ["a", "--path=C:\\dir\\\\"]),
        (r'a "C:\dir\\" b', ["a", "C:\\dir\\", "b"]),
        (r"a \"b", ["a", '"b']),
    ],
)
def test_command_lines_split_as_windows_splits_them(text: str, arguments: list[str]):
    assert split_command_line(text) == arguments


def test_go_flags_end_at_the_first_argument_that_is_none():
    flags, rest = parse_go_flags(
        [r"-log-file=C:\x.log", r"C:\k\kubelet.exe", "--v=2"], known={"log-file"}, booleans=set()
    )
    assert flags == {"log-file": r"C:\x.log"}
    assert rest == [r"C:\k\kubelet.exe", "--v=2"]


@pytest.mark.parametrize(
    "flag", ["--container-runtime=remote", "--network-plugin=cni", "--log-dir=C:\\l", "--nosuch=1"]
)
def test_kubelet_refuses_flags_that_are_gone(flag: str):
    with pytest.raises(
        FlagError, match=f"failed to parse kubelet flag: unknown flag: --{flag[2:5]}"
    ):
        parse_kubelet_flags([flag], 34)


def test_pod_infra_container_image_is_unknown_from_1_35():
    flag = "--pod-infra-container-image=registry.k8s.io/pause:3.10"
    assert parse_kubelet_flags([flag], 34)
    with pytest.raises(FlagError, match="unknown flag"):
        parse_kubelet_flags([flag], 35)


def test_kubelet_refuses_the_in_tree_cloud_provider():
    with pytest.raises(FlagError, match="built-in cloud providers are disabled"):
        parse_kubelet_flags(["--cloud-provider=aws"], 34)


def test_kubelet_refuses_role_labels_for_itself():
    with pytest.raises(FlagError, match="unknown 'kubernetes.io' or 'k8s.io' labels"):
        parse_kubelet_flags(["--node-labels=node-role.kubernetes.io/windows="], 34)
    own = "--node-labels=bootstrap.node/pool=a,node.kubernetes.io/windows-build=10.0.17763"
    assert parse_kubelet_flags([own], 34)


def test_kubelet_refuses_a_short_priority_class():
    with pytest.raises(FlagError, match="unknown priority class"):
        parse_kubelet_flags(["--windows-priorityclass=HIGH"], 34)


def test_node_name_is_lower_cased():
    assert settings_of(CONFIG, hostname_override="I-9").name == "i-9"
    assert settings_of(CONFIG).name == "ec2amaz-1"


def test_cgroups_off_needs_an_empty_enforcement():
    content = CONFIG.replace(b"enforceNodeAllocatable: []", b"")
    with pytest.raises(FileRefused, match="cgroupsPerQOS must be set to true"):
        settings_of(content)


@pytest.mark.parametrize(
    ("endpoint", "complaint"),
    [
        (b"''", 'protocol "unix" not supported'),
        (rb"\\.\pipe\containerd-containerd", "please consider using full url format"),
    ],
)
def test_kubelet_refuses_endpoints_that_are_no_pipe_url(endpoint: bytes, complaint: str):
    content = CONFIG.replace(b"npipe:////./pipe/containerd-containerd", endpoint)
    with pytest.raises(FileRefused, match=complaint):
        settings_of(content)


def test_pipe_url_names_the_windows_pipe():
    assert pipe_of("npipe:////./pipe/containerd-containerd") == r"\\.\pipe\containerd-containerd"


def test_unknown_gate_in_the_file_is_a_panic_and_as_a_flag_an_error():
    with pytest.raises(Panic, match="unrecognized feature gate: NoSuch"):
        settings_of(CONFIG + b"featureGates: {NoSuch: true}\n")
    with pytest.raises(FlagError, match="unrecognized feature gate: NoSuch"):
        settings_of(CONFIG, feature_gates="NoSuch=true")


def test_windsr_can_be_switched_off_in_1_33_only():
    assert settings_of(CONFIG, minor=33, feature_gates="WinDSR=false")
    with pytest.raises(FlagError, match="locked to true"):
        settings_of(CONFIG, minor=34, feature_gates="WinDSR=false")


def test_unknown_field_is_only_a_line_in_the_log():
    lines: list[str] = []
    settings_of(CONFIG + b"clusterDns: [100.64.0.10]\n", log=lines)
    assert any('unknown field "clusterDns"' in line for line in lines)


def test_double_quoted_windows_path_is_refused_in_yaml():
    with pytest.raises(FileRefused, match="found unknown escape character"):
        load_yaml(b'path: "C:\\k\\pki"\n')


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_kubernetes_programs_take_byte_order_marks(encoding: str):
    assert load_yaml("kind: X\n".encode(encoding)) == {"kind": "X"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_flanneld_takes_no_byte_order_mark(encoding: str):
    with pytest.raises(FileRefused, match="looking for beginning of value"):
        load_net_conf('{"Network": "100.64.0.0/10"}'.encode(encoding))


def test_net_conf_of_kops_gets_the_defaults_of_windows():
    conf = load_net_conf(b'{"Network": "100.64.0.0/10", "Backend": {"Type": "vxlan"}}')
    assert (conf.vni, conf.port, conf.name) == (4096, 4789, "flannel.4096")


@pytest.mark.parametrize(
    ("backend", "complaint"),
    [
        ('{"Type": "vxlan", "VNI": 1}', r"VNI \[1\] must be greater than or equal to 4096"),
        ('{"Type": "vxlan", "Port": 8472}', r"Port \[8472\] is not supported on Windows"),
        ('{"Type": "vxlan", "DirectRouting": true}', "DirectRouting is not supported"),
        ('{"Type": "host-gw2"}', "unknown backend type"),
        ("{}", 'unknown backend type "udp"'),
    ],
)
def test_flanneld_refuses_backends_that_windows_cannot_have(backend: str, complaint: str):
    content = f'{{"Network": "100.64.0.0/10", "Backend": {backend}}}'
    with pytest.raises(FileRefused, match=complaint):
        load_net_conf(content.encode())


def test_kubeconfig_without_its_context_is_refused():
    with pytest.raises(FileRefused, match='context "other" does not exist'):
        load_kubeconfig(b"current-context: other\ncontexts: []\n", lambda path: None)


def test_containerd_refuses_double_quoted_paths():
    with pytest.raises(FileRefused, match="invalid escape sequence"):
        load_containerd_config(b'version = 2\nroot = "C:\\k\\root"\n', path="c", major=1)


def test_containerd_1_7_refuses_version_3_and_2_2_refuses_a_byte_order_mark():
    with pytest.raises(FileRefused, match="the max version is 2"):
        load_containerd_config(b"version = 3\n", path="c", major=1)
    with pytest.raises(FileRefused, match="invalid character at start of key"):
        load_containerd_config(b"\xef\xbb\xbfversion = 2\n", path="c", major=2)
    assert load_containerd_config(b"\xef\xbb\xbfversion = 2\n", path="c", major=1)


def test_cni_folder_comes_from_the_plugin_of_the_configurations_version():
    old = b"version = 2\n[plugins.'io.containerd.grpc.v1.cri'.cni]\nconf_dir = 'C:\\k\\a'\n"
    new = b"version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\nconf_dir = 'C:\\k\\b'\n"
    assert load_containerd_config(old, path="c", major=1).conf_dir == r"C:\k\a"
    assert load_containerd_config(new, path="c", major=2).conf_dir == r"C:\k\b"


@pytest.mark.parametrize(
    ("image", "build", "complaint"),
    [
        ("registry.k8s.io/pause:3.10.1", WS2019, ""),
        ("mcr.microsoft.com/windows/nanoserver:ltsc2019", WS2019, ""),
        ("mcr.microsoft.com/windows/servercore:ltsc2022", WS2025, ""),
        ("mcr.microsoft.com/windows/nanoserver:ltsc2022", WS2019, "does not match the host"),
        ("mcr.microsoft.com/windows/nanoserver:ltsc2019", WS2025, "does not match the host"),
        ("alpine:3.20", WS2019, "no match for platform in manifest"),
    ],
)
def test_image_must_fit_the_hosts_build(image: str, build: int, complaint: str):
    found = image_problem(image, build)
    assert (complaint in found) if complaint else not found


def test_key_without_certificate_is_no_stored_pair():
    assert split_pair(new_request("n1").key_pem.encode()) is None
