"""What is taken out of text that leaves the machine, and what stays."""

from __future__ import annotations

import json

import pytest

from bootstrap.model.secret import MASK, Secret
from bootstrap.planning.redaction import Redactor

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJzeXN0ZW06c2EifQ.c2lnbmF0dXJl-_x"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nq83v\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"I1124 got {JWT} from the API", JWT),
        (f"Authorization: Bearer {JWT}", JWT),
        ('"Authorization": "Basic dXNlcjpwYXNz"', "dXNlcjpwYXNz"),
        ("bearer 0123456789abcdef0123", "0123456789abcdef0123"),
        ("joined with abcdef.0123456789abcdef.", "0123456789abcdef"),
        ("kubelet --bootstrap-token abcd1234 --v=2", "abcd1234"),
        ("token: deadbeef", "deadbeef"),
        ('{"password": "hunter 2", "user": "x"}', "hunter 2"),
        ("net use /user:x Password=hunter2;Timeout=1", "hunter2"),
        ("MYSQL_PWD=hunter2", "hunter2"),
        (KEY, "MIIEpAIBAAKCAQEA"),
        (KEY.replace("\n", "\\n"), "MIIEpAIBAAKCAQEA"),
        ("log: -----BEGIN EC PRIVATE KEY-----\nMHcCAQEE", "MHcCAQEE"),
        ("MIIEpAIBAAKCAQEA\nq83v\n-----END PRIVATE KEY-----\nmore", "MIIEpAIBAAKCAQEA"),
        ("users:\n- user:\n    client-key-data: TFMwdExTMUNSVWRK", "TFMwdExTMUNSVWRK"),
        ("client-certificate-data: TFMwdExTMUNSVWRK", "TFMwdExTMUNSVWRK"),
        ("AKIAIOSFODNN7EXAMPLE is what it used", "AKIAIOSFODNN7EXAMPLE"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
        ('"SecretAccessKey" : "wJalrXUtnFEMI/K7MDENG"', "wJalrXUtnFEMI"),
        ("AWS_SESSION_TOKEN=FwoGZXIvYXdzEJr", "FwoGZXIvYXdzEJr"),
        ("GET https://b.s3/x?X-Amz-Signature=abc123&X-Amz-Date=2", "abc123"),
        ("pull https://user:hunter2@registry.example.com/x", "hunter2"),
        ('{"auths": {"r.example.com": {"auth": "dXNlcjpwYXNz"}}}', "dXNlcjpwYXNz"),
        ("<Username>\nx\n<Password>\nZW5jcnlwdGVk\n</Password>", "ZW5jcnlwdGVk"),
    ],
)
def test_secret_is_masked_and_counted(text: str, secret: str) -> None:
    redactor = Redactor()
    shown = redactor.text(text)
    assert secret not in shown and MASK in shown
    assert redactor.count >= 1


@pytest.mark.parametrize(
    "text",
    [
        "Started kubelet v1.34.5 on ip-172-20-32-20.eu-west-1.compute.internal",
        r"--tls-private-key-file=C:\var\lib\kubelet\pki\kubelet.key --v=2",
        "certificate signing request csr-x is approved, waiting to be issued",
        "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        "BOOTSTRAP-WINRM-CERT-SHA256 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e88",
        "https://dl.k8s.io/v1.34.5/kubernetes-node-windows-amd64.tar.gz",
        "-----BEGIN CERTIFICATE-----\nMIIDazCCAlOgAwIB\n-----END CERTIFICATE-----",
        "the account's authentication failed: basic is not allowed",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    redactor = Redactor()
    assert (redactor.text(text), redactor.count) == (text, 0)


def test_what_stands_around_a_secret_stays() -> None:
    shown = Redactor().text("E1 login token=abc, node=x-1\npull https://u:p@r.example.com/a")
    assert shown == f"E1 login token={MASK}, node=x-1\npull https://{MASK}@r.example.com/a"


def test_masked_text_is_not_masked_again() -> None:
    once = Redactor().text(f"token: abc --password hunter2 Authorization: Bearer {JWT}\n{KEY}")
    assert Redactor().text(once) == once


def test_secrets_that_the_run_has_held_are_masked_wherever_they_stand() -> None:
    redactor = Redactor(known=[Secret("p4ss w"), Secret("")])
    assert redactor.text("it was p4ss w here") == f"it was {MASK} here"
    assert redactor.count == 1


def test_a_name_masks_its_value_in_json_and_other_values_keep_their_types() -> None:
    given = {
        "kubeconfig": {"users": [{"user": {"token": "abc", "client-key-data": "k"}}]},
        "auth": "x",
        "ready": True,
        "count": 3,
        "token": "",
        "lines": [f"got {JWT}"],
    }
    redactor = Redactor()
    shown = redactor.value(given)
    assert shown == {
        "kubeconfig": {"users": [{"user": {"token": MASK, "client-key-data": MASK}}]},
        "auth": MASK,
        "ready": True,
        "count": 3,
        "token": "",
        "lines": [f"got {MASK}"],
    }
    assert redactor.count == 4
    assert json.loads(json.dumps(shown)) == shown
