"""CHANGELOG.md keeps the form of Keep a Changelog, so that tools and people can read it."""

from __future__ import annotations

import re
from pathlib import Path

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
SECTIONS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
RELEASE = re.compile(r"## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}")


def _lines() -> list[str]:
    return CHANGELOG.read_text(encoding="utf-8").splitlines()


def test_unreleased_comes_first() -> None:
    releases = [line for line in _lines() if line.startswith("## ")]
    assert releases[0] == "## [Unreleased]"


def test_releases_have_a_version_and_a_date_and_go_down() -> None:
    releases = [line for line in _lines() if line.startswith("## ")][1:]
    matches = [RELEASE.fullmatch(line) for line in releases]
    assert all(matches), releases
    versions = [tuple(map(int, match[1].split("."))) for match in matches if match]
    assert versions == sorted(versions, reverse=True)


def test_sections_are_those_of_the_format() -> None:
    sections = [line.removeprefix("### ") for line in _lines() if line.startswith("### ")]
    assert sections and set(sections) <= set(SECTIONS)


def test_entries_are_single_sentences_of_one_line() -> None:
    entries = [line for line in _lines() if line.startswith("-")]
    assert entries
    for entry in entries:
        assert re.fullmatch(r"- \S.*\.", entry), entry
        assert len(entry) <= 120, entry
