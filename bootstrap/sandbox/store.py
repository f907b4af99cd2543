"""A kops state store as files, with the AWS account around it: what a sandbox is started on.

Layout (``--store DIR``): ``s3/`` holds every object of the state bucket, file path = key;
``recording.jsonl`` the requests that made the AWS account; ``aws.json`` (optional) the account as
kops left it; ``kubeconfig-admin.yaml`` (optional) what ``kops export kubeconfig --admin`` wrote.

The sandbox plays the control plane, so unlike the product it reads private keys. Sources: kops
``pkg/client/simple/vfsclientset`` (paths), ``upup/pkg/fi/keyset.go`` (``FindPrimary``),
``channels/pkg/channels/addons.go`` (which manifest of an add-on serves a Kubernetes version).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from bootstrap.sandbox.errors import StoreError
from bootstrap.sandbox.store_channel import in_version_range

Document = dict[str, Any]
"""One YAML document of a manifest."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_COMPLETED_SPECS = ("cluster-completed.spec", "cluster.spec")
"""kops >= 1.22 and older ones; the first that is there is read."""
_CA_KEYSETS = ("kubernetes-ca", "ca")
_SERVICE_ACCOUNT_KEYSETS = ("service-account", "master")
_COMMAND = "bootstrap sandbox up --store DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """The primary key of a keyset: certificate and RSA or EC private key, both PEM."""

    certificate_pem: str
    private_key_pem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Addon:
    """One add-on of the bootstrap channel, the manifest for the cluster's version parsed."""

    name: str
    manifest: str
    """Path below ``addons/``."""
    documents: tuple[Document, ...]


