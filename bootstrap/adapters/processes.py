"""Processes of this machine, by /proc where there is one."""

from __future__ import annotations

import os
import socket
from pathlib import Path


class LocalProcesses:
    """Implement ``ports.ProcessTable``; an identity is ``<pid>.<start time in clock ticks>``."""

    def host(self) -> str:
        """Return the host name with the boot id, so that a reboot ends every lock of before."""
        boot = Path("/proc/sys/kernel/random/boot_id")
        suffix = boot.read_text(encoding="ascii").strip()[:8] if boot.exists() else ""
        return f"{socket.gethostname()}-{suffix}" if suffix else socket.gethostname()

    def me(self) -> str:
        """Return the identity of this process."""
        return f"{os.getpid()}.{_started(os.getpid())}"

    def is_alive(self, identity: str) -> bool:
        """Tell whether the process with that identity still runs."""
        pid, _, started = identity.partition(".")
        if not pid.isdigit():
            return False
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _started(int(pid)) == started


def _started(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat")
    try:
        # The command may hold spaces and brackets; the fields after its last bracket do not.
        fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
