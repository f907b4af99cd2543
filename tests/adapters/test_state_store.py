"""The port StateStore: one contract for S3 and for the fake, then what only S3 can do."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from moto import mock_aws

from bootstrap.adapters.state_store import Location, S3StateStore, parse_location
from bootstrap.errors import (
    AccessError,
    BootstrapError,
    ExitCode,
    NotFoundError,
    RemoteError,
    UsageError,
)
from bootstrap.model.cluster import ClusterName, Era, StoreFacts
from bootstrap.ports import StateStore
from tests.fakes.state_store import FakeStateStore, FolderS3
from tests.kops_cases import BUCKET, DEMO_STORE

PLAY = ClusterName("play.example.net")
URL = f"s3://{BUCKET}"
REGION = "eu-west-1"
SPEC = DEMO_STORE / "s3" / PLAY / "cluster-completed.spec"
CONFIG = DEMO_STORE / "s3" / PLAY / "config"
QUICK = Config(connect_timeout=1, retries={"total_max_attempts": 1})


def pem(body: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


def keyset(*bodies: str) -> str:
    keys = [
        {"id": str(number), "publicMaterial": base64.b64encode(pem(body).encode()).decode()}
        for number, body in enumerate(bodies, start=1)
    ]
    return json.dumps({"kind": "Keyset", "spec": {"keys": keys}})


def new_client(**more: Any) -> Any:
    return boto3.client(
        "s3",
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        **more,
    )


def make_bucket(client: Any, name: str = BUCKET) -> None:
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})


def upload(client: Any, folder: Path = DEMO_STORE, *, prefix: str = "") -> None:
    root = folder / "s3"
    for path in root.rglob("*"):
        if path.is_file():
            key = prefix + path.relative_to(root).as_posix()
            client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())


@pytest.fixture
def s3() -> Iterator[Any]:
    """An S3 with an empty state bucket."""
    with mock_aws():
        client = new_client()
        make_bucket(client)
        yield client


def small_store(name: str = PLAY, **objects: str | None) -> dict[str, str]:
    """The demo's cluster with nothing but what a reader needs; ``__`` in a name means ``/``."""
    texts: dict[str, str | None] = {
        "config": CONFIG.read_text(),
        "cluster-completed.spec": SPEC.read_text(),
        "kops-version.txt": "1.34.3",
        **{key.replace("__", "/"): text for key, text in objects.items()},
    }
    return {f"{name}/{key}": text for key, text in texts.items() if text is not None}


def store_of(objects: dict[str, str], tmp_path: Path, url: str = URL) -> S3StateStore:
    return S3StateStore(FolderS3(tmp_path, extra=objects), url)


# -- the contract --


@pytest.fixture(params=["s3", "fake"])
def store(request: pytest.FixtureRequest) -> Iterator[StateStore]:
    with mock_aws():
        client = new_client()
        make_bucket(client)
        upload(client)
        adapter = S3StateStore(client, URL)
        if request.param == "s3":
            yield adapter
        else:
            yield FakeStateStore.of([adapter.read(PLAY)])


def test_clusters_are_listed_by_name(store: StateStore) -> None:
    assert store.cluster_names() == (PLAY,)


def test_cluster_is_read_under_the_name_that_was_asked_for(store: StateStore) -> None:
    facts = store.read(PLAY)
    assert isinstance(facts, StoreFacts)
    assert facts.name == PLAY


def test_reading_twice_gives_the_same(store: StateStore) -> None:
    assert store.read(PLAY) == store.read(PLAY)


def test_unknown_cluster_is_not_found_and_the_nearest_is_named(store: StateStore) -> None:
    with pytest.raises(NotFoundError) as caught:
        store.read(ClusterName("plya.example.net"))
    error = caught.value
    assert (error.name, error.exit_code) == ("NoSuchCluster", ExitCode.REMOTE)
    assert "no cluster plya.example.net" in error.message
    assert error.evidence == "clusters there: play.example.net"
    assert error.fix == "did you mean play.example.net?"
    assert error.command.startswith("kops get clusters")


def test_name_like_no_other_is_not_found_without_a_guess(store: StateStore) -> None:
    with pytest.raises(NotFoundError) as caught:
        store.read(ClusterName("zzz"))
    assert caught.value.fix.startswith("check ")


