"""The folder of one run: credentials, Ansible's configuration and temporary files; goes with it.

It is in memory where /dev/shm is there. Processes are found again by it: each has the folder's
configuration in its environment, and Ansible's workers lead sessions of their own, so that no
signal to the process group of ansible-playbook reaches them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bootstrap.model.host import HostTarget, PlaybookHost, PlaybookRun
from bootstrap.model.secret import Secret

PREFIX = "bootstrap-playbook-"
OPERATION_TIMEOUT_S = 60
READ_TIMEOUT_S = 90
_KILL_TRIES = 40
_KILL_PAUSE_S = 0.05
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own, 0700, is made in it
_PROCESSES = Path("/proc")
_CHILD = Path(__file__).with_name("child.py")
_OWNER = "owner"

# Whatever the user has set for other playbooks is not ours; what ansible-runner sets stays.
_SET_BY_RUNNER = frozenset(
    {
        "ANSIBLE_CALLBACK_PLUGINS",
        "ANSIBLE_STDOUT_CALLBACK",
        "ANSIBLE_RETRY_FILES_ENABLED",
        "ANSIBLE_HOST_KEY_CHECKING",
    }
)
_ENVIRONMENT = {
    "ANSIBLE_RETRY_FILES_ENABLED": "False",
    "ANSIBLE_NOCOLOR": "True",
    "ANSIBLE_GATHERING": "explicit",
    "ANSIBLE_DEPRECATION_WARNINGS": "False",
    "PYTHONWARNINGS": "ignore",
}
# How often ansible-runner asks whether to stop: its own 5 s are long after Ctrl-C.
_RUNNER_SETTINGS = "pexpect_timeout: 1\n"


class RunFolder:
    """A folder, 0700, that belongs to one run of this process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, identity: str) -> RunFolder:
        """Make the folder of a new run; ``identity`` is this process's."""
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_root()))
        (path / _OWNER).write_text(identity, encoding="ascii")
        folder = cls(path)
        folder._configure()
        return folder

    def _configure(self) -> None:
        collections = _collections()
        found = f"collections_path = {collections}\n" if collections else ""
        self._config.write_text(f"[defaults]\n{found}", encoding="utf-8")
        settings = self.path / "env" / "settings"
        settings.parent.mkdir()
        settings.write_text(_RUNNER_SETTINGS, encoding="ascii")
        foreign = ",".join(sorted(name for name in os.environ if _is_foreign(name)))
        # -P: the modules beside the script are no modules for Ansible.
        line = [sys.executable, "-P", str(_CHILD), str(os.getpid()), foreign]
        child = self.path / "ansible-playbook"
        child.write_text(f'#!/bin/sh\nexec {shlex.join(line)} "$@"\n', encoding="utf-8")
        child.chmod(stat.S_IRWXU)

    @property
    def _config(self) -> Path:
        return self.path / "ansible.cfg"

    @property
    def inventory(self) -> Path:
        """The inventory, which alone holds secrets."""
        return self.path / "hosts.json"

    def write_inventory(self, run: PlaybookRun) -> None:
        """Write the hosts with their variables, Secrets revealed, and their certificates."""
        hosts = {host.target.node: self._host(host) for host in run.hosts}
        self.inventory.touch(mode=0o600)
        text = json.dumps({"all": {"hosts": hosts}}, default=_revealed)
        self.inventory.write_text(text, encoding="utf-8")

    def _host(self, host: PlaybookHost) -> dict[str, object]:
        certificate = self.path / f"{host.target.node}.pem"
        certificate.write_text(host.target.ca_pem, encoding="ascii")
        return {**host.variables, **_connection(host.target, certificate)}

    def environment(self) -> dict[str, str]:
        """Return what the child's environment has beyond ours; our ansible-playbook comes first.

        Ansible's home is the folder, so that plug-ins of the user's are not found and temporary
        files go with it.
        """
        path = f"{self.path}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        own = {
            "ANSIBLE_CONFIG": str(self._config),
            "ANSIBLE_HOME": str(self.path / "home"),
            "PATH": path,
        }
        return _ENVIRONMENT | own

    def log(self) -> bytes:
        """Return what Ansible has printed so far."""
        return b"".join(file.read_bytes() for file in self.path.glob("artifacts/*/stdout"))

    def kill(self) -> None:
        """End every process of the run; a worker may be forked while others are being killed."""
        for _ in range(_KILL_TRIES):
            left = list(self._processes())
            if not left:
                return
            for process in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(_KILL_PAUSE_S)

    def _processes(self) -> Iterator[int]:
        mark = f"ANSIBLE_CONFIG={self._config}".encode()
        for environment in _PROCESSES.glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in environment.read_bytes().split(b"\0"):
                    yield int(environment.parent.name)

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)


def sweep(is_alive: Callable[[str], bool]) -> None:
    """Clear up after runs whose process is gone, by the identity that each left in its folder."""
    for path in _root().glob(f"{PREFIX}*"):
        try:
            owner = (path / _OWNER).read_text(encoding="ascii")
            is_ours = path.stat().st_uid == os.getuid()
        except OSError:
            continue
        if is_ours and not is_alive(owner):
            folder = RunFolder(path)
            folder.kill()
            folder.remove()


def _root() -> Path:
    return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def _collections() -> str:
    """Return where the collections are that were installed with us, '' when there are none."""
    found = importlib.util.find_spec("ansible_collections")
    places = list(found.submodule_search_locations or ()) if found else []
    return str(Path(places[0]).parent) if places else ""


def _is_foreign(name: str) -> bool:
    own = _SET_BY_RUNNER | _ENVIRONMENT.keys() | {"ANSIBLE_CONFIG", "ANSIBLE_HOME"}
    return name.startswith("ANSIBLE_") and name not in own


def _connection(target: HostTarget, certificate: Path) -> dict[str, object]:
    return {
        "ansible_connection": "winrm",
        "ansible_shell_type": "powershell",
        "ansible_host": target.host,
        "ansible_port": target.port,
        "ansible_user": target.user,
        "ansible_password": target.password.reveal(),
        "ansible_winrm_scheme": "https",
        "ansible_winrm_transport": "ntlm",
        "ansible_winrm_server_cert_validation": "validate",
        "ansible_winrm_ca_trust_path": str(certificate),
        # None is "no proxy"; without it pywinrm takes one from the environment.
        "ansible_winrm_proxy": None,
        "ansible_winrm_operation_timeout_sec": OPERATION_TIMEOUT_S,
        "ansible_winrm_read_timeout_sec": READ_TIMEOUT_S,
    }


def _revealed(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a host variable holds a {type(value).__name__}")
