"""Makes the AWS account of a store again from the requests that kops sent (``recording.jsonl``).

The format is moto's own recorder's: every request that changes something follows a line that seeds
moto's random numbers, so the ids are those of ``aws.json`` each time.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from bootstrap.sandbox.addresses import AddressMap
from bootstrap.sandbox.aws_moto import seed
from bootstrap.sandbox.errors import StoreError
from bootstrap.sandbox.store import StoreDirectory

WsgiApp = Callable[[dict[str, Any], Any], Any]
_S3_OBJECT = re.compile(r"/[^/]+/.+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """One request of the recording, addresses already moved."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


def replay(
    store: StoreDirectory, addresses: AddressMap, public_key: str, app: WsgiApp
) -> dict[str, str]:
    """Send the whole recording to a moto application; objects of the state bucket are left out.

    ``public_key`` (OpenSSH) replaces the cluster's key pair, whose private half nobody has. Returns
    the host name type by subnet id, which moto does not keep.
    """
    hostname_types: dict[str, str] = {}
    for number, entry in _requests(store, addresses, public_key):
        if isinstance(entry, int):
            seed(entry)
            continue
        if b"PrivateDnsHostnameTypeOnLaunch" in entry.body:
            fields = dict(parse_qsl(entry.body.decode()))
            hostname_types[fields["SubnetId"]] = fields["PrivateDnsHostnameTypeOnLaunch"]
        status = _send(app, entry)
        if status >= 500:
            raise StoreError(
                f"line {number} of {store.recording} could not be replayed",
                target=str(store.path),
                evidence=f"HTTP {status} for {entry.method} {entry.path} {entry.body[:80]!r}",
            )
    return hostname_types


def _requests(
    store: StoreDirectory, addresses: AddressMap, public_key: str
) -> Iterator[tuple[int, RecordedRequest | int]]:
    for number, line in enumerate(store.recording.read_text().splitlines(), start=1):
        try:
            entry = json.loads(line)
            url = urlsplit(entry["url"])
            if url.path == "/moto-api/seed":
                yield number, int(parse_qs(url.query)["a"][0])
                continue
            body = _body(entry)
        except (ValueError, KeyError, TypeError) as exc:
            raise StoreError(
                f"line {number} of {store.recording} is no recorded request", evidence=repr(exc)
            ) from exc
        headers = entry["headers"]
        if entry["method"] == "PUT" and _is_s3_object(headers, url.path):
            continue
        if headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            body = _rewrite_form(body, addresses, public_key)
        yield (
            number,
            RecordedRequest(
                method=entry["method"], path=url.path, query=url.query, headers=headers, body=body
            ),
        )


def _body(entry: dict[str, Any]) -> bytes:
    if entry["body_encoded"]:
        return base64.b64decode(entry["body"])
    return str(entry["body"]).encode()


def _is_s3_object(headers: dict[str, str], path: str) -> bool:
    return "/s3/aws4_request" in headers.get("Authorization", "") and bool(
        _S3_OBJECT.fullmatch(path)
    )


def _rewrite_form(body: bytes, addresses: AddressMap, public_key: str) -> bytes:
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    if fields.get("Action") == "ImportKeyPair":
        fields["PublicKeyMaterial"] = base64.b64encode(public_key.encode()).decode()
    for name, value in fields.items():
        if name.endswith("UserData"):
            fields[name] = _rewrite_user_data(value, addresses)
        elif name != "PublicKeyMaterial":
            fields[name] = addresses.rewrite(value)
    _add_missing_ports(fields)
    return urlencode(fields).encode()


def _rewrite_user_data(value: str, addresses: AddressMap) -> str:
    try:
        text = base64.b64decode(value).decode()
    except ValueError:
        return value  # Compressed or binary: there is no text to move addresses in.
    return base64.b64encode(addresses.rewrite(text).encode()).decode()


def _add_missing_ports(fields: dict[str, str]) -> None:
    # moto fails on rules of a protocol without ports (calico's IP-in-IP); -1 means "all" to EC2,
    # docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
    for name in [name for name in fields if name.endswith(".IpProtocol")]:
        prefix = name.removesuffix("IpProtocol")
        if fields[name] != "-1" and prefix + "FromPort" not in fields:
            fields[prefix + "FromPort"] = fields[prefix + "ToPort"] = "-1"


def _send(app: WsgiApp, request: RecordedRequest) -> int:
    statuses: list[int] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        statuses.append(int(status.split()[0]))

    answer = app(_environ(request), start_response)
    for _ in answer:
        pass
    if hasattr(answer, "close"):
        answer.close()
    return statuses[0]


def _environ(request: RecordedRequest) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "5000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:5000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(request.body)),
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return environ
