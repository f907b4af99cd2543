"""win_regedit, win_environment and win_path."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.sandbox.windows_host.host import WindowsHost
from bootstrap.sandbox.windows_host.state import RegistryValue
from tests.sandbox.windows_host.hosts import make_host
from tests.sandbox.windows_host.playing import changes, fails, play

ONCE = [True, True, False]
KEY = r"HKLM:\SOFTWARE\Test"


@pytest.fixture
def host() -> WindowsHost:
    return make_host()


@pytest.mark.parametrize(
    ("kind", "data", "kept"),
    [
        ("dword", "0x10", 16),
        ("qword", 2**40, 2**40),
        ("string", "x", "x"),
        ("expandstring", r"%TEMP%\x", r"%TEMP%\x"),
        ("multistring", ["a", "b"], ("a", "b")),
        ("binary", "hex:be,ef", b"\xbe\xef"),
        ("binary", "beef", b"\xbe\xef"),
        ("none", [1, 2], b"\x01\x02"),
    ],
)
def test_value_is_set_once(host: WindowsHost, kind: str, data: object, kept: object) -> None:
    assert changes(host, "win_regedit", path=KEY, name="v", type=kind, data=data) == ONCE
    assert host.state.registry[KEY.lower()]["v"] == RegistryValue(kind=kind, data=kept)  # type: ignore[arg-type]


def test_other_data_and_other_type_are_told_apart(host: WindowsHost) -> None:
    play(host, "win_regedit", path=KEY, name="v", type="dword", data=1)
    result = play(host, "win_regedit", path=KEY, name="V", type="qword", data=1)
    told = (result["changed"], result["data_changed"], result["data_type_changed"])
    assert told == (True, False, True)


def test_key_is_removed_with_what_is_below(host: WindowsHost) -> None:
    play(host, "win_regedit", path=rf"{KEY}\Sub", name="v", data="x")
    assert changes(host, "win_regedit", path=KEY, state="absent") == ONCE
    assert host.state.registry == {}


def test_key_stays_when_only_its_value_is_removed(host: WindowsHost) -> None:
    play(host, "win_regedit", path=KEY, name="v", data="x")
    assert changes(host, "win_regedit", path=KEY, name="v", state="absent") == ONCE
    assert host.state.registry == {KEY.lower(): {}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"path": r"HKEY_LOCAL_MACHINE\SOFTWARE"},
            r"path: HKEY_LOCAL_MACHINE\SOFTWARE is not a valid powershell path,"
            " see module documentation for examples.",
        ),
        (
            {"path": KEY, "name": "v", "type": "dword", "data": 2**32},
            "data cannot be larger than 0xffffffff when type is dword",
        ),
        (
            {"path": KEY, "name": "v", "type": "dword", "data": 1.5},
            "data '1.5' cannot be a decimal or float value with a remainder when type is dword"
            " or qword",
        ),
        (
            {"path": KEY, "name": "v", "type": "number", "data": 1},
            "value of type must be one of: none, binary, dword, expandstring, multistring, string,"
            " qword. Got no match for: number",
        ),
    ],
)
def test_regedit_refuses_what_cannot_be(
    host: WindowsHost, given: dict[str, Any], message: str
) -> None:
    assert fails(host, "win_regedit", **given) == message


def test_variable_is_set_and_removed_whatever_its_case(host: WindowsHost) -> None:
    assert changes(host, "win_environment", name="Node", value="a", level="machine") == ONCE
    gone = {"name": "NODE", "state": "absent", "level": "machine"}
    assert changes(host, "win_environment", **gone) == ONCE
    assert "Node" not in host.state.environment


def test_many_variables_are_set_at_once(host: WindowsHost) -> None:
    variables = {"A": "1", "B": "2"}
    assert changes(host, "win_environment", variables=variables, level="machine") == ONCE


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "A", "value": "1"}, "missing required arguments: level"),
        (
            {"level": "machine", "variables": {"A": "1"}, "name": "A"},
            "parameters are mutually exclusive: variables, name",
        ),
        ({"level": "machine"}, "one of the following is required: name, variables"),
        (
            {"level": "user", "name": "A", "value": "1"},
            "sandbox: variables of the level user are not imitated",
        ),
        (
            {"level": "machine", "name": "A", "value": "", "state": "present"},
            "When state=present, value must be defined and not an empty string, if you wish to"
            " remove the envvar, set state=absent",
        ),
    ],
)
def test_environment_refuses_what_cannot_be(
    host: WindowsHost, given: dict[str, Any], message: str
) -> None:
    assert fails(host, "win_environment", **given) == message


def test_folder_is_added_at_the_end_of_path_once(host: WindowsHost) -> None:
    assert changes(host, "win_path", elements=[r"C:\k"]) == ONCE
    assert play(host, "win_path", elements=["c:\\K\\"])["path_value"].endswith(r";C:\k")


def test_folder_is_removed_from_path(host: WindowsHost) -> None:
    play(host, "win_path", elements=[r"C:\k", r"C:\l"])
    assert changes(host, "win_path", elements=["c:\\K\\"], state="absent") == ONCE
    assert r"C:\k" not in host.state.environment["path"]


def test_elements_are_kept_in_the_order_given(host: WindowsHost) -> None:
    play(host, "win_path", name="LIST", elements=["a", "b"])
    assert play(host, "win_path", name="LIST", elements=["b", "a"])["path_value"] == "b;a"


def test_path_of_a_user_is_refused(host: WindowsHost) -> None:
    assert "user" in fails(host, "win_path", elements=["a"], scope="user")
    assert fails(host, "win_path") == "missing required arguments: elements"
