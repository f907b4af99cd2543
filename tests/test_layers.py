"""The import law of docs/architecture.md, module by module; a module without a floor fails."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bootstrap"


@dataclass(frozen=True, kw_only=True)
class Floor:
    """Modules that obey the same law.

    ``below`` are the floors that may be imported besides the floor itself; ``libraries`` are the
    third-party packages that may be.
    """

    modules: tuple[str, ...]
    below: tuple[str, ...] = ()
    libraries: frozenset[str] = field(default_factory=frozenset)


_BASE = ("errors", "model")
_DECIDING = (*_BASE, "ports", "config", "planning")

FLOORS = {
    "errors": Floor(modules=("bootstrap", "bootstrap.errors")),
    "model": Floor(
        modules=("bootstrap.model", "bootstrap.durations", "bootstrap.resources"),
        below=("errors",),
    ),
    "ports": Floor(modules=("bootstrap.ports",), below=_BASE),
    "config": Floor(
        modules=(
            "bootstrap.config",
            "bootstrap.config_file",
            "bootstrap.config_keys",
            "bootstrap.config_source",
            "bootstrap.config_values",
            "bootstrap.schemas",
        ),
        below=_BASE,
        libraries=frozenset({"pydantic", "pydantic_core", "yaml"}),
    ),
    "planning": Floor(
        modules=("bootstrap.planning",),
        below=(*_BASE, "ports", "config"),
        libraries=frozenset({"cryptography", "yaml"}),
    ),
    "adapters": Floor(modules=("bootstrap.adapters",), below=_DECIDING),
    "engine": Floor(modules=("bootstrap.engine",), below=_DECIDING),
    "wiring": Floor(
        modules=("bootstrap.wiring",),
        below=(*_DECIDING, "adapters", "engine"),
        libraries=frozenset({"platformdirs"}),
    ),
    "cli": Floor(
        modules=("bootstrap.cli", "bootstrap.__main__"),
        below=(*_DECIDING, "engine", "wiring"),
        libraries=frozenset({"click", "platformdirs", "rich", "yaml"}),
    ),
    "sandbox": Floor(modules=("bootstrap.sandbox",), below=_BASE),
}

# One adapter, one outside system, one library. What a library itself hands out may be named too.
ADAPTER_LIBRARIES = {
    "bootstrap.adapters.ec2": {"boto3", "botocore", "cryptography"},
    "bootstrap.adapters.state_store": {"boto3", "botocore"},
    "bootstrap.adapters.kubernetes_api": {"kubernetes", "urllib3", "cryptography", "yaml"},
    "bootstrap.adapters.winrm_shell": {"winrm", "requests", "urllib3", "cryptography"},
    "bootstrap.adapters.ssh_tunnel": {"paramiko"},
    "bootstrap.adapters.playbooks": {"ansible_runner"},
}

# The sandbox is started from here and nowhere else, so that the tool works without its extra.
SANDBOX_DOORS = {"bootstrap.cli.sandbox", "bootstrap.cli.demo"}

# Playing AWS, Windows and Kubernetes takes libraries of its own, but never those of the product.
NOT_IN_SANDBOX = {"boto3", "click", "rich", "paramiko", "winrm", "ansible_runner", "kubernetes"}


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def _floor_of(module: str) -> str | None:
    """Find the floor whose longest prefix fits; the package itself stands for nothing below it."""
    best: tuple[str, str | None] = ("", None)
    for floor, law in FLOORS.items():
        for prefix in law.modules:
            fits = module == prefix or (prefix != "bootstrap" and module.startswith(f"{prefix}."))
            if fits and len(prefix) > len(best[0]):
                best = (prefix, floor)
    return best[1]


def _imports(module: str) -> Iterator[str]:
    """Yield the full names that a module imports anywhere, also inside functions."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import in line {node.lineno}"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def _adapter_of(module: str) -> str:
    """Name the adapter that a module belongs to; an adapter may be a package."""
    return ".".join(module.split(".")[:3])


def _own(module: str) -> set[str]:
    return {name for name in _imports(module) if name.split(".")[0] == "bootstrap"}


def _libraries(module: str) -> set[str]:
    roots = {name.split(".")[0] for name in _imports(module)}
    return {root for root in roots if root not in sys.stdlib_module_names} - {"bootstrap"}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor(module: str) -> None:
    assert _floor_of(module), f"{module}: put it on a floor in {Path(__file__).name}"


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module: str) -> None:
    floor = _floor_of(module)
    assert floor
    allowed = {floor, *FLOORS[floor].below}
    if module in SANDBOX_DOORS:
        allowed.add("sandbox")
    wrong = {name for name in _own(module) if _floor_of(name) not in allowed}
    assert not wrong, f"{module} ({floor}) may not import {sorted(wrong)}"


@pytest.mark.parametrize("module", MODULES)
def test_adapters_do_not_know_their_siblings(module: str) -> None:
    if _floor_of(module) != "adapters":
        return
    adapters = {_adapter_of(name) for name in _own(module) if _floor_of(name) == "adapters"}
    siblings = adapters - {_adapter_of(module), "bootstrap.adapters"}
    assert not siblings, f"{module} may not import its siblings {sorted(siblings)}"


@pytest.mark.parametrize("module", MODULES)
def test_libraries_stay_where_they_belong(module: str) -> None:
    floor = _floor_of(module)
    assert floor
    if floor == "sandbox":
        wrong = _libraries(module) & NOT_IN_SANDBOX
    elif floor == "adapters":
        wrong = _libraries(module) - ADAPTER_LIBRARIES.get(_adapter_of(module), set())
    else:
        wrong = _libraries(module) - FLOORS[floor].libraries
    assert not wrong, f"{module} ({floor}) may not import {sorted(wrong)}"


@pytest.mark.parametrize("module", MODULES)
def test_nobody_prints_but_the_command_line(module: str) -> None:
    if _floor_of(module) == "cli":
        return
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "sys.stdout.write", "sys.stderr.write"}, (
                f"{module}: {called} in line {node.lineno}"
            )


def test_the_law_names_only_floors_and_adapters_that_exist() -> None:
    assert set(FLOORS) >= {below for law in FLOORS.values() for below in law.below}
    assert set(MODULES) >= SANDBOX_DOORS
