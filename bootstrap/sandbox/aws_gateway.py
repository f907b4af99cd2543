"""Stands before moto's WSGI application: counts, breaks and orders the calls, shows consoles.

Calls are handed to moto one at a time, since its dictionaries change under whoever iterates them.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

_EC2_XML = (
    '<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>{code}</Code>'
    "<Message>{message}</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
)
_QUERY_XML = (
    '<?xml version="1.0" encoding="UTF-8"?><ErrorResponse><Error><Type>Sender</Type>'
    "<Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId>"
    "</ErrorResponse>"
)
_S3_XML = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code>'
    "<Message>{message}</Message><RequestId>{id}</RequestId></Error>"
)
_CONSOLE_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
    "<requestId>{id}</requestId><instanceId>{instance}</instanceId>"
    "<timestamp>2026-01-01T00:00:00Z</timestamp><output>{output}</output>"
    "</GetConsoleOutputResponse>"
)
_REQUEST_ID = "00000000-0000-4000-8000-000000000000"
_CONSOLE_BYTES = 64 * 1024
"""EC2 keeps the newest 64 KB, docs: AWSEC2/latest/APIReference/API_GetConsoleOutput.html"""
_REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 500: "Error", 503: "Unavailable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One AWS call: service and action (``ec2``, ``RunInstances``), and its form fields."""

    service: str
    action: str
    is_json: bool
    fields: Mapping[str, str]


@dataclass(kw_only=True)
class FaultRule:
    """Answer matching calls with an error. '' and no actions match every service and action.

    ``times`` ends the rule after so many errors. ``spare_every`` lets every n-th matching call
    through. ``code_of`` names the error differently per service.
    """

    name: str
    code: str
    message: str
    status: int = 400
    service: str = ""
    actions: frozenset[str] = frozenset()
    code_of: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None
    spare_every: int = 0
    _seen: int = 0

    def strikes(self, call: Call) -> bool:
        """Tell whether this call fails, and count it."""
        if self.service not in ("", call.service) or self.times == 0:
            return False
        if self.actions and call.action not in self.actions:
            return False
        self._seen += 1
        if self.spare_every and self._seen % self.spare_every == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


def world_fault(name: str) -> FaultRule | None:
    """Make the rule of a named fault of the sandbox, None for faults that are not AWS'.

    Codes and statuses: docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html;
    EC2 says RequestExpired where the others say ExpiredToken.
    """
    match name:
        case "capacity-error":
            return FaultRule(
                name=name,
                service="ec2",
                actions=frozenset({"RunInstances"}),
                code="InsufficientInstanceCapacity",
                message="We currently do not have sufficient capacity in the Availability Zone"
                " you requested. Our system will be working on provisioning additional capacity.",
                status=500,
            )
        case "throttling":
            return FaultRule(
                name=name,
                service="ec2",
                code="RequestLimitExceeded",
                message="Request limit exceeded.",
                status=503,
                spare_every=3,
            )
        case "expired-credentials":
            return FaultRule(
                name=name,
                code="ExpiredToken",
                message="The security token included in the request is expired",
                code_of={"ec2": "RequestExpired", "ssm": "ExpiredTokenException"},
                status=403,
            )
        case "access-denied":
            return FaultRule(
                name=name,
                service="ec2",
                actions=frozenset({"RunInstances"}),
                code="UnauthorizedOperation",
                message="You are not authorized to perform this operation.",
                status=403,
            )
        case _:
            return None


class Gateway:
    """The WSGI application that the sandbox serves."""

    def __init__(self, app: WsgiApp) -> None:
        self.lock = threading.RLock()
        self.counts: Counter[str] = Counter()
        self._app = app
        self._rules: list[FaultRule] = []
        self._consoles: dict[str, bytes] = {}

    def inject(self, rule: FaultRule) -> None:
        """Apply a rule from the next call on; an earlier one of its name goes."""
        self.withdraw(rule.name)
        with self.lock:
            self._rules.append(rule)

    def withdraw(self, name: str) -> None:
        """Take the rule of a name away; none of that name is fine."""
        with self.lock:
            self._rules = [rule for rule in self._rules if rule.name != name]

    def append_console(self, instance_id: str, text: str) -> None:
        """Write to an instance's serial console."""
        with self.lock:
            console = self._consoles.get(instance_id, b"") + text.encode()
            self._consoles[instance_id] = console[-_CONSOLE_BYTES:]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = _read_body(environ)
        call = _parse(environ, body)
        with self.lock:
            self.counts[f"{call.service}.{call.action}"] += 1
            struck = [rule for rule in self._rules if rule.strikes(call)]
            if struck:
                return _error(call, struck[0], start_response)
            if call.action == "GetConsoleOutput" and call.service == "ec2":
                instance_id = call.fields.get("InstanceId", "")
                if instance_id in self._consoles:
                    return self._console(instance_id, start_response)
            return self._forward(environ, start_response)

    def _forward(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = self._app(environ, start_response)
        try:
            return list(answer)
        finally:
            close = getattr(answer, "close", None)
            if close:
                close()

    def _console(self, instance_id: str, start_response: Any) -> Iterable[bytes]:
        output = base64.b64encode(self._consoles[instance_id]).decode()
        text = _CONSOLE_XML.format(id=_REQUEST_ID, instance=instance_id, output=output)
        return _answer(200, "text/xml", text, start_response)


def _read_body(environ: dict[str, Any]) -> bytes:
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    if length:
        body = stream.read(int(length))
    else:
        body = stream.read() if environ.get("wsgi.input_terminated") else b""
    environ["wsgi.input"] = io.BytesIO(body)
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
    return bytes(body)


_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")


def _parse(environ: Mapping[str, Any], body: bytes) -> Call:
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = scope[1] if scope else "unsigned"
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return Call(service=service, action=target.rsplit(".", 1)[-1], is_json=True, fields={})
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        parsed = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        fields = {name: values[0] for name, values in parsed.items()}
        action = fields.get("Action", "")
        return Call(service=service, action=action, is_json=False, fields=fields)
    action = f"{environ.get('REQUEST_METHOD', '')} {_shape(environ.get('PATH_INFO', ''))}"
    return Call(service=service, action=action, is_json=False, fields={})


def _shape(path: str) -> str:
    """Cut a REST path to what tells operations apart, so that counts do not grow with keys."""
    parts = [part for part in path.split("/") if part]
    return "/" + ("bucket" if len(parts) == 1 else "object" if parts else "")


def _error(call: Call, rule: FaultRule, start_response: Any) -> Iterable[bytes]:
    code = rule.code_of.get(call.service, rule.code)
    if call.is_json:
        text = json.dumps({"__type": code, "message": rule.message})
        return _answer(rule.status, "application/x-amz-json-1.1", text, start_response)
    template = {"ec2": _EC2_XML, "s3": _S3_XML}.get(call.service, _QUERY_XML)
    text = template.format(code=code, message=escape(rule.message), id=_REQUEST_ID)
    return _answer(rule.status, "text/xml", text, start_response)


def _answer(status: int, kind: str, text: str, start_response: Any) -> Iterable[bytes]:
    data = text.encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(data)))]
    start_response(f"{status} {_REASONS.get(status, 'Error')}", headers)
    return [data]
