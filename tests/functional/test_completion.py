"""``bootstrap completion``: scripts for three shells, and the answers they ask for."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from bootstrap.cli import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(capsys, tmp_path, shell: str) -> None:
    assert main.run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_BOOTSTRAP_COMPLETE" in script
    if shutil.which(shell):
        path = tmp_path / "script"
        path.write_text(script, encoding="utf-8")
        ended = subprocess.run([shell, "-n", path], capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "cursor", "expected"),
    [
        ("bootstrap ver", "1", "version"),
        ("bootstrap version --out", "2", "--output"),
        ("bootstrap version -o js", "3", "json"),
        ("bootstrap config va", "2", "validate"),
    ],
)
def test_the_shell_is_told_what_could_come_next(
    capsys, monkeypatch: pytest.MonkeyPatch, words: str, cursor: str, expected: str
) -> None:
    monkeypatch.setenv("_BOOTSTRAP_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", cursor)
    assert main.run([]) == 0
    assert f"plain,{expected}" in capsys.readouterr().out.splitlines()