class StoreDirectory:
    """Read a store folder; StoreError says what is missing or wrong in it.

    ``cluster`` picks one cluster where the bucket holds several.
    """

    def __init__(self, path: Path | str, cluster: str = "") -> None:
        self.path = Path(path).expanduser().resolve()
        self._require_folder()
        self._base = self._find_cluster(cluster)

    @property
    def s3_root(self) -> Path:
        """The folder that mirrors the bucket."""
        return self.path / "s3"

    @property
    def recording(self) -> Path:
        """The requests that make the AWS account, one JSON object a line."""
        return self.path / "recording.jsonl"

    @property
    def aws_json(self) -> Path | None:
        """The account as describe calls saw it, None where the folder has none."""
        path = self.path / "aws.json"
        return path if path.is_file() else None

    @property
    def cluster_name(self) -> str:
        """``metadata.name`` of the cluster."""
        name = self.spec_document.get("metadata", {}).get("name", "")
        return str(name) or self._base.name

    @property
    def s3_objects(self) -> dict[str, Path]:
        """Key -> file, for every object of the bucket."""
        return {
            file.relative_to(self.s3_root).as_posix(): file
            for file in sorted(self.s3_root.rglob("*"))
            if file.is_file()
        }

    @cached_property
    def spec_document(self) -> Document:
        """The completed Cluster object."""
        for name in _COMPLETED_SPECS:
            file = self._base / name
            if file.is_file():
                return self._yaml_object(file)
        raise StoreError(
            f"{self._base} has neither {' nor '.join(_COMPLETED_SPECS)}",
            target=str(self.path),
            fix="run `kops update cluster --yes` once, so that kops writes the completed spec",
        )

    @property
    def spec(self) -> Document:
        """``spec`` of the completed Cluster object, addresses as kops wrote them (not moved)."""
        spec = self.spec_document.get("spec")
        if not isinstance(spec, dict):
            raise StoreError("the completed spec has no 'spec'", target=str(self.path))
        return spec

    @property
    def kubernetes_version(self) -> str:
        """Without a leading ``v``."""
        return str(self._spec_field("kubernetesVersion")).removeprefix("v")

    @property
    def vpc_cidr(self) -> str:
        """``networkCIDR``."""
        return str(self._spec_field("networkCIDR"))

    @property
    def pod_cidr(self) -> str:
        """``podCIDR``; before kops 1.22 only the controller manager's ``clusterCIDR`` tells it."""
        manager = self.spec.get("kubeControllerManager") or {}
        return str(self.spec.get("podCIDR") or manager.get("clusterCIDR") or "100.96.0.0/11")

    @property
    def service_cidr(self) -> str:
        """``serviceClusterIPRange``."""
        return str(self.spec.get("serviceClusterIPRange") or "100.64.0.0/13")

    @property
    def region(self) -> str:
        """The region of the first subnet's zone; StoreError when no subnet names a zone."""
        for subnet in self.spec.get("subnets") or []:
            match = re.match(r"[a-z]+(?:-[a-z]+)+-\d+", str(subnet.get("zone", "")))
            if match:
                return match[0]
        raise StoreError("no subnet of the spec names a zone", target=str(self.path))

    @property
    def state_bucket(self) -> str:
        """Bucket of ``configBase``."""
        return self._config_base()[0]

    @property
    def state_url(self) -> str:
        """What ``KOPS_STATE_STORE`` has to be: ``s3://bucket[/prefix]``."""
        bucket = self.state_bucket
        prefix = self._base.parent.relative_to(self.s3_root).as_posix()
        return f"s3://{bucket}" if prefix == "." else f"s3://{bucket}/{prefix}"

    @cached_property
    def ca(self) -> KeyPair:
        """The cluster's certificate authority."""
        return self._key_pair(_CA_KEYSETS)

    @cached_property
    def service_account(self) -> KeyPair:
        """The key that signs ServiceAccount tokens."""
        return self._key_pair(_SERVICE_ACCOUNT_KEYSETS)

    @cached_property
    def admin_kubeconfig(self) -> Document | None:
        """The exported kubeconfig, parsed; None where the folder has none."""
        file = self.path / "kubeconfig-admin.yaml"
        return self._yaml_object(file) if file.is_file() else None

    @cached_property
    def addons(self) -> tuple[Addon, ...]:
        """Add-ons of the bootstrap channel for the cluster's version, in the channel's order."""
        channel = self._base / "addons" / "bootstrap-channel.yaml"
        if not channel.is_file():
            return ()
        entries = (self._yaml_object(channel).get("spec") or {}).get("addons") or []
        chosen: dict[str, str] = {}
        for entry in entries:
            if in_version_range(self.kubernetes_version, str(entry.get("kubernetesVersion") or "")):
                chosen[str(entry["name"])] = str(entry.get("manifest", ""))
        return tuple(
            Addon(name=name, manifest=manifest, documents=tuple(self._documents(manifest)))
            for name, manifest in chosen.items()
        )

    def _documents(self, manifest: str) -> Iterator[Document]:
        file = self._base / "addons" / manifest
        # Channels may point to other places by URL; those are not in the folder.
        if not manifest or not file.is_file():
            return
        try:
            for document in yaml.load_all(file.read_bytes(), Loader=_Loader):
                if isinstance(document, dict):
                    yield document
        except yaml.YAMLError as exc:
            raise StoreError(f"{file} is no YAML", evidence=str(exc)) from exc

    def _require_folder(self) -> None:
        wanted = {"s3": self.s3_root.is_dir(), "recording.jsonl": self.recording.is_file()}
        missing = [name for name, is_there in wanted.items() if not is_there]
        if not self.path.is_dir():
            raise StoreError(
                f"the store folder {self.path} does not exist",
                target=str(self.path),
                command=_COMMAND,
            )
        if missing:
            raise StoreError(
                f"{self.path} is not a store folder: it lacks {' and '.join(missing)}",
                target=str(self.path),
                fix="a store folder has s3/<cluster>/... and recording.jsonl",
                command=_COMMAND,
            )

    def _find_cluster(self, wanted: str) -> Path:
        # As kops' listNames: a cluster is what lies beside an object "config".
        bases = sorted(
            file.parent
            for file in self.s3_root.rglob("config")
            if any((file.parent / name).is_file() for name in _COMPLETED_SPECS)
        )
        found = [base for base in bases if not wanted or base.name == wanted]
        if len(found) == 1:
            return found[0]
        names = ", ".join(base.name for base in bases) or "none"
        problem = f"no cluster {wanted!r}" if wanted else "not exactly one cluster"
        raise StoreError(
            f"{problem} in {self.s3_root}",
            target=str(self.path),
            evidence=f"clusters with a config and a completed spec: {names}",
        )

    def _spec_field(self, name: str) -> object:
        value = self.spec.get(name)
        if not value:
            raise StoreError(f"the completed spec has no {name}", target=str(self.path))
        return value

    def _config_base(self) -> tuple[str, str]:
        return self._s3_path(str(self._spec_field("configBase")))

    def _s3_path(self, url: str) -> tuple[str, str]:
        match = re.fullmatch(r"s3://([^/]+)(?:/(.*))?", url)
        if not match:
            raise StoreError(f"{url!r} is not an s3:// URL", target=str(self.path))
        return match[1], match[2] or ""

    @property
    def _pki(self) -> Path:
        key_store = self.spec.get("keyStore")
        if not key_store:
            return self._base / "pki"
        return self.s3_root / self._s3_path(str(key_store))[1]

    def _key_pair(self, names: tuple[str, ...]) -> KeyPair:
        for name in names:
            file = self._pki / "private" / name / "keyset.yaml"
            if file.is_file():
                return self._primary(name, file)
        raise StoreError(
            f"the store has no keyset {' or '.join(names)}",
            target=str(self._pki / "private"),
        )

    def _primary(self, name: str, file: Path) -> KeyPair:
        spec = self._yaml_object(file).get("spec") or {}
        keys = {
            str(key["id"]): key
            for key in spec.get("keys") or []
            if not key.get("distrustTimestamp")
        }
        numbered = sorted((key for key in keys if key.isdigit()), key=int)
        primary = str(spec.get("primaryId") or "")
        chosen = primary if primary in keys else (numbered[-1] if numbered else "")
        if not chosen:
            raise StoreError(f"{file} has no trusted key", target=str(file))
        private = _decoded(keys[chosen].get("privateMaterial"), file)
        public = _decoded(keys[chosen].get("publicMaterial"), file)
        issued = self._pki / "issued" / name / f"{chosen}.crt"
        if not public and issued.is_file():
            # Before kops 1.22 the certificate may be in pki/issued only.
            public = issued.read_text()
        if not private or not public:
            raise StoreError(f"key {chosen} in {file} is not complete", target=str(file))
        return KeyPair(certificate_pem=public, private_key_pem=private)

    def _yaml_object(self, file: Path) -> Document:
        try:
            document = yaml.load(file.read_bytes(), Loader=_Loader)
        except yaml.YAMLError as exc:
            raise StoreError(
                f"{file} is no YAML", target=str(self.path), evidence=str(exc)
            ) from exc
        if not isinstance(document, dict):
            raise StoreError(f"{file} holds no YAML object", target=str(self.path))
        return document


def _decoded(material: object, file: Path) -> str:
    try:
        return base64.b64decode(str(material or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise StoreError(f"{file} holds key material that is no base64 PEM") from exc
