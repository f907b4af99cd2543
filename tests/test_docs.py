"""Documentation that is generated, or that promises something checkable."""

from __future__ import annotations

from pathlib import Path

from bootstrap.cli import docs
from bootstrap.errors import ExitCode

ROOT = Path(__file__).parents[1]


def test_the_command_reference_is_what_help_says() -> None:
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == docs.reference(), "stale: run `make docs`"


def test_contributing_fits_on_a_page() -> None:
    lines = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 60


def test_the_readme_lists_every_exit_code() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    listed = {part.strip() for row in rows for part in row.split("|")[1].split(",")}
    assert {str(int(code)) for code in ExitCode} <= listed
