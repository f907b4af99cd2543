"""Bad input ends in one clear error with its exit code, and nothing has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.functional.conftest import STORE, Sandbox, add_node
from tests.functional.other_cluster import other_cluster

POOL = "never"
NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


@pytest.mark.parametrize(
    ("arguments", "env", "code", "text"),
    [
        ([], {"KOPS_STATE_STORE": ""}, 64, "give it by --state, KOPS_STATE_STORE"),
        ([], {"KOPS_CLUSTER_NAME": ""}, 64, "give it by --cluster, KOPS_CLUSTER_NAME"),
        (["--state", "file:///tmp/x"], {}, 64, "s3://"),
        (["--state", "s3://no-such-bucket-here"], {}, 69, "no-such-bucket-here"),
        (["--cluster", "plai.example.net"], {}, 69, "did you mean play.example.net"),
        (["--subnet", "eu-west-1z"], {}, 64, "eu-west-1a"),
        (["--instance-type", "m5.nosuch"], {}, 3, "InstanceTypeOffered"),
        (["--runtime", "docker"], {}, 3, "checksum of cri-dockerd in artifacts.overrides"),
        (["--runtime", "docker-ee"], {}, 3, "DockerMsftProvider"),
        (["--kubernetes-version", "1.19"], {}, 3, "VersionSkew"),
        (["--private-key", "/nonexistent"], {}, 77, "private key"),
        ([], NO_KEYS, 77, "credentials"),
        ([], {"KUBECONFIG": "/nonexistent"}, 77, "kubeconfig"),
        (["--count", "0"], {}, 64, "--count"),
        (["--count", "-1"], {}, 64, "--count"),
        (["--count", "many"], {}, 64, "--count"),
        (["--pool", "Never_"], {}, 64, "--pool"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(
    ready: Sandbox, arguments: list[str], env: dict[str, str], code: int, text: str
) -> None:
    done = ready.run(*add_node(POOL, *arguments), env=env)
    assert (done.code, text in done.out + done.err) == (code, True), done.err + done.out
    assert "try: " in done.err or "try: bootstrap " in done.out, done.err
    assert ready.living(POOL) == []


def kubeconfig_to(ready: Sandbox, server: str, folder: Path) -> str:
    """Write the sandbox's kubeconfig with another address."""
    config = yaml.safe_load(Path(ready.kubeconfig).read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = server
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return str(path)


def test_an_api_server_that_is_away_is_told(ready: Sandbox, short_folder: Path) -> None:
    path = kubeconfig_to(ready, "https://127.0.0.1:9", short_folder)
    done = ready.run(*add_node(POOL, "--kubeconfig", path))
    assert done.code == 69
    assert "cannot be reached" in done.err
    assert "try: kubectl" in done.err


def test_the_kubeconfig_of_another_cluster_is_refused(ready: Sandbox, short_folder: Path) -> None:
    with other_cluster() as server:
        path = kubeconfig_to(ready, server, short_folder)
        done = ready.run(*add_node(POOL, "-o", "json", "--kubeconfig", path))
    assert done.code == 3
    found = {finding["name"]: finding for finding in done.document["findings"]}
    assert found["KubeconfigMatchesCluster"]["command"].startswith("kops export kubeconfig")
    assert ready.living(POOL) == []


@pytest.mark.parametrize(
    ("fault", "text"), [("expired-credentials", "xpired"), ("access-denied", "RunInstances")]
)
def test_credentials_that_do_not_serve_are_told(ready: Sandbox, fault: str, text: str) -> None:
    with ready.broken(fault):
        done = ready.run(*add_node(POOL))
    assert done.code == 77
    assert text in done.out + done.err
    assert ready.living(POOL) == []


def test_a_name_that_another_instance_has_is_refused(ready: Sandbox) -> None:
    name = f"taken-1.{ready.env['KOPS_CLUSTER_NAME']}"
    linux = ready.ec2().describe_instances()["Reservations"][0]["Instances"][0]
    kind, tags = "instance", [{"Key": "Name", "Value": name}]
    tags.append({"Key": "KubernetesCluster", "Value": ready.env["KOPS_CLUSTER_NAME"]})
    (taker,) = ready.ec2().run_instances(
        ImageId=linux["ImageId"],
        SubnetId=linux["SubnetId"],
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": kind, "Tags": tags}],
    )["Instances"]
    try:
        done = ready.run(*add_node("taken", "-o", "json"))
    finally:
        ready.ec2().terminate_instances(InstanceIds=[taker["InstanceId"]])
    assert done.code == 3
    (finding,) = [f for f in done.document["findings"] if f["name"] == "NameIsFree"]
    assert taker["InstanceId"] in finding["message"]
    assert ready.living("taken") == []


def test_all_faults_of_a_config_file_are_told_at_once(ready: Sandbox, short_folder: Path) -> None:
    path = short_folder / "bootstrap.yaml"
    path.write_text(
        "apiVersion: bootstrap/v1\nkind: WindowsNodes\npools:\n"
        "  - name: a\n    cuont: 1\n    windows: '2018'\n  - name: a\n    count: 0\n"
    )
    done = ready.run(*add_node("a", "-f", str(path)))
    assert done.code == 64
    for text in ("cuont", "count", "2018", ":5"):
        assert text in done.err


def test_a_setting_that_is_not_served_is_refused_not_ignored(
    ready: Sandbox, short_folder: Path
) -> None:
    path = short_folder / "bootstrap.yaml"
    path.write_text("apiVersion: bootstrap/v1\nkind: WindowsNodes\nreach: {via: bastion}\n")
    done = ready.run(*add_node(POOL, "-f", str(path)))
    assert done.code == 64
    assert "reach.via: bastion" in done.err


def test_an_unknown_check_is_answered_with_the_nearest(ready: Sandbox) -> None:
    done = ready.run("preflight", "--only", "FlannelVniPorts")
    assert done.code == 64
    assert "FlannelVniPort" in done.err


def test_a_folder_that_is_no_store_is_no_sandbox(ready: Sandbox) -> None:
    done = ready.run("sandbox", "up", "--store", str(STORE.parent), "--name", "nothing")
    assert done.code in (64, 69)
    assert "error: " in done.err
