"""``win_environment`` and ``win_path`` of ansible.windows 3.3, by their own source.

Only the machine's variables are kept: those of a process end with the module, and the tool's user
has none that anybody reads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bootstrap.sandbox.windows_host.modules.arguments import Arguments, Refused

if TYPE_CHECKING:
    from bootstrap.sandbox.windows_host.host import WindowsHost

_ELEMENT = re.compile(r'(\s*"[^"]+"\s*|[^;]+)(?:;|$)')


def win_environment(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Set or remove the machine's variables."""
    known = ("name", "level", "state", "value", "variables")
    arguments = Arguments(given, known, "ansible.windows.win_environment")
    arguments.required("level")
    for other in ("name", "value", "state"):
        arguments.exclusive("variables", other)
    arguments.one_of("name", "variables")
    level = arguments.choice("level", ("machine", "process", "user"), "")
    state = arguments.choice("state", ("absent", "present"), "")
    if level != "machine":
        raise Refused(f"sandbox: variables of the level {level} are not imitated")
    wanted = arguments.get("variables") or {arguments.text("name"): arguments.get("value")}
    result: dict[str, Any] = {"changed": False, "values": {}}
    for name, value in wanted.items():
        before = _get(host, str(name))
        after = _after(value, state)
        changed = before != after
        if changed and not check:
            put(host, str(name), after)
        result["changed"] = result["changed"] or changed
        result["values"][name] = {"before": before, "after": after, "changed": changed}
        result |= {"before_value": before, "value": after}
    return result | {"env_values": result["values"]}


def _after(value: object, state: str) -> str | None:
    text = "" if value is None else str(value)
    if state == "present" and not text:
        raise Refused(
            "When state=present, value must be defined and not an empty string, if you wish to"
            " remove the envvar, set state=absent"
        )
    return None if state == "absent" or not text else text


def _get(host: WindowsHost, name: str) -> str | None:
    with host.state.lock:
        for known, value in host.state.environment.items():
            if known.lower() == name.lower():
                return value
    return None


def put(host: WindowsHost, name: str, value: str | None) -> None:
    """Set a variable of the machine, or remove it; names are compared without case."""
    with host.state.lock:
        environment = host.state.environment
        key = next((known for known in environment if known.lower() == name.lower()), name)
        if value is None:
            environment.pop(key, None)
        else:
            environment[key] = value


def win_path(host: WindowsHost, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Add folders at the end of a search path, in the order given, or remove them."""
    known = ("elements", "name", "scope", "state")
    arguments = Arguments(given, known, "ansible.windows.win_path")
    arguments.required("elements")
    state = arguments.choice("state", ("absent", "present"), "present")
    if arguments.choice("scope", ("machine", "user"), "machine") != "machine":
        raise Refused("sandbox: variables of the scope user are not imitated")
    name = arguments.text("name", "PATH")
    before = _ELEMENT.findall(_get(host, name) or "")
    named = arguments.names("elements")
    after = _added(before, named) if state == "present" else _without(before, named)
    if after != before and not check:
        put(host, name, ";".join(after))
    return {"changed": after != before, "path_value": ";".join(after)}


def _added(before: list[str], named: list[str]) -> list[str]:
    after, last = list(before), -1
    for element in named:
        index = next((i for i, item in enumerate(after) if _same(item) == _same(element)), -1)
        if 0 <= index < last:
            del after[index]
        if index == -1 or index < last:
            after.append(element)
            index = len(after) - 1
        last = index
    return after


def _without(before: list[str], named: list[str]) -> list[str]:
    doomed = {_same(element) for element in named}
    return [item for item in before if _same(item) not in doomed]


def _same(element: str) -> str:
    return element.strip('"').strip("\\").lower()
