"""Kubernetes versions and how far a kubelet may be behind."""

from __future__ import annotations

import pytest

from bootstrap.planning.versions import kubelet_fits, minor


@pytest.mark.parametrize("text", ["1.34.5", "v1.34.5", "v1.34.5+build", "1.34"])
def test_the_minor_is_read_of_every_spelling(text: str) -> None:
    assert minor(text) == 34


@pytest.mark.parametrize("text", ["", "34", "2.1.0", "latest", "v1"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no Kubernetes version"):
        minor(text)


@pytest.mark.parametrize(
    ("kubelet", "server", "fits"),
    [
        ("1.34.5", "1.34.0", True),
        ("1.31.0", "1.34.0", True),
        ("1.30.9", "1.34.0", False),
        ("1.35.0", "1.34.9", False),
        ("1.25.0", "1.28.0", True),
        ("1.25.0", "1.27.0", True),
        ("1.24.0", "1.27.0", False),
        ("1.16.0", "1.18.0", True),
        ("1.15.0", "1.18.0", False),
    ],
)
def test_a_kubelet_is_never_newer_and_at_most_so_much_older(
    kubelet: str, server: str, fits: bool
) -> None:
    assert kubelet_fits(kubelet, server) is fits
