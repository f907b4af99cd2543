"""WS-Management messages as WinRM speaks them: requests read, answers and faults written.

Only what a remote shell needs: MS-WSMV sections 3.1.4.1 (Create, Delete) and 3.1.4.11-14 (Command,
Send, Receive, Signal). Fault codes: https://learn.microsoft.com/windows/win32/winrm/error-codes
"""

from __future__ import annotations

import base64
import re
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.sax.saxutils import escape

SHELL_URI = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
_SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
CREATE, DELETE = f"{_TRANSFER}/Create", f"{_TRANSFER}/Delete"
COMMAND, SEND, RECEIVE, SIGNAL = (
    f"{_SHELL}/{verb}" for verb in ("Command", "Send", "Receive", "Signal")
)
DONE = f"{_SHELL}/CommandState/Done"
RUNNING = f"{_SHELL}/CommandState/Running"
_NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "rsp": _SHELL,
}
_ENVELOPE = (
    '<s:Envelope xml:lang="en-US" xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer"'
    ' xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"'
    ' xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell">'
    "<s:Header><a:Action>{action}</a:Action><a:MessageID>uuid:{id}</a:MessageID>"
    "<a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>"
    "<a:RelatesTo>{relates_to}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
)


@dataclass(frozen=True, slots=True)
class FaultCode:
    """A fault of WinRM: its code, its subcode's name, its text."""

    code: int
    subcode: str
    text: str


TIMED_OUT = FaultCode(
    2150858793,
    "w:TimedOut",
    "The WS-Management service cannot complete the operation within the time specified in"
    " OperationTimeout.",
)
UNKNOWN_SHELL = FaultCode(
    2150858843,
    "w:InvalidSelectors",
    "The request for the Windows Remote Shell with ShellId failed because the shell was not found"
    " on the server. Possible causes are: the specified ShellId is incorrect or the shell no longer"
    " exists on the server.",
)
TOO_MANY_SHELLS = FaultCode(
    2150859173,
    "w:QuotaLimit",
    "This user is allowed a maximum number of 30 concurrent shells, which has been exceeded. Close"
    " existing shells or raise the quota for this user.",
)
UNSUPPORTED = FaultCode(
    2150858811,
    "a:ActionNotSupported",
    "The action is not supported by the service.",
)


class MalformedMessage(ValueError):
    """What came is no WS-Management message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One message of a client."""

    action: str
    message_id: str
    resource: str
    shell_id: str
    timeout_s: float
    body: ET.Element

    def text(self, path: str) -> str:
        """Return the text of an element of the body, '' when there is none."""
        found = self.body.find(path, _NAMESPACES)
        return (found.text or "") if found is not None else ""

    def attribute(self, path: str, name: str) -> str:
        """Return an attribute of an element of the body."""
        found = self.body.find(path, _NAMESPACES)
        return found.get(name, "") if found is not None else ""

    def arguments(self) -> str:
        """Return a command line's arguments, joined."""
        found = self.body.findall("rsp:CommandLine/rsp:Arguments", _NAMESPACES)
        return " ".join(item.text or "" for item in found)

    def stdin(self) -> tuple[bytes, bool]:
        """Return the bytes of a Send and whether they are the last."""
        stream = self.body.find("rsp:Send/rsp:Stream", _NAMESPACES)
        if stream is None:
            return b"", False
        return base64.b64decode(stream.text or ""), stream.get("End", "").lower() == "true"


def parse(data: bytes) -> Request:
    """Read a message; MalformedMessage when it is none."""
    try:
        root = ET.fromstring(data)
    except ET.ParseError as exc:
        raise MalformedMessage(str(exc)) from exc
    header, body = root.find("s:Header", _NAMESPACES), root.find("s:Body", _NAMESPACES)
    if header is None:
        raise MalformedMessage("no header")

    def text(path: str) -> str:
        found = header.find(path, _NAMESPACES)
        return (found.text or "") if found is not None else ""

    selector = header.find("w:SelectorSet/w:Selector[@Name='ShellId']", _NAMESPACES)
    return Request(
        action=text("a:Action"),
        message_id=text("a:MessageID"),
        resource=text("w:ResourceURI"),
        shell_id=(selector.text or "") if selector is not None else "",
        timeout_s=_seconds(text("w:OperationTimeout")),
        body=body if body is not None else ET.Element("Body"),
    )


def _seconds(duration: str) -> float:
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", duration)
    if not found:
        return 60.0
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def answer(request: Request, body: str) -> bytes:
    """Write the answer to a message."""
    return _ENVELOPE.format(
        action=f"{request.action}Response",
        id=uuid.uuid4(),
        relates_to=escape(request.message_id),
        body=body,
    ).encode()


def fault(request: Request | None, kind: FaultCode) -> bytes:
    """Write a fault."""
    body = (
        "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode>"
        f"<s:Value>{kind.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{escape(kind.text)}</s:Text></s:Reason>'
        '<s:Detail><f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"'
        f' Code="{kind.code}" Machine="localhost"><f:Message>{escape(kind.text)}</f:Message>'
        "</f:WSManFault></s:Detail></s:Fault>"
    )
    return _ENVELOPE.format(
        action="http://schemas.dmtf.org/wbem/wsman/1/wsman/fault",
        id=uuid.uuid4(),
        relates_to=escape(request.message_id) if request else "",
        body=body,
    ).encode()


def created(request: Request, shell_id: str) -> bytes:
    """Answer Create."""
    return answer(
        request,
        f"<rsp:Shell><rsp:ShellId>{shell_id}</rsp:ShellId></rsp:Shell><x:ResourceCreated><a:Address>"
        "http://localhost:5986/wsman</a:Address><a:ReferenceParameters>"
        f"<w:ResourceURI>{SHELL_URI}</w:ResourceURI><w:SelectorSet>"
        f'<w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet>'
        "</a:ReferenceParameters></x:ResourceCreated>",
    )


def started(request: Request, command_id: str) -> bytes:
    """Answer Command."""
    body = f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>"
    return answer(request, body)


def received(
    request: Request, command_id: str, streams: dict[str, bytes], exit_code: int | None
) -> bytes:
    """Answer Receive with output, and with the exit code once the command has ended."""
    parts = [
        f'<rsp:Stream Name="{name}" CommandId="{command_id}">'
        f"{base64.b64encode(data).decode()}</rsp:Stream>"
        for name, data in streams.items()
        if data
    ]
    if exit_code is None:
        parts.append(f'<rsp:CommandState CommandId="{command_id}" State="{RUNNING}"/>')
    else:
        parts += [
            f'<rsp:Stream Name="{name}" CommandId="{command_id}" End="true"/>'
            for name in ("stdout", "stderr")
        ]
        parts.append(
            f'<rsp:CommandState CommandId="{command_id}" State="{DONE}">'
            f"<rsp:ExitCode>{exit_code}</rsp:ExitCode></rsp:CommandState>"
        )
    return answer(request, f"<rsp:ReceiveResponse>{''.join(parts)}</rsp:ReceiveResponse>")
