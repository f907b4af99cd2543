"""The user data of a node: the script that opens WinRM, and nothing else. Pure."""

from __future__ import annotations

# https://docs.aws.amazon.com/AWSEC2/latest/WindowsGuide/user-data.html
MAX_BYTES = 16 * 1024


def user_data(script: str) -> str:
    """Wrap a PowerShell script for EC2Launch; ValueError when EC2 would refuse its size.

    It is the same for every node and holds no secret: whoever may describe an instance can read it.
    """
    text = f"<powershell>\n{script.strip()}\n</powershell>\n"
    if len(text.encode()) > MAX_BYTES:
        raise ValueError(f"user data is longer than EC2's {MAX_BYTES} bytes")
    return text
