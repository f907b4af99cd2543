"""Bad input ends in one clear error with its exit code, and nothing has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.functional.conftest import Sandbox, add_node

POOL = "never"


@pytest.mark.parametrize(
    ("arguments", "env", "code", "text"),
    [
        (["--state", "file:///tmp/x"], {}, 64, "s3://"),
        (["--state", "s3://no-such-bucket-here"], {}, 69, "no-such-bucket-here"),
        (["--cluster", "plai.example.net"], {}, 69, "play.example.net"),
        (["--subnet", "eu-west-1z"], {}, 64, "eu-west-1a"),
        (["--instance-type", "m5.nosuch"], {}, 3, "InstanceTypeOffered"),
        (["--runtime", "docker"], {}, 64, "containerd"),
        (["--kubernetes-version", "1.19"], {}, 3, "VersionSkew"),
        (["--private-key", "/nonexistent"], {}, 77, "private key"),
        ([], {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, 77, "credentials"),
        ([], {"KUBECONFIG": "/nonexistent"}, 77, "kubeconfig"),
    ],
)
def test_bad_input_is_refused(
    ready: Sandbox, arguments: list[str], env: dict[str, str], code: int, text: str
) -> None:
    done = ready.run(*add_node(POOL, *arguments), env=env)
    assert (done.code, text in done.out + done.err) == (code, True), done.err + done.out
    assert ready.living(POOL) == []


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_count_that_is_none_is_a_usage_error(ready: Sandbox, count: str) -> None:
    done = ready.run("add-node", "--pool", POOL, "--count", count, "--yes")
    assert done.code == 64
    assert "--count" in done.err


def test_an_api_server_that_is_away_is_told(ready: Sandbox, short_folder: Path) -> None:
    config = yaml.safe_load(Path(ready.kubeconfig).read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    path = short_folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    done = ready.run(*add_node(POOL, "--kubeconfig", str(path)))
    assert done.code == 69
    assert "cannot be reached" in done.err


def test_expired_credentials_are_told(ready: Sandbox) -> None:
    ready.fault("set", "expired-credentials")
    try:
        done = ready.run(*add_node(POOL))
    finally:
        ready.fault("clear", "expired-credentials")
    assert done.code == 77
    assert "Expired" in done.err


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
