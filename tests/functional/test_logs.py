"""``logs`` on a node as it is when somebody needs them."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bootstrap.planning.node_state import SECTIONS
from tests.functional.conftest import Sandbox, joins

POOL = "looked-at"
NODE = f"{POOL}-1"


@pytest.fixture(scope="module")
def joined(ready: Sandbox) -> Sandbox:
    """The sandbox with a node."""
    joins(ready, POOL)
    return ready


def unpacked(path: Path) -> Mapping[str, bytes]:
    """Return the files of a bundle without its own folder."""
    with tarfile.open(path) as archive:
        found = {entry.name: archive.extractfile(entry) for entry in archive}
        return {name.partition("/")[2]: file.read() for name, file in found.items() if file}


def index_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return ``bundle.json``, whose checksums are those of the files."""
    index: dict[str, Any] = json.loads(files["bundle.json"])
    for name, entry in index["files"].items():
        assert hashlib.sha256(files[name]).hexdigest() == entry["sha256"]
    return index


def test_a_healthy_node_gives_every_section(joined: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    done = joined.run("logs", NODE, "--to", str(path), "-o", "json")
    assert done.code == 0, done.err
    assert (done.document["missing"], done.document["findings"]) == ([], [])
    files = unpacked(path)
    assert sorted(files) == done.document["files"]
    sections = {name for name in SECTIONS if name != "logs"}
    assert {f"node/{name}.json" for name in sections} <= set(files)
    assert {"logs/kubelet.log", "logs/kube-proxy.log", "logs/flanneld.log"} <= set(files)
    assert set(index_of(files)["files"]) == set(files) - {"bundle.json"}
    assert b"PRIVATE KEY" not in b"".join(files.values())


def test_a_file_that_exists_is_not_written_over(joined: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    path.write_text("mine")
    done = joined.run("logs", NODE, "--to", str(path))
    assert (done.code, path.read_text()) == (64, "mine")
    assert "exists" in done.err


def test_a_wrong_name_is_answered_with_the_nearest(joined: Sandbox, tmp_path: Path) -> None:
    done = joined.run("logs", f"{POOL}-l", "--to", str(tmp_path / "x.zip"))
    assert done.code == 64
    assert f"did you mean '{NODE}'" in done.err


def test_without_the_private_key_there_is_what_ec2_and_kubernetes_say(
    joined: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "x.tgz"
    env = {"BOOTSTRAP_PRIVATE_KEY": ""}
    done = joined.run("logs", NODE, "--to", str(path), "-o", "json", env=env)
    assert done.code == 77
    (missing,) = done.document["missing"]
    assert missing["source"] == "node"
    assert sorted(unpacked(path)) == ["bundle.json", "cluster/node.json", "ec2/console.txt"]


def test_a_node_that_left_kubernetes_is_still_read_by_its_instance_id(
    joined: Sandbox, tmp_path: Path
) -> None:
    (instance,) = joined.living(POOL)
    shown = joined.run("describe", "node", NODE, "-o", "json").document
    joined.api().delete(f"/api/v1/nodes/{shown['nodeName']}")
    path = tmp_path / "x.tar.gz"
    done = joined.run("logs", instance["InstanceId"], "--to", str(path), "-o", "json")
    assert (done.code, done.document["missing"]) == (0, []), done.err
    files = unpacked(path)
    assert json.loads(files["cluster/node.json"])["instanceId"] == instance["InstanceId"]
    assert files["logs/kubelet.log"]
