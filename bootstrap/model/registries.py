"""How a node reaches the registries of container images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryMirror:
    """Places that are asked for a registry's images before the registry itself; https only."""

    registry: str
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registries:
    """Mirrors, proxy ('' for none), and the CA certificates (PEM) of the mirrors."""

    mirrors: tuple[RegistryMirror, ...] = ()
    proxy: str = ""
    no_proxy: tuple[str, ...] = ()
    ca_pem: str = ""


DIRECT = Registries()
