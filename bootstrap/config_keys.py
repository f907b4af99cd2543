"""The keys that the config file knows: for environment variables, and for "did you mean"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import get_args

from bootstrap.config_file import Block, ConfigFile
from bootstrap.config_source import Location

_FIXED = ("apiVersion", "kind")
_POOL_FLAGS = {
    "name": "--pool",
    "subnets": "--subnet",
    "labels": "--label",
    "taints": "--taint",
    "rootVolume": "--root-volume-gb",
}
"""Flags that are not called as the key is."""


def scalars(
    block: type[Block] = ConfigFile, location: Location = ()
) -> Iterator[tuple[Location, type | None]]:
    """Yield every setting outside lists with its type; None where it is not a plain one."""
    for name, field in block.model_fields.items():
        key = (*location, field.alias or name)
        inner = _block_in(field.annotation)
        if inner and isinstance(field.annotation, type):
            yield from scalars(inner, key)
        elif not inner and key[-1] not in _FIXED:
            yield key, field.annotation if isinstance(field.annotation, type) else None


def nearest(location: Location) -> str | None:
    """Find the known key that an unknown one was probably meant to be."""
    known = known_keys(location[:-1])
    wanted = str(location[-1])
    folded = {_fold(key): key for key in known}
    near = difflib.get_close_matches(_fold(wanted), folded, n=1)
    return folded[near[0]] if near else None


def known_keys(location: Location) -> tuple[str, ...]:
    """List the keys of the block at a place of the file; empty where there is no block."""
    block: type[Block] | None = ConfigFile
    for part in location:
        if isinstance(part, int) or block is None:
            continue
        fields = {field.alias or name: field for name, field in block.model_fields.items()}
        block = _block_in(fields[part].annotation) if part in fields else None
    return tuple(f.alias or n for n, f in block.model_fields.items()) if block else ()


def environment_variable(location: Location) -> str:
    """Name the variable: ``limits.maxUnavailable`` is BOOTSTRAP_LIMITS_MAX_UNAVAILABLE."""
    return "BOOTSTRAP_" + "_".join(_words(str(part), "_").upper() for part in location)


def flag(location: Location) -> str:
    """Name the flag of a setting: ``instanceType`` is ``--instance-type``."""
    return "--" + _words(str(location[-1]), "-")


def pool_flag(location: Location) -> str:
    """Name the flag of ``add-node`` that sets a key of a pool."""
    return _POOL_FLAGS.get(str(location[0])) or flag(location[:1])


def _words(name: str, separator: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", separator, name).lower()


def _fold(name: str) -> str:
    """Make spellings of one key alike: instance_type, instance-type, InstanceType."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _block_in(annotation: object) -> type[Block] | None:
    """Find the block that a field holds, itself or in a list."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Block):
            return candidate
    return None
