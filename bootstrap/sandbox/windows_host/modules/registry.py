"""``ansible.windows.win_regedit`` of 3.3, by its own source: keys and values of the registry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments, Refused
from bootstrap.sandbox.windows_host.state import RegistryValue

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_KNOWN = ("path", "name", "data", "type", "state", "delete_key", "hive")
_ALIASES = {"key": "path", "entry": "name", "value": "name", "datatype": "type"}
_TYPES = ("none", "binary", "dword", "expandstring", "multistring", "string", "qword")
_POWERSHELL_PATH = re.compile(r"HK(CC|CR|CU|LM|U):\\", re.IGNORECASE)
_LARGEST = {"dword": 0xFFFFFFFF, "qword": 0xFFFFFFFFFFFFFFFF}


def win_regedit(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Set or remove a value, make or remove a key."""
    arguments = Arguments(given, _KNOWN, "ansible.windows.win_regedit", aliases=_ALIASES)
    path = str(arguments.required("path"))
    arguments.only_default({"hive": None})
    kind = arguments.choice("type", _TYPES, "string")
    state = arguments.choice("state", ("present", "absent"), "present")
    if not _POWERSHELL_PATH.match(path):
        raise Refused(
            f"path: {path} is not a valid powershell path, see module documentation for examples."
        )
    key, name = path.rstrip("\\").lower(), arguments.text("name").lower()
    with host.state.lock:
        if state == "absent":
            whole = not name and arguments.flag("delete_key", True)
            changed = _remove_key(host, key, check) if whole else _remove(host, key, name, check)
            return {"changed": changed, "data_changed": False, "data_type_changed": False}
        # The default value of a key is always a string, and there is none unless it is given.
        kind = kind if name else "string"
        wanted = _value(arguments.get("data"), kind, named=bool(name))
        return _set(host, key, name, wanted, check)


def _remove_key(host: WindowsHost, key: str, check: bool) -> bool:
    doomed = [k for k in host.state.registry if k == key or k.startswith(f"{key}\\")]
    if not check:
        for item in doomed:
            del host.state.registry[item]
    return bool(doomed)


def _remove(host: WindowsHost, key: str, name: str, check: bool) -> bool:
    values = host.state.registry.get(key, {})
    is_there = name in values
    if is_there and not check:
        del values[name]
    return is_there


def _set(
    host: WindowsHost, key: str, name: str, wanted: RegistryValue | None, check: bool
) -> dict[str, Any]:
    is_new_key = not _has_key(host, key)
    old = host.state.registry.get(key, {}).get(name)
    changed = is_new_key or (wanted is not None and wanted != old)
    if changed and not check:
        values = host.state.registry.setdefault(key, {})
        if wanted is not None:
            values[name] = wanted
    result = {"changed": changed, "data_changed": False, "data_type_changed": False}
    if old is not None and wanted is not None:
        result["data_changed"] = old.data != wanted.data
        result["data_type_changed"] = old.kind != wanted.kind
    return result


def _has_key(host: WindowsHost, key: str) -> bool:
    return any(known == key or known.startswith(f"{key}\\") for known in host.state.registry)


def _value(data: Any, kind: str, *, named: bool) -> RegistryValue | None:
    match kind:
        case "dword" | "qword":
            return RegistryValue(kind=kind, data=_whole_number(data, kind))
        case "binary" | "none":
            return RegistryValue(kind=kind, data=_bytes(data))
        case "multistring":
            items = data if isinstance(data, list) else [] if data is None else [data]
            return RegistryValue(kind=kind, data=tuple(str(item) for item in items))
        case _:
            if data is None and not named:
                return None
            return RegistryValue(kind=kind, data="" if data is None else str(data))


def _whole_number(data: Any, kind: str) -> int:
    if isinstance(data, float) and data % 1:
        raise Refused(
            f"data '{data}' cannot be a decimal or float value with a remainder when type is"
            " dword or qword"
        )
    try:
        number = int(data, 0) if isinstance(data, str) else int(data or 0)
    except ValueError as exc:
        raise Refused(
            "Unhandled exception while executing module: Cannot convert value"
            f' "{data}" to type "System.UInt64".'
        ) from exc
    if number > _LARGEST[kind]:
        raise Refused(f"data cannot be larger than {_LARGEST[kind]:#x} when type is {kind}")
    return number & _LARGEST[kind]


def _bytes(data: Any) -> bytes:
    """Read bytes as a list of numbers, or as hex digits like those of an exported ``.reg`` file."""
    if isinstance(data, int):
        if data > 255:
            raise Refused(
                f"cannot convert binary data '{data}' to byte array, please specify this value as a"
                " yaml byte array or a comma separated hex value string"
            )
        return bytes([data])
    try:
        if isinstance(data, list):
            return bytes(int(item) for item in data)
        text = str(data or "").lower().removeprefix("hex:")
        parts = [part for part in re.split(r"[,:]+", re.sub(r"[^a-f0-9,:]", "", text)) if part]
        if len(parts) == 1:
            return bytes.fromhex(parts[0].zfill(2))
        return bytes(int(part, 16) for part in parts)
    except ValueError as exc:
        raise Refused(f"Unhandled exception while executing module: {exc}") from exc
