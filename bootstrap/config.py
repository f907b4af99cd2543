"""The configuration: flags, environment, file and defaults become one frozen ``Settings``.

Precedence: flag > ``BOOTSTRAP_*`` environment > file > kops' own variables > default. Every fault
is found before anything is said, each with its place and the nearest known key. The format itself
is in ``config_file``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bootstrap import config_keys
from bootstrap.config_file import (
    API_VERSION,
    KIND,
    Artifacts,
    ConfigFile,
    Credentials,
    Limits,
    PoolBlock,
    Reach,
    RegistriesBlock,
    Timeouts,
)
from bootstrap.config_source import Fault, Location, Source, spell
from bootstrap.config_values import MEANINGS
from bootstrap.errors import UsageError
from bootstrap.model.node import PoolSpec

KOPS_VARIABLES = {"cluster": "KOPS_CLUSTER_NAME", "state": "KOPS_STATE_STORE"}
DEFAULT_ORIGIN = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that is configured, validated; '' means "not given" for texts."""

    cluster: str = ""
    state: str = ""
    region: str = ""
    pools: tuple[PoolSpec, ...] = ()
    limits: Limits = field(default_factory=Limits)
    reach: Reach = field(default_factory=Reach)
    artifacts: Artifacts = field(default_factory=Artifacts)
    registries: RegistriesBlock = field(default_factory=RegistriesBlock)
    credentials: Credentials = field(default_factory=Credentials)
    timeouts: Timeouts = field(default_factory=Timeouts)

    def pool(self, name: str) -> PoolSpec | None:
        """Find a configured pool."""
        return next((pool for pool in self.pools if pool.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings, and where each value came from."""

    settings: Settings
    document: ConfigFile
    source: Source
    origins: Mapping[str, str]
    """Values from outside the file: their path -> ``--state``, ``KOPS_STATE_STORE``."""

    def origin(self, location: Location) -> str:
        """Say where a value came from: flag, variable, ``FILE:LINE``, or ``default``."""
        if outside := self.origins.get(spell(location)):
            return outside
        line = self.source.line(location)
        return f"{self.source.name}:{line}" if line else DEFAULT_ORIGIN


class ConfigError(UsageError):
    """The configuration has faults; all of them are here."""

    def __init__(self, faults: list[Fault]) -> None:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(
            f"the configuration has {count}",
            evidence="\n".join(str(fault) for fault in faults),
            command="bootstrap config schema",
        )
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """Where single values come from that are not in the file."""

    location: Location
    value: object
    origin: str
    is_fallback: bool = False


def load(path: Path | None, *, flags: Mapping[str, str], environ: Mapping[str, str]) -> Loaded:
    """Merge and validate; ConfigError lists every fault.

    ``flags`` are settings by their path (``region``, ``limits.maxUnavailable``).
    """
    source = Source(_read(path), str(path)) if path else Source("", "defaults")
    data = dict(source.data) if path else {"apiVersion": API_VERSION, "kind": KIND}
    origins: dict[str, str] = {}
    for layer in _layers(flags, environ):
        if not (layer.is_fallback and _has(data, layer.location)):
            data = _with(data, layer.location, layer.value)
            origins[spell(layer.location)] = layer.origin
    document, faults = (None, []) if source.is_broken else _validate(data, source, origins)
    faults = sorted([*source.faults, *faults], key=lambda fault: fault.line or 0)
    if document is None or faults:
        raise ConfigError(faults)
    settings = _settings(document)
    return Loaded(settings=settings, document=document, source=source, origins=origins)


def require(loaded: Loaded, *names: str) -> Loaded:
    """Demand settings that have no default; ConfigError names every way to give them."""
    missing = [name for name in names if not getattr(loaded.settings, name)]
    if missing:
        raise ConfigError([_missing(name) for name in missing])
    return loaded


def pool_with(settings: Settings, name: str, flags: Mapping[str, object]) -> PoolSpec:
    """Return a pool changed by flags (keys as in the file), held to the rules of the file.

    A pool that the file lacks gets the defaults; maps (labels, rootVolume) are merged.
    ConfigError names the flag of each fault.
    """
    pool = settings.pool(name) or PoolSpec(name=name)
    data = PoolBlock.fields_of(pool)
    for key, value in flags.items():
        before = data.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            data[key] = {**before, **value}
        else:
            data[key] = value
    try:
        block = PoolBlock.model_validate_json(json.dumps(data), by_alias=True, by_name=False)
    except ValidationError as exc:
        faults = [
            Fault(where=config_keys.pool_flag(detail["loc"]), path="", message=_say(detail))
            for detail in exc.errors(include_url=False)
        ]
        raise ConfigError(faults) from exc
    return block.spec()


def json_schema() -> dict[str, object]:
    """Return the JSON schema of the config file."""
    schema: dict[str, object] = ConfigFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise UsageError(
            f"no config file {path}", command=f"bootstrap config init --config {path}"
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot read {path}: {exc}") from exc


def _layers(flags: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[_Layer]:
    """Yield values outside the file, the strongest last."""
    for name, variable in KOPS_VARIABLES.items():
        if text := environ.get(variable):
            yield _Layer(location=(name,), value=text, origin=variable, is_fallback=True)
    for location, kind in config_keys.scalars():
        variable = config_keys.environment_variable(location)
        if text := environ.get(variable):
            value = _parsed(text) if kind in (int, bool) else text
            yield _Layer(location=location, value=value, origin=variable)
    for name, text in flags.items():
        location = tuple(name.split("."))
        yield _Layer(location=location, value=text, origin=config_keys.flag(location))


def _parsed(text: str) -> object:
    """Read a number or a truth value from the environment; anything else stays text."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _has(data: Mapping[str, object], location: Location) -> bool:
    return len(location) == 1 and data.get(str(location[0])) is not None


def _with(data: Mapping[str, object], location: Location, value: object) -> dict[str, object]:
    """Return data with one value set; a block of a wrong type is left for validation to find."""
    head, *rest = location
    if not rest:
        return {**data, str(head): value}
    inner = data.get(str(head)) or {}
    if not isinstance(inner, dict):
        return dict(data)
    return {**data, str(head): _with(inner, tuple(rest), value)}


def _validate(
    data: Mapping[str, object], source: Source, origins: Mapping[str, str]
) -> tuple[ConfigFile | None, list[Fault]]:
    """Hold data against the format; return the document or its faults, never both."""
    try:
        document = ConfigFile.model_validate_json(json.dumps(data), by_alias=True, by_name=False)
    except ValidationError as exc:
        details = exc.errors(include_url=False)
        return None, [_fault(detail, source, origins) for detail in details]
    except (TypeError, ValueError) as exc:  # what JSON cannot say: binary, a map inside itself
        return None, [source.fault((), f"holds what is no plain data: {exc}")]
    faults = list(_duplicate_pools(document, source))
    return (None, faults) if faults else (document, [])


def _fault(detail: ErrorDetails, source: Source, origins: Mapping[str, str]) -> Fault:
    """Say one fault of the format and where its value came from."""
    location = detail["loc"]
    message = _say(detail)
    origin = origins.get(spell(location))
    if origin:
        return Fault(where=origin, path="", message=message)
    return source.fault(location, message)


def _say(detail: ErrorDetails) -> str:
    """Put pydantic's complaint in our words."""
    value = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            near = config_keys.nearest(detail["loc"])
            known = ", ".join(config_keys.known_keys(detail["loc"][:-1]))
            return "unknown key; " + (f"did you mean {near!r}?" if near else f"known are: {known}")
        case "missing":
            return "missing"
        case "value_error":
            return detail["msg"].removeprefix("Value error, ")
        case "string_type" if isinstance(value, (int, float)):
            return "must be text; put it in quotes"
        case "string_pattern_mismatch":
            meaning = MEANINGS[str(detail["ctx"]["pattern"])]
            return f"must be {meaning}, not {value!r}"
        case _:
            text = detail["msg"].removeprefix("Input ").replace("should be", "must be")
            text = text.replace("should have", "must have").replace("should match", "must match")
            shown = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
            return f"{text}, not {shown}" if len(shown) < 60 else text


def _duplicate_pools(document: ConfigFile, source: Source) -> Iterator[Fault]:
    """Find pools of one name; their nodes would have the same names too."""
    first: dict[str, int] = {}
    for index, pool in enumerate(document.pools):
        if pool.name in first:
            message = f"the name {pool.name!r} is taken by pools[{first[pool.name]}]"
            yield source.fault(("pools", index, "name"), message)
        first.setdefault(pool.name, index)


def _missing(name: str) -> Fault:
    ways = f"{config_keys.flag((name,))}, {KOPS_VARIABLES[name]} or {name!r} in the config file"
    return Fault(where="configuration", path=name, message=f"missing; give it by {ways}")


def _settings(document: ConfigFile) -> Settings:
    return Settings(
        cluster=document.cluster or "",
        state=(document.state or "").rstrip("/"),
        region=document.region or "",
        pools=tuple(pool.spec() for pool in document.pools),
        limits=document.limits,
        reach=document.reach,
        artifacts=document.artifacts,
        registries=document.registries,
        credentials=document.credentials,
        timeouts=document.timeouts,
    )
