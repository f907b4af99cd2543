"""YAML that remembers where everything stood, so that a fault can name its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

Location = tuple[str | int, ...]
"""Where a value is in the document, for instance ``("pools", 0, "count")``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with the configuration. ``line`` and ``column`` count from 1."""

    where: str
    """File, environment variable or flag."""
    path: str
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = f"{self.where}:{self.line}:{self.column}" if self.line else self.where
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class _Loader(yaml.SafeLoader):
    """YAML as in JSON: no dates, since none of our settings is one."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Source:
    """A parsed file: its data, its faults as YAML, and the place of every value."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.data: dict[str, object] = {}
        self.faults: list[Fault] = []
        self._root: yaml.Node | None = None
        self._visited: set[int] = set()
        self._parse(text)

    def _parse(self, text: str) -> None:
        try:
            loader = _Loader(text)
            self._root = loader.get_single_node()
            if self._root:
                # Before construction, which resolves merge keys and so makes duplicates.
                self.faults.extend(self._duplicates(self._root, ()))
            data = loader.construct_document(self._root) if self._root else {}
        except yaml.MarkedYAMLError as exc:
            self.faults.append(self._syntax_fault(exc))
            return
        except yaml.YAMLError as exc:
            self.faults.append(Fault(where=self.name, path="", message=f"no YAML: {exc}"))
            return
        if isinstance(data, dict):
            self.data = {str(key): value for key, value in data.items()}
        else:
            self.faults.append(self.fault((), "must be a map of settings"))

    def _syntax_fault(self, error: yaml.MarkedYAMLError) -> Fault:
        mark = error.problem_mark or error.context_mark
        return Fault(
            where=self.name,
            path="",
            message=f"no YAML: {error.problem or error.context}",
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
        )

    @property
    def is_broken(self) -> bool:
        """Tell whether there is no data to look at; duplicate keys still leave some."""
        return any(not fault.path for fault in self.faults)

    def line(self, location: Location) -> int | None:
        """Return the line of a value, None when the file does not give it."""
        mark, is_exact = _mark(self._root, location)
        return mark.line + 1 if mark and is_exact else None

    def fault(self, location: Location, message: str) -> Fault:
        """Make a fault of a value of this file."""
        mark, _ = _mark(self._root, location)
        return Fault(
            where=self.name,
            path=spell(location),
            message=message,
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
        )

    def _duplicates(self, node: yaml.Node, path: Location) -> Iterator[Fault]:
        """Find keys that a map has twice; YAML would silently keep the last."""
        if id(node) in self._visited:  # an alias
            return
        self._visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                yield from self._duplicates(value, (*path, index))
        if not isinstance(node, yaml.MappingNode):
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield Fault(
                    where=self.name,
                    path=spell((*path, name)),
                    message="given twice",
                    line=key.start_mark.line + 1,
                    column=key.start_mark.column + 1,
                )
            seen.add(name)
            yield from self._duplicates(value, (*path, name))


def spell(path: Sequence[str | int]) -> str:
    """Write a path as people do: ``pools[0].count``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _mark(node: yaml.Node | None, location: Location) -> tuple[yaml.Mark | None, bool]:
    """Find where a value stands; False when only something around it exists."""
    if node is None:
        return None, False
    mark: yaml.Mark = node.start_mark
    for part in location:
        step = _step(node, part)
        if step is None:
            return mark, False
        mark, node = step
    return mark, True


def _step(node: yaml.Node, part: str | int) -> tuple[yaml.Mark, yaml.Node] | None:
    """Go one part down; a value of a map stands where its key is."""
    if isinstance(node, yaml.MappingNode):
        pairs = [(key, value) for key, value in node.value if key.value == str(part)]
        return (pairs[-1][0].start_mark, pairs[-1][1]) if pairs else None
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark, node.value[part]
    return None