# -- where a store is --


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3://state", Location(bucket="state")),
        ("s3://state/", Location(bucket="state")),
        ("s3://my.state-1/team/a/", Location(bucket="my.state-1", prefix="team/a")),
    ],
)
def test_s3_urls_are_read(url: str, location: Location) -> None:
    assert parse_location(url) == location


@pytest.mark.parametrize(
    "url", ["", "state", "gs://state", "file:///tmp/x", "memfs://t", "s3://", "s3:///x", "S3://A_B"]
)
def test_store_that_is_not_in_s3_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        S3StateStore(object(), url)
    assert caught.value.name == "StateStoreNotS3"
    assert "s3://BUCKET" in caught.value.fix


def test_store_below_a_prefix_is_read(s3: Any) -> None:
    upload(s3, prefix="team/a/")
    store = S3StateStore(s3, f"{URL}/team/a/")
    assert store.cluster_names() == (PLAY,)
    # configBase of the demo's spec has no prefix: it says where kops put the rest.
    upload(s3)
    assert store.read(PLAY).name == PLAY


def test_cluster_deeper_in_the_bucket_is_pointed_to(s3: Any) -> None:
    upload(s3, prefix="team/")
    store = S3StateStore(s3, URL)
    assert store.cluster_names() == ("team/play.example.net",)
    with pytest.raises(NotFoundError) as caught:
        store.read(PLAY)
    assert caught.value.fix == f"use --state {URL}/team"


@pytest.mark.parametrize("name", ["", "team/play.example.net"])
def test_what_is_no_cluster_name_is_not_found(s3: Any, name: str) -> None:
    with pytest.raises(NotFoundError):
        S3StateStore(s3, URL).read(ClusterName(name))


def test_instance_group_called_config_is_no_cluster(tmp_path: Path) -> None:
    objects = small_store() | {f"{PLAY}/instancegroup/config": "x", "b.example.net/config": "x"}
    assert store_of(objects, tmp_path).cluster_names() == ("b.example.net", PLAY)


# -- layouts and overrides --


def test_completed_spec_wins_over_a_stale_old_one(tmp_path: Path) -> None:
    stale = SPEC.read_text().replace("kubernetesVersion: 1.34.5", "kubernetesVersion: 1.18.20")
    objects = small_store() | {f"{PLAY}/cluster.spec": stale}
    facts = store_of(objects, tmp_path).read(PLAY)
    assert (facts.kubernetes_version, facts.era) == ("1.34.5", Era.CONFIG_SERVER)


def test_old_layout_is_read(tmp_path: Path) -> None:
    objects = small_store(cluster__spec=None)
    objects[f"{PLAY}/cluster.spec"] = objects.pop(f"{PLAY}/cluster-completed.spec")
    del objects[f"{PLAY}/kops-version.txt"]
    facts = store_of(objects, tmp_path).read(PLAY)
    assert (facts.era, facts.kops_version) == (Era.SHARED_CERTIFICATE, "")


def test_config_base_and_key_store_may_lie_elsewhere(s3: Any) -> None:
    make_bucket(s3, "other-bucket")
    old, new = f"s3://{BUCKET}/{PLAY}", "s3://other-bucket/base"
    config = CONFIG.read_text().replace(old, new)
    spec = SPEC.read_text().replace(f"keyStore: {old}/pki", "keyStore: s3://other-bucket/keys")
    s3.put_object(Bucket=BUCKET, Key=f"{PLAY}/config", Body=config)
    for key, text in {
        "base/cluster-completed.spec": spec,
        "base/kops-version.txt": "1.22.6",
        "keys/issued/ca/keyset.yaml": keyset("AAAA"),
        "keys/ssh/public/admin/531a750c07d4020fb39faddbb2e3fe80": "ssh-rsa",
    }.items():
        s3.put_object(Bucket="other-bucket", Key=key, Body=text)
    facts = S3StateStore(s3, URL).read(PLAY)
    assert (facts.era, facts.ca_bundle) == (Era.COMPLETED_SPEC, pem("AAAA"))
    assert facts.ssh_key_name.endswith("-53:1a:75:0c:07:d4:02:0f:b3:9f:ad:db:b2:e3:fe:80")


