"""How the programs on a node read text: which encodings they take, kubeconfigs, network settings.

Facts seen on the real programs: kubelet and kube-proxy accept UTF-8 with BOM and UTF-16 with BOM,
in configuration files and kubeconfigs; flanneld's net-conf.json and CNI input must have neither.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import yaml


class FileRefused(Exception):
    """The program does not take this file; the text is the program's own."""


def decode_kubernetes(content: bytes) -> str:
    """Decode as Kubernetes' programs do: BOMs are understood."""
    if content.startswith(codecs.BOM_UTF8):
        return content[3:].decode("utf-8")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8", errors="replace")


def load_yaml(content: bytes) -> dict[str, object]:
    """Parse YAML as sigs.k8s.io/yaml; FileRefused with the parser's complaint."""
    try:
        document = yaml.safe_load(decode_kubernetes(content))
    except yaml.YAMLError as error:
        raise FileRefused(f"yaml: {_problem(error)}") from error
    if not isinstance(document, dict):
        raise FileRefused("yaml: unmarshal errors: cannot unmarshal into Go value")
    return {str(key): value for key, value in document.items()}


def _problem(error: yaml.YAMLError) -> str:
    problem = str(getattr(error, "problem", "") or error)
    if "unknown escape character" in problem:
        # Go's parser does not name the character.
        problem = "found unknown escape character"
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: {problem}" if mark is not None else problem


def load_strict_json(content: bytes) -> dict[str, object]:
    """Parse JSON as Go's encoding/json: a BOM or UTF-16 is an invalid first character."""
    first = content[:1]
    if first and first not in b"{ \t\r\n":
        char = chr(first[0])
        shown = char if char.isprintable() else f"\\x{first[0]:02x}"
        raise FileRefused(f"invalid character '{shown}' looking for beginning of value")
    try:
        document = json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise FileRefused(f"invalid JSON: {error}") from error
    if not isinstance(document, dict):
        raise FileRefused("json: cannot unmarshal into Go value")
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubeconfig:
    """What a client needs of the current context."""

    host: str
    port: int
    server_name: str
    ca_pem: str
    token: str = ""
    certificate_pem: str = ""
    key_pem: str = ""


ReadFile = Callable[[str], bytes | None]


def load_kubeconfig(content: bytes, read_file: ReadFile) -> Kubeconfig:
    """Resolve the current context of a kubeconfig; ``read_file`` reads paths on the host."""
    document = load_yaml(content)
    context = _named(document, "contexts", str(document.get("current-context") or ""), "context")
    cluster = _named(document, "clusters", str(context.get("cluster") or ""), "cluster")
    user = _named(document, "users", str(context.get("user") or ""), "user")
    url = urlsplit(str(cluster.get("server") or ""))
    if url.scheme != "https" or not url.hostname:
        raise FileRefused("invalid configuration: no server found for cluster")
    return Kubeconfig(
        host=url.hostname,
        port=url.port or 443,
        server_name=str(cluster.get("tls-server-name") or url.hostname),
        ca_pem=_material(cluster, "certificate-authority", read_file),
        token=_token(user, read_file),
        certificate_pem=_material(user, "client-certificate", read_file),
        key_pem=_material(user, "client-key", read_file),
    )


def _named(document: dict[str, object], kind: str, name: str, key: str) -> dict[str, object]:
    entries = document.get(kind)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name:
            body = entry.get(key)
            return body if isinstance(body, dict) else {}
    if key == "context" and not name:
        raise FileRefused("invalid configuration: no configuration has been provided")
    raise FileRefused(f'{key} "{name}" does not exist')


def _material(body: dict[str, object], name: str, read_file: ReadFile) -> str:
    data = body.get(f"{name}-data")
    if data:
        try:
            return base64.b64decode(str(data), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise FileRefused("illegal base64 data at input byte 0") from error
    path = str(body.get(name) or "")
    if not path:
        return ""
    content = read_file(path)
    if content is None:
        raise FileRefused(
            f"unable to read {name} {path}: open {path}: The system cannot find the file specified."
        )
    return decode_kubernetes(content)


def _token(user: dict[str, object], read_file: ReadFile) -> str:
    if user.get("token"):
        return str(user["token"])
    path = str(user.get("tokenFile") or "")
    content = read_file(path) if path else None
    return decode_kubernetes(content).strip() if content is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetConf:
    """``net-conf.json`` as flanneld on Windows takes it."""

    network: str
    name: str
    vni: int
    port: int


def load_net_conf(content: bytes) -> NetConf:
    """Parse flannel's network configuration; FileRefused with flanneld's own text.

    Keys are case-insensitive; VNI 4096 and port 4789 are the defaults on Windows; other values of
    VNI below 4096 or of the port are refused (flannel ``pkg/backend/vxlan/vxlan_windows.go``).
    """
    document = _lower(load_strict_json(content))
    backend_value = document.get("backend")
    backend = _lower(backend_value) if isinstance(backend_value, dict) else {}
    kind = str(backend.get("type") or "udp")
    if kind != "vxlan":
        raise FileRefused(f'unknown backend type "{kind}"')
    vni = _integer(backend.get("vni"), default=4096)
    port = _integer(backend.get("port"), default=4789)
    if vni < 4096:
        raise FileRefused(
            f"invalid VXLAN backend config. VNI [{vni}] must be greater than or equal to 4096 "
            "on Windows"
        )
    if port != 4789:
        raise FileRefused(
            f"invalid VXLAN backend config. Port [{port}] is not supported on Windows. "
            "Omit the setting to default to port 4789"
        )
    for name, label in (("directrouting", "DirectRouting"), ("gbp", "GBP")):
        if backend.get(name):
            raise FileRefused(f"invalid VXLAN backend config. {label} is not supported on Windows")
    name = str(backend.get("name") or f"flannel.{vni}")
    network = str(document.get("network") or "")
    if not network:
        raise FileRefused("please define a correct Network parameter in the flannel config")
    return NetConf(network=network, name=name, vni=vni, port=port)


def _lower(document: dict[str, object]) -> dict[str, object]:
    return {key.lower(): value for key, value in document.items()}


def _integer(value: object, *, default: int) -> int:
    if value is None or value == 0:
        return default
    if not isinstance(value, int):
        raise FileRefused("error decoding VXLAN backend config: json: cannot unmarshal into int")
    return value
