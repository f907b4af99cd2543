"""Events of ansible-runner as ours. Every value of theirs may be missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bootstrap.model.host import PlaybookEvent, TaskFailed, TaskFinished, TaskStarted
from bootstrap.model.node import NodeName

MESSAGE_LIMIT = 1000
HIDDEN = "the task failed; what it says is hidden, since it was given credentials"

# A connection that breaks in the middle of a task is a failure for Ansible; only before it, it is
# "unreachable".
LOST_CONNECTION = re.compile(
    r"Connection aborted|RemoteDisconnected|Connection reset|Broken pipe|Max retries exceeded"
    r"|winrm connection error|winrm send_input failed|shell was not found"
)


def translate(event: Mapping[str, Any]) -> PlaybookEvent | None:
    """Turn an event of ansible-runner into ours; None for those that tell nothing new."""
    data = event.get("event_data") or {}
    node, role, task = NodeName(str(data.get("host", ""))), _text(data, "role"), _text(data, "task")
    match event.get("event"):
        case "runner_on_start":
            return TaskStarted(node=node, role=role, task=task)
        case "runner_on_ok":
            changed = bool((data.get("res") or {}).get("changed"))
            return TaskFinished(node=node, role=role, task=task, changed=changed)
        case "runner_on_skipped":
            return TaskFinished(node=node, role=role, task=task, changed=False, skipped=True)
        case "runner_on_failed" if not data.get("ignore_errors"):
            result = data.get("res") or {}
            lost = bool(LOST_CONNECTION.search(str(result.get("msg", ""))))
            return _failure(node, role, task, result, unreachable=lost)
        case "runner_on_unreachable":
            return _failure(node, role, task, data.get("res") or {}, unreachable=True)
        case _:
            return None


def _failure(
    node: NodeName, role: str, task: str, result: Mapping[str, Any], *, unreachable: bool
) -> TaskFailed:
    return TaskFailed(
        node=node,
        role=role,
        task=task,
        message=_message(result)[:MESSAGE_LIMIT],
        unreachable=unreachable,
        result={key: result[key] for key in ("msg", "rc") if key in result},
    )


def _message(result: Mapping[str, Any]) -> str:
    """Take what our script threw, the last of win_powershell's error records, else the message."""
    records = result.get("error") or ()
    texts = [str(item.get("output", "")) for item in records if isinstance(item, Mapping)]
    thrown = next((text for text in reversed(texts) if text.strip()), "")
    said = (thrown or str(result.get("msg", ""))).strip()
    return said or (HIDDEN if "censored" in result else "")


def _text(data: Mapping[str, Any], key: str) -> str:
    return str(data.get(key) or "")
