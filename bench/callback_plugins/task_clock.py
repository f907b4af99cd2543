"""Ansible callback that notes when each task starts, on the clock that the hosts count with."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_clock
type: aggregate
short_description: Note when tasks start
description: Appends one JSON line for each task to the file that BENCH_TASK_CLOCK names.
requirements: [lie beside the playbook]
"""


class CallbackModule(CallbackBase):
    """Writes lines of [seconds of ``time.monotonic``, name of the task]."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_clock"
    CALLBACK_NEEDS_ENABLED = False

    def v2_playbook_on_task_start(self, task, is_conditional):
        """Note a task."""
        line = json.dumps([time.monotonic(), task.get_name()])
        with Path(os.environ["BENCH_TASK_CLOCK"]).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