def test_config_base_outside_s3_is_named(tmp_path: Path) -> None:
    config = CONFIG.read_text().replace(f"s3://{BUCKET}/{PLAY}", "gs://elsewhere/x")
    with pytest.raises(RemoteError) as caught:
        store_of(small_store(config=config), tmp_path).read(PLAY)
    assert "configBase is not in S3: gs://elsewhere/x" in caught.value.message
    assert caught.value.target == f"{URL}/{PLAY}/config"


# -- the CA --

NODEUP = {"CAs": {"kubernetes-ca": pem("CCCC")}}


def test_ca_is_taken_from_the_control_planes_nodeup_config(tmp_path: Path) -> None:
    objects = small_store() | {
        f"{PLAY}/igconfig/node/n/nodeupconfig.yaml": "CAs: {}\n",
        f"{PLAY}/igconfig/control-plane/c/nodeupconfig.yaml": json.dumps(NODEUP),
        f"{PLAY}/pki/issued/ca/keyset.yaml": keyset("AAAA"),
    }
    client = FolderS3(tmp_path, extra=objects)
    assert S3StateStore(client, URL).read(PLAY).ca_bundle == pem("CCCC")
    assert f"{PLAY}/igconfig/node/n/nodeupconfig.yaml" not in client.asked


def test_ca_of_an_old_store_is_every_issued_certificate(tmp_path: Path) -> None:
    objects = small_store() | {f"{PLAY}/pki/issued/ca/keyset.yaml": keyset("AAAA", "BBBB")}
    assert store_of(objects, tmp_path).read(PLAY).ca_bundle == pem("BBBB") + pem("AAAA")


def test_ca_of_a_store_without_keyset_files_is_read_from_certificates(tmp_path: Path) -> None:
    objects = small_store() | {
        f"{PLAY}/pki/issued/ca/1.crt": pem("AAAA"),
        f"{PLAY}/pki/issued/ca/2.crt": pem("BBBB"),
    }
    assert store_of(objects, tmp_path).read(PLAY).ca_bundle == pem("AAAA") + pem("BBBB")


def test_store_that_shows_no_ca_gives_none_and_no_key_is_asked_for(tmp_path: Path) -> None:
    objects = small_store() | {
        f"{PLAY}/pki/private/kubernetes-ca/keyset.yaml": keyset("AAAA"),
        f"{PLAY}/secrets/admin": "secret",
    }
    client = FolderS3(tmp_path, extra=objects)
    assert S3StateStore(client, URL).read(PLAY).ca_bundle == ""
    assert not [key for key in client.asked if "private" in key or "secrets" in key]


# -- what is wrong with a store --


def failure(store: S3StateStore, name: str = PLAY) -> BootstrapError:
    with pytest.raises(BootstrapError) as caught:
        store.read(ClusterName(name))
    return caught.value


def test_cluster_that_kops_never_completed_is_told_so(tmp_path: Path) -> None:
    objects = small_store(**{"cluster-completed.spec": None})
    error = failure(store_of(objects, tmp_path))
    assert (type(error), error.name) == (NotFoundError, "ClusterNotCompleted")
    assert error.command == f"kops update cluster {PLAY} --state {URL} --yes"


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("config", "a: [", "it is no YAML"),
        ("cluster-completed.spec", "kind: Deployment\nspec: {a: b}", "it is a Deployment"),
        ("cluster-completed.spec", "kind: Cluster", "spec is missing"),
        ("instancegroup/nodes", "kind: InstanceGroup\nspec: {role: Cook}", "role Cook is unknown"),
        ("igconfig/node/n/nodeupconfig.yaml", "- a", "the document is no mapping"),
    ],
)
def test_unreadable_object_is_named_with_its_key(
    tmp_path: Path, path: str, text: str, message: str
) -> None:
    error = failure(store_of(small_store(**{path: text}), tmp_path))
    assert (type(error), error.name) == (RemoteError, "StateStoreUnreadable")
    assert message in error.message
    assert error.target == f"{URL}/{PLAY}/{path}"
    assert error.command == f"kops update cluster {PLAY} --state {URL} --yes"


def test_object_that_is_no_text_is_named(s3: Any) -> None:
    upload(s3)
    s3.put_object(Bucket=BUCKET, Key=f"{PLAY}/instancegroup/nodes-eu-west-1a", Body=b"\xff\xfe")
    error = failure(S3StateStore(s3, URL))
    assert error.name == "StateStoreUnreadable"
    assert "no UTF-8 text" in error.message


