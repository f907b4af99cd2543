"""The CA in a Linux node's user data, in every form that kops and EC2 give it."""

from __future__ import annotations

import base64
import gzip
import json
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from bootstrap.planning.kops_spec import ca_from_user_data
from tests.kops_cases import DEMO_STORE, FIXTURES

CA = "-----BEGIN CERTIFICATE-----\nQUFBQQ==\n-----END CERTIFICATE-----\n"
SECOND = "-----BEGIN CERTIFICATE-----\nQkJCQg==\n-----END CERTIFICATE-----\n"
FOREIGN = "-----BEGIN CERTIFICATE-----\nRk9SRQ==\n-----END CERTIFICATE-----\n"


def kube_env(*certificates: str) -> str:
    lines = "".join(certificates).splitlines()
    block = "".join(f"    {line}\n" for line in lines)
    return (
        "ClusterName: play.example.net\nConfigServer:\n  CACertificates: |\n"
        f"{block}  servers:\n  - https://kops-controller.internal.play.example.net:3988/\n"
    )


def script(env: str) -> str:
    return f"#!/bin/bash\ncat > conf/kube_env.yaml << '__EOF'\n{env}\n__EOF\ndownload-release\n"


def packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def test_plain_script_shows_the_ca() -> None:
    assert ca_from_user_data(script(kube_env(CA))) == CA


def test_rotated_ca_is_returned_whole() -> None:
    assert ca_from_user_data(script(kube_env(CA, SECOND))) == CA + SECOND


def test_base64_and_gzip_of_ec2_are_undone() -> None:
    text = script(kube_env(CA))
    assert ca_from_user_data(base64.b64encode(text.encode()).decode()) == CA
    assert ca_from_user_data(packed(text)) == CA


def test_compressed_kube_env_is_unpacked() -> None:
    env = kube_env(CA)
    text = f'echo "{packed(env)}" | base64 -d | gzip -d > conf/kube_env.yaml\n'
    assert ca_from_user_data(text) == CA


def test_windows_line_ends_do_not_matter() -> None:
    assert ca_from_user_data(script(kube_env(CA)).replace("\n", "\r\n")) == CA


@pytest.mark.parametrize("subtype", ["x-shellscript", "cloud-config"])
def test_mime_parts_are_looked_into(subtype: str) -> None:
    message = MIMEMultipart()
    message.attach(MIMEText(f"# own\n{FOREIGN}", "cloud-config"))
    message.attach(MIMEText(script(kube_env(CA)), subtype, "utf-8"))
    assert ca_from_user_data(message.as_string()) == CA


def test_compressed_kube_env_in_a_mime_part_is_unpacked() -> None:
    message = MIMEMultipart()
    line = f'echo "{packed(kube_env(CA))}" | base64 -d | gzip -d > conf/kube_env.yaml\n'
    message.attach(MIMEText(line, "x-shellscript"))
    assert ca_from_user_data(message.as_string()) == CA


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#!/bin/bash\n",
        f"cat > /etc/ssl/own.pem <<E\n{FOREIGN}E\n",
        'echo "' + "A" * 80 + '" | base64 -d | gzip -d > x',
        "QUJD",
        base64.b64encode(b"\x1f\x8bbroken").decode(),
        base64.b64encode(b"\xff\xfe\xfd").decode(),
    ],
)
def test_user_data_without_the_ca_gives_none(text: str) -> None:
    assert ca_from_user_data(text) == ""


def test_bomb_is_not_unpacked() -> None:
    bomb = packed(" " * 50_000_000 + kube_env(CA))
    assert ca_from_user_data(bomb) == ""


def test_real_user_data_and_igconfig_show_the_same_ca() -> None:
    stores = FIXTURES / "stores"
    if not stores.is_dir():
        pytest.skip(f"{stores} is not there")
    data = json.loads((stores / "modern-public-flannel" / "aws.json").read_text())
    texts = data["_decoded_user_data"]
    found = ca_from_user_data(texts["nodes-eu-west-1a.play.example.net"])
    config = DEMO_STORE / (
        "s3/play.example.net/igconfig/control-plane/control-plane-eu-west-1a/nodeupconfig.yaml"
    )
    indented = "".join(f"    {line}\n" for line in found.splitlines())
    assert found.startswith("-----BEGIN CERTIFICATE-----")
    assert f"  kubernetes-ca: |\n{indented}" in config.read_text()
    assert ca_from_user_data(texts["control-plane-eu-west-1a.masters.play.example.net"]) == ""
