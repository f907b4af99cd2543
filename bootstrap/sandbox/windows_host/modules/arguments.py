"""Arguments of a module, checked as Ansible's ``Ansible.Basic`` does, with its words.

Texts: ansible-core 2.19 ``module_utils/csharp/Ansible.Basic.cs``. Modules on the older ``Legacy``
utilities ignore parameters that they do not know; here every module refuses them, so that a
misspelt one is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_TRUE = ("y", "yes", "on", "1", "true", "t", "1.0")
_FALSE = ("n", "no", "off", "0", "false", "f", "0.0")
_TYPES = {bool: "System.Boolean", int: "System.Int32", str: "System.String"}


class Refused(Exception):
    """A module's arguments are wrong, or ask for what is not imitated."""


class Arguments:
    """What a module was given, without Ansible's own keys; unknown ones are refused."""

    def __init__(
        self,
        given: Mapping[str, Any],
        known: Iterable[str],
        module: str,
        *,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        others = aliases or {}
        known = tuple(known)
        self._values: dict[str, Any] = {}
        unknown = []
        for key, value in given.items():
            if key.startswith("_ansible") or value is None:
                continue
            if key not in known and key not in others:
                unknown.append(key)
            self._values[others.get(key, key)] = value
        if unknown:
            supported = ", ".join(sorted((*known, *others)))
            raise Refused(
                f"Unsupported parameters for ({module}) module: {', '.join(sorted(unknown))}."
                f" Supported parameters include: {supported}"
            )

    def has(self, name: str) -> bool:
        """Tell whether a parameter was given."""
        return name in self._values

    def required(self, *names: str) -> Any:
        """Return the first of some values that all have to be there."""
        missing = [name for name in names if name not in self._values]
        if missing:
            raise Refused(f"missing required arguments: {', '.join(missing)}")
        return self._values[names[0]]

    def exclusive(self, *names: str) -> None:
        """Refuse to be given more than one of some parameters."""
        if sum(name in self._values for name in names) > 1:
            raise Refused(f"parameters are mutually exclusive: {', '.join(names)}")

    def one_of(self, *names: str) -> None:
        """Refuse to be given none of some parameters."""
        if not any(name in self._values for name in names):
            raise Refused(f"one of the following is required: {', '.join(names)}")

    def only_default(self, defaults: Mapping[str, Any]) -> None:
        """Refuse parameters that the real module has and that are not imitated."""
        for name, default in defaults.items():
            if self._values.get(name, default) not in (default, str(default)):
                raise Refused(f"sandbox: the parameter {name} is not imitated")

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value."""
        return self._values.get(name, default)

    def text(self, name: str, default: str = "") -> str:
        """Return a value as text."""
        return str(self._values.get(name, default))

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a value as Ansible's bool."""
        value = self._values.get(name, default)
        if isinstance(value, bool):
            return value
        text = str(value).lower().strip()
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        listed = ", ".join((*_TRUE, *_FALSE))
        reason = f"The value '{text}' is not a valid boolean. Valid booleans include: {listed}"
        raise self._unconvertible(name, "bool", reason)

    def number(self, name: str, default: int = 0) -> int:
        """Return a value as int."""
        value = self._values.get(name, default)
        try:
            return int(value)
        except (TypeError, ValueError) as exc:
            reason = "Input string was not in a correct format."
            raise self._unconvertible(name, "int", reason) from exc

    def choice(self, name: str, choices: Iterable[str], default: str) -> str:
        """Return one of some values as ``choices`` spells it; ``default`` may be ''."""
        if name not in self._values:
            return default
        value, choices = self.text(name), tuple(choices)
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        listed = ", ".join(choices)
        raise Refused(f"value of {name} must be one of: {listed}. Got no match for: {value}")

    def names(self, name: str) -> list[str]:
        """Return a list of texts; a text is split at commas, as Ansible does."""
        value = self._values.get(name)
        if value is None:
            return []
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, Mapping):
            raise self._unconvertible(name, "list", "a dict cannot be converted to a list")
        return [str(item) for item in value] if isinstance(value, list) else [str(value)]

    def _unconvertible(self, name: str, kind: str, reason: str) -> Refused:
        shown = _TYPES.get(type(self._values.get(name)), "System.Object")
        return Refused(
            f"argument for {name} is of type {shown} and we were unable to convert to {kind}:"
            f" {reason}"
        )
