"""Command lines as Windows and Go read them: an agent is started from its service's ImagePath.

Splitting: CommandLineToArgvW (Microsoft, "Parsing C++ command-line arguments"). Flags: kubelet and
kube-proxy use spf13/pflag, flanneld and kube-log-runner Go's ``flag``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence


def split_command_line(text: str) -> list[str]:
    """Split a command line as Windows does: quotes group, backslashes are literal."""
    arguments: list[str] = []
    current = ""
    is_quoted = is_started = False
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\\":
            taken, emitted, is_quote = _backslashes(text, position)
            position += taken
            current += emitted
            is_started = True
            if is_quote:
                is_quoted = not is_quoted
            continue
        if char == '"':
            is_quoted, is_started = not is_quoted, True
        elif char in " \t" and not is_quoted:
            if is_started:
                arguments.append(current)
            current, is_started = "", False
        else:
            current, is_started = current + char, True
        position += 1
    return [*arguments, current] if is_started else arguments


def _backslashes(text: str, position: int) -> tuple[int, str, bool]:
    count = len(text) - position - len(text[position:].lstrip("\\"))
    if text[position + count : position + count + 1] != '"':
        return count, "\\" * count, False
    # 2n backslashes and a quote: n backslashes, the quote groups. 2n+1: n and a literal quote.
    half, odd = divmod(count, 2)
    return count + 1, "\\" * half + ('"' if odd else ""), not odd


def words(text: str) -> frozenset[str]:
    """Return the words of a text, for tables of names."""
    return frozenset(text.split())


class FlagError(Exception):
    """A flag that the program does not know, or that lacks its value; text as Go's libraries."""


def parse_pflags(
    arguments: Sequence[str], *, known: Collection[str], booleans: Collection[str]
) -> dict[str, str]:
    """Read ``--name=value``, ``--name value`` and ``--boolean``; FlagError as pflag words it."""
    return _parse(arguments, known, booleans, _pflag_name)


def parse_go_flags(
    arguments: Sequence[str], *, known: Collection[str], booleans: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """Read Go's own flags (one dash or two) up to the first other argument; flags and the rest."""
    flags: list[str] = []
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "--"):
        flags.append(rest.pop(0))
        name = flags[-1].lstrip("-").split("=")[0]
        if "=" not in flags[-1] and name in known and name not in booleans and rest:
            flags.append(rest.pop(0))
    return _parse(flags, known, booleans, _go_name), rest


def _pflag_name(argument: str) -> str:
    if not argument.startswith("--"):
        if argument.startswith("-") and len(argument) > 1:
            raise FlagError(f"unknown shorthand flag: {argument[1]!r} in {argument}")
        raise FlagError(f'unknown command "{argument}"')
    return argument[2:]


def _go_name(argument: str) -> str:
    return argument.lstrip("-")


def _parse(
    arguments: Sequence[str],
    known: Collection[str],
    booleans: Collection[str],
    name_of: Callable[[str], str],
) -> dict[str, str]:
    values: dict[str, str] = {}
    is_go = name_of is _go_name
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, has_value, value = name_of(argument).partition("=")
        if name not in known:
            raise FlagError(
                f"flag provided but not defined: -{name}" if is_go else f"unknown flag: --{name}"
            )
        if not has_value and name in booleans:
            value = "true"
        elif not has_value:
            if not rest:
                raise FlagError(f"flag needs an argument: {'-' if is_go else '--'}{name}")
            value = rest.pop(0)
        values[name] = value
    return values