# -- what S3 says --


def test_missing_bucket_is_told(s3: Any) -> None:
    store = S3StateStore(s3, "s3://no-such-bucket")
    for call in (store.cluster_names, lambda: store.read(PLAY)):
        with pytest.raises(NotFoundError) as caught:
            call()
        assert caught.value.name == "NoSuchStateStore"
        assert "s3://no-such-bucket" in caught.value.message
        assert caught.value.command == "aws s3 ls"


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("AccessDenied", AccessError, "may not do that"),
        ("403", AccessError, "may not do that"),
        ("ExpiredToken", AccessError, "credentials have expired"),
        ("InvalidAccessKeyId", AccessError, "does not accept the credentials"),
        ("InvalidToken", AccessError, "does not accept the credentials"),
        ("SignatureDoesNotMatch", AccessError, "does not accept the credentials"),
        ("SlowDown", RemoteError, "SlowDown"),
        ("InternalError", RemoteError, "InternalError"),
    ],
)
@pytest.mark.parametrize("operation", ["get_object", "list_objects_v2"])
def test_refusal_of_s3_is_told_with_the_object(
    operation: str, code: str, kind: type[BootstrapError], message: str
) -> None:
    client = new_client(config=QUICK)
    stub = Stubber(client)
    stub.add_client_error(operation, service_error_code=code, service_message="S3's own words")
    with stub, pytest.raises(BootstrapError) as caught:
        store = S3StateStore(client, URL)
        store.read(PLAY) if operation == "get_object" else store.cluster_names()
    error = caught.value
    assert type(error) is kind
    assert message in error.message
    assert error.target.startswith(URL)
    assert "S3's own words" in error.evidence


def test_missing_credentials_are_told() -> None:
    session = boto3.Session(region_name=REGION)
    error = failure(S3StateStore.from_session(session, URL))
    assert (type(error), error.exit_code) == (AccessError, ExitCode.ACCESS)
    assert "no usable AWS credentials" in error.message
    assert error.command == "aws sts get-caller-identity"


def test_unreachable_s3_is_told() -> None:
    client = new_client(endpoint_url="http://127.0.0.1:1", config=QUICK)
    error = failure(S3StateStore(client, URL))
    assert (type(error), error.exit_code) == (RemoteError, ExitCode.REMOTE)
    assert "cannot be reached" in error.message
    assert "127.0.0.1:1" in error.evidence


# -- the store that ships --


def test_demo_stores_recording_makes_its_account_with_the_same_ids() -> None:
    """As a stock moto server takes it; the sandbox replays the same file."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        assert _replay(DEMO_STORE / "recording.jsonl", host, port) == []
        endpoint = f"http://{host}:{port}"
        ec2 = boto3.client(
            "ec2",
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        found = ec2.describe_subnets(Filters=[{"Name": "tag:KubernetesCluster", "Values": [PLAY]}])
        recorded = json.loads((DEMO_STORE / "aws.json").read_text())["ec2.describe_subnets"]
        assert {item["SubnetId"] for item in found["Subnets"]} == {
            item["SubnetId"] for item in recorded
        }
        client = new_client(endpoint_url=endpoint)
        upload(client)
        assert S3StateStore(client, URL).read(PLAY).name == PLAY
        client.close()
        ec2.close()
    finally:
        _send("POST", "/moto-api/reset", host, port)
        server.stop()


def _replay(recording: Path, host: str, port: int) -> list[tuple[str, int]]:
    """Send every request; return those that were answered with an error."""
    refused = []
    for line in recording.read_text().splitlines():
        entry = json.loads(line)
        text = entry["body"]
        body = base64.b64decode(text) if entry["body_encoded"] else text.encode()
        url = urlsplit(entry["url"])
        target = f"{url.path}?{url.query}" if url.query else url.path
        status = _send(entry["method"], target, host, port, body, entry["headers"])
        if status >= 400:
            refused.append((target, status))
    return refused


def _send(
    method: str,
    target: str,
    host: str,
    port: int,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> int:
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=30)) as connection:
        connection.request(method, target, body=body, headers=headers or {})
        with connection.getresponse() as response:
            response.read()
            return response.status
