"""User data, as EC2Launch takes it."""

from __future__ import annotations

import pytest

from bootstrap.planning.userdata import MAX_BYTES, user_data
from bootstrap.resources import data_path


def test_script_stands_between_the_tags_that_ec2launch_looks_for() -> None:
    assert user_data("\nGet-Date\n\n") == "<powershell>\nGet-Date\n</powershell>\n"


def test_script_that_ships_fits() -> None:
    script = (data_path("scripts") / "Enable-WinRmTls.ps1").read_text(encoding="utf-8")
    assert len(user_data(script).encode()) <= MAX_BYTES


def test_script_that_ec2_would_refuse_is_refused() -> None:
    with pytest.raises(ValueError, match="16384 bytes"):
        user_data("ü" * (MAX_BYTES // 2))
