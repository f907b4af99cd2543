"""ansible-playbook as a child that never outlives us; run as a script, by its path.

``child.py PARENT NAMES ...``: PARENT is the process to die with, NAMES are variables of the
environment to forget, joined by commas; the rest goes to ansible-playbook. Where the system can
(Linux), the kernel kills this process when PARENT ends, however it ends, and each of Ansible's
workers when this process ends: they lead sessions of their own, so nothing else would reach them.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; at once when it has ended already.

    SIGKILL, since a worker may be waiting for a host for ever.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(1)


def main(arguments: list[str]) -> None:
    """Become ansible-playbook."""
    parent, names, *rest = arguments
    die_with(int(parent))
    forking = [os.getpid()]
    os.register_at_fork(
        before=lambda: forking.__setitem__(0, os.getpid()),
        after_in_child=lambda: die_with(forking[0]),
    )
    for name in filter(None, names.split(",")):
        os.environ.pop(name, None)
    sys.argv = ["ansible", "playbook", *rest]
    runpy.run_module("ansible", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
