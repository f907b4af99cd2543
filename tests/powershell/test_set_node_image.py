"""Set-NodeImage: containerd and Docker are asked in their own ways, and pull what is missing."""

from __future__ import annotations

import pytest

from tests.powershell.windows_node import WindowsNode

CTR, DOCKER = r"C:\k\ctr.exe", r"C:\k\docker.exe"
CTR_SCRIPT = """
case "$*" in
  "--namespace k8s.io images list --quiet") cat "$0.has" 2>/dev/null; exit 0;;
  "--namespace k8s.io images pull --hosts-dir H bad") echo "no match for platform" >&2; exit 1;;
  "--namespace k8s.io images pull --hosts-dir"*)
    [ "$HTTPS_PROXY" = http://proxy:3128 ] || exit 8; echo "$7" >> "$0.has"; exit 0;;
esac
exit 9
"""
DOCKER_SCRIPT = """
case "$1 $2" in
  "version ") exit 0;;
  "image inspect") grep -qx "$3" "$0.has" 2>/dev/null; exit $?;;
  "pull bad") echo "no matching manifest" >&2; exit 1;;
  "pull "*) echo "$2" >> "$0.has"; exit 0;;
esac
exit 9
"""
RUNTIMES = [("containerd", CTR, CTR_SCRIPT), ("docker", DOCKER, DOCKER_SCRIPT)]


def request(runtime: str, program: str, *images: str) -> dict[str, object]:
    by_ctr = ["--namespace", "k8s.io", "images", "pull", "--hosts-dir", "H"]
    return {
        "runtime": runtime,
        "program": program,
        "pull": ["pull"] if runtime == "docker" else by_ctr,
        "environment": {"HTTPS_PROXY": "http://proxy:3128"},
        "images": list(images),
    }


@pytest.mark.parametrize(("runtime", "program", "script"), RUNTIMES)
def test_missing_images_are_pulled_once(
    node: WindowsNode, runtime: str, program: str, script: str
) -> None:
    node.program(program, script)
    wanted = request(runtime, program, "pause:3.9", "nanoserver:1809")
    planned = node.run("Set-NodeImage", wanted, "-WhatIf")
    assert planned.answer == {"changed": True, "images": ["pause:3.9", "nanoserver:1809"]}, (
        planned.error
    )
    assert node.run("Set-NodeImage", wanted).answer == planned.answer
    assert node.run("Set-NodeImage", wanted).answer == {"changed": False, "images": []}


@pytest.mark.parametrize(("runtime", "program", "script"), RUNTIMES)
def test_image_that_cannot_be_pulled_is_named(
    node: WindowsNode, runtime: str, program: str, script: str
) -> None:
    node.program(program, script)
    done = node.run("Set-NodeImage", request(runtime, program, "bad"))
    assert "WN0801 bad cannot be pulled: no match" in done.error


@pytest.mark.parametrize(("runtime", "program", "_"), RUNTIMES)
def test_runtime_that_does_not_answer_is_named(
    node: WindowsNode, runtime: str, program: str, _: str
) -> None:
    node.program(program, "echo down >&2; exit 1")
    done = node.run("Set-NodeImage", request(runtime, program, "pause:3.9"))
    assert "WN0801" in done.error
    assert "ended with 1: down" in done.error
