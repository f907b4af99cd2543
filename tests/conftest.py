"""What holds for every test: no network beyond this machine, nothing of the user's environment."""

from __future__ import annotations

import ipaddress
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_FOREIGN = ("AWS_", "KOPS_", "BOOTSTRAP_", "KUBECONFIG", "NO_COLOR", "FORCE_COLOR", "ANSIBLE_")
_guard = {"on": False}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--live", action="store_true", help="run the tests that need a real AWS account"
    )


def pytest_configure(config: pytest.Config) -> None:
    _guard["on"] = not config.getoption("--live")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--live"):
        skip = pytest.mark.skip(reason="needs a real AWS account: --live")
        for item in items:
            if "live" in item.keywords:
                item.add_marker(skip)


def _stay_on_this_machine(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse connections to anything but loopback; an audit hook, since it sees every library."""
    if not _guard["on"] or event not in ("socket.connect", "socket.sendto"):
        return
    address = arguments[1]
    if not isinstance(address, tuple):  # a Unix socket
        return
    host = str(address[0]).partition("%")[0]
    if host in ("", "localhost"):
        return
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise PermissionError(f"a test may not connect to {address}")


sys.addaudithook(_stay_on_this_machine)


@pytest.fixture(scope="session", autouse=True)
def _own_environment(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hide the user's AWS, kops and cluster settings; keep state and logs out of their home.

    The folder is short, since a path of a Unix socket has to fit into 107 bytes.
    """
    if request.config.getoption("--live"):
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="bs-"))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
            patch.delenv(name)
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", str(folder / "no-aws-config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "no-aws-credentials"))
        yield
    shutil.rmtree(folder, ignore_errors=True)
