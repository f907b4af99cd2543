"""Arguments of a module, checked as Ansible's ``Ansible.Basic`` does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Refused(Exception):
    """A module's arguments are wrong, or ask for what is not imitated."""


class Arguments:
    """What a module was given, without Ansible's own keys; unknown ones are refused."""

    def __init__(self, given: dict[str, Any], known: Iterable[str], module: str) -> None:
        self._values = {
            key: value
            for key, value in given.items()
            if not key.startswith("_ansible") and value is not None
        }
        self._module = module
        unknown = sorted(set(self._values) - set(known))
        if unknown:
            # The words of Ansible.Basic.cs.
            supported = ", ".join(sorted(known))
            raise Refused(
                f"Unsupported parameters for ({module}) module: {', '.join(unknown)}."
                f" Supported parameters include: {supported}"
            )

    def required(self, name: str) -> Any:
        """Return a value that has to be there."""
        if name not in self._values:
            raise Refused(f"missing required arguments: {name}")
        return self._values[name]

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
        text = str(value).lower()
        if text in ("yes", "true", "on", "1"):
            return True
        if text in ("no", "false", "off", "0"):
            return False
        raise Refused(
            f"argument for {name} is of type System.String and we were unable to convert"
            f" to bool: {value}"
        )

    def choice(self, name: str, choices: Iterable[str], default: str) -> str:
        """Return one of some values."""
        value = self.text(name, default)
        if value not in choices:
            listed = ", ".join(choices)
            raise Refused(f"value of {name} must be one of: {listed}. Got no match for: {value}")
        return value

    def names(self, name: str) -> list[str]:
        """Return a list of texts; a text is split at commas, as Ansible does."""
        value = self._values.get(name)
        if value is None:
            return []
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return [str(item) for item in value]
