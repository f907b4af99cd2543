"""What a console says of a host that does not answer."""

from __future__ import annotations

import pytest

from bootstrap.model.host import FINGERPRINT_MARK
from bootstrap.planning import console

READY = "RDPCERTIFICATE-THUMBPRINT: AA\nMessage: Windows is Ready to use\n"
SHOWN = f"{READY}{FINGERPRINT_MARK} {'A' * 64}\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "BootNotFinished"),
        ("SeaBIOS\n", "BootNotFinished"),
        (READY, "UserDataNotRun"),
        (f"{READY}{FINGERPRINT_MARK} broken\n", "UserDataNotRun"),
        (SHOWN, "WinRmUnreachable"),
    ],
)
def test_how_far_the_first_boot_came_names_the_cause(text: str, name: str) -> None:
    found = console.silence(text, instance_id="i-1")
    assert found.name == name
    assert found.evidence and found.fix
    assert "i-1" in found.command


def test_the_last_fingerprint_counts() -> None:
    assert console.fingerprint(f"{SHOWN}{FINGERPRINT_MARK} {'b' * 64}\n") == "b" * 64
    assert console.fingerprint(READY) is None


def test_the_tail_is_one_line() -> None:
    assert console.tail("\n".join("abcdefg")) == "c | d | e | f | g"
