"""User data as EC2Launch treats it at a first boot.

https://docs.aws.amazon.com/AWSEC2/latest/WindowsGuide/user-data.html: at most 16 KB; PowerShell
between ``<powershell>`` tags; anything without tags is ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bootstrap.resources import data_path
from bootstrap.sandbox.windows_host.modules.powershell_module import text_hash

MAX_BYTES = 16 * 1024
_BLOCK = re.compile(r"<powershell>(.*?)</powershell>", re.DOTALL | re.IGNORECASE)
_SCRIPT = "Enable-WinRmTls.ps1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What came of the user data: whether WinRM was opened, and what EC2Launch would log."""

    opens_winrm: bool
    log: str


def launch(user_data: str) -> Launch:
    """Read user data; the only script that the sandbox can carry out is the project's own."""
    if not user_data.strip():
        return Launch(opens_winrm=False, log="Ec2Launch: no user data")
    if len(user_data.encode()) > MAX_BYTES:
        return Launch(opens_winrm=False, log="Ec2Launch: user data is longer than 16384 bytes")
    block = _BLOCK.search(user_data)
    if block is None:
        text = "Ec2Launch: unable to parse <powershell> tags: user data is not executed"
        return Launch(opens_winrm=False, log=text)
    script = (data_path("scripts") / _SCRIPT).read_text(encoding="utf-8")
    if text_hash(block[1]) != text_hash(script):
        text = f"sandbox: the user data's script is not {_SCRIPT}; it was not carried out"
        return Launch(opens_winrm=False, log=text)
    return Launch(opens_winrm=True, log="Ec2Launch: user data executed")
