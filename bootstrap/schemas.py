"""JSON schemas of the documents that commands print; what scripts may rely on.

Objects are open: a field may be added at any time, so a reader must ignore what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from bootstrap.model.event import NodeOutcome, Phase, PhaseResult
from bootstrap.model.finding import CheckResult, Level
from bootstrap.model.runtimes import Link

Schema = dict[str, object]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_BOOL: Schema = {"type": "boolean"}
_MAYBE_BOOL: Schema = {"type": ["boolean", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
_SECONDS: Schema = {"type": "number", "minimum": 0}
_TIME: Schema = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_TEXT_MAP: Schema = {"type": "object", "additionalProperties": _TEXT}


def _object(properties: Mapping[str, Schema], *, optional: Mapping[str, Schema] = {}) -> Schema:
    """Describe an object; ``properties`` are always there, ``optional`` ones may be."""
    return {
        "type": "object",
        "properties": {**properties, **optional},
        "required": list(properties),
    }


def _list(entry: Schema) -> Schema:
    return {"type": "array", "items": entry}


def _enum(values: type[Level] | type[CheckResult] | type[Phase] | type[PhaseResult]) -> Schema:
    return {"enum": [value.value for value in values]}


_FINDING = _object(
    {
        "level": _enum(Level),
        "name": {"type": "string", "pattern": "^[A-Z][A-Za-z0-9]+$"},
        "target": _TEXT,
        "message": _TEXT,
        "evidence": {"type": "object"},
        "fix": _MAYBE_TEXT,
        "command": _MAYBE_TEXT,
    }
)

_CHECK = _object(
    {
        "name": _TEXT,
        "result": _enum(CheckResult),
        "seconds": _SECONDS,
        "target": _TEXT,
        "reason": _TEXT,
    }
)

_STEP = _object(
    {
        "step": {"enum": ["LaunchInstance", "StartInstance", "JoinNode"]},
        "node": _TEXT,
        "pool": _TEXT,
        "why": _TEXT,
        "summary": _TEXT,
    },
    optional={
        "instanceType": _TEXT,
        "imageId": _TEXT,
        "imageName": _TEXT,
        "subnet": _TEXT,
        "zone": _TEXT,
        "rootVolume": _object({"sizeGb": _COUNT, "type": _TEXT, "encrypted": _BOOL}),
        "spot": _BOOL,
        "publicIp": _BOOL,
        "securityGroups": _TEXTS,
        "instanceProfile": _TEXT,
        "tags": _TEXT_MAP,
        "instanceId": _TEXT,
        "windows": _TEXT,
        "runtime": _TEXT,
        "kubernetesVersion": _TEXT,
        "labels": _TEXT_MAP,
        "taints": _TEXTS,
        "specHash": _TEXT,
    },
)

_NODE_RESULT = _object(
    {
        "name": _TEXT,
        "nodeName": _MAYBE_TEXT,
        "instanceId": _MAYBE_TEXT,
        "privateIp": _MAYBE_TEXT,
        "pool": _TEXT,
        "phase": _enum(Phase),
        "ready": _BOOL,
        "result": {"enum": [outcome.value for outcome in NodeOutcome]},
        "seconds": _SECONDS,
        "phases": _list(
            _object({"phase": _enum(Phase), "seconds": _SECONDS, "result": _enum(PhaseResult)})
        ),
        "error": {"anyOf": [_FINDING, {"type": "null"}]},
        "exitCode": _COUNT,
    }
)

_NODE: dict[str, Schema] = {
    "name": _MAYBE_TEXT,
    "pool": _MAYBE_TEXT,
    "owned": _BOOL,
    "nodeName": _MAYBE_TEXT,
    "os": {"enum": ["windows", "linux"]},
    "ready": _BOOL,
    "schedulable": _BOOL,
    "kubernetesVersion": _MAYBE_TEXT,
    "runtime": _MAYBE_TEXT,
    "osImage": _MAYBE_TEXT,
    "podCidr": _MAYBE_TEXT,
    "providerId": _MAYBE_TEXT,
    "taints": _TEXTS,
    "registeredAt": _MAYBE_TIME,
    "instanceId": _MAYBE_TEXT,
    "instanceState": _MAYBE_TEXT,
    "instanceType": _MAYBE_TEXT,
    "zone": _MAYBE_TEXT,
    "subnetId": _MAYBE_TEXT,
    "privateIp": _MAYBE_TEXT,
}

_POD = _object(
    {
        "namespace": _TEXT,
        "name": _TEXT,
        "phase": _TEXT,
        "ready": _BOOL,
        "reason": _MAYBE_TEXT,
        "podIp": _MAYBE_TEXT,
    }
)

_NODE_DETAILS: dict[str, Schema] = {
    "labels": _TEXT_MAP,
    "annotations": _TEXT_MAP,
    "conditions": _TEXT_MAP,
    "kubeProxyVersion": _MAYBE_TEXT,
    "tags": _TEXT_MAP,
    "imageId": _MAYBE_TEXT,
    "stateReason": _MAYBE_TEXT,
    "launchedAt": _MAYBE_TIME,
    "pods": _list(_POD),
    "findings": _list(_FINDING),
}

_POOL = _object(
    {
        "name": _TEXT,
        "configured": _BOOL,
        "count": _MAYBE_COUNT,
        "nodes": _COUNT,
        "ready": _COUNT,
        "windows": _MAYBE_TEXT,
        "runtime": _MAYBE_TEXT,
        "instanceType": _MAYBE_TEXT,
        "spot": _MAYBE_BOOL,
        "labels": _TEXT_MAP,
        "taints": _TEXTS,
    }
)

_COMBINATION = _object(
    {
        "kubernetes": _TEXT,
        "kubernetesVersion": _MAYBE_TEXT,
        "windows": _TEXT,
        "documented": _BOOL,
        "runtime": _TEXT,
        "auto": _BOOL,
        "link": {"enum": [link.value for link in Link]},
        "runtimeVersion": _MAYBE_TEXT,
        "ownArtifacts": _TEXTS,
        "cniApiVersion": _COUNT,
        "pauseImage": _TEXT,
        "source": _TEXT,
    }
)

_ERROR = _object(
    {
        "type": _TEXT,
        "message": _TEXT,
        "target": _MAYBE_TEXT,
        "evidence": _MAYBE_TEXT,
        "fix": _MAYBE_TEXT,
        "command": _MAYBE_TEXT,
    }
)

_SETTING = _object({"setting": _TEXT, "value": {}, "origin": _TEXT})

_FIELDS: dict[str, dict[str, Schema]] = {
    "Plan": {
        "empty": _BOOL,
        "steps": _list(_STEP),
        "unchanged": _TEXTS,
        "findings": _list(_FINDING),
    },
    "RunResult": {
        "runId": _TEXT,
        "command": _TEXT,
        "startedAt": _TIME,
        "finishedAt": _TIME,
        "exitCode": _COUNT,
        "nodes": _list(_NODE_RESULT),
        "findings": _list(_FINDING),
    },
    "FindingList": {"ok": _BOOL, "findings": _list(_FINDING), "checks": _list(_CHECK)},
    "NodeList": {"items": _list(_object(_NODE))},
    "Node": _NODE | _NODE_DETAILS,
    "PoolList": {"items": _list(_POOL)},
    "SupportMatrix": {
        "items": _list(_COMBINATION),
        "releases": _list(
            _object(
                {
                    "windows": _TEXT,
                    "build": _COUNT,
                    "kubernetesFrom": _TEXT,
                    "documentedUntil": _TEXT,
                    "source": _TEXT,
                }
            )
        ),
        "changes": _list(_object({"kubernetes": _TEXT, "what": _TEXT, "source": _TEXT})),
        "checks": _list(_object({"name": _TEXT, "meaning": _TEXT})),
    },
    "Version": {"version": _TEXT, "python": _TEXT, "components": _TEXT_MAP},
    "Sandbox": {
        "state": _TEXT,
        "env": _TEXT_MAP,
        "kubeconfig": _TEXT,
        "endpoints": _TEXT_MAP,
        "pid": _COUNT,
    },
    "Bundle": {
        "node": _TEXT,
        "path": _TEXT,
        "files": _TEXTS,
        "missing": _list(_object({"source": _TEXT, "reason": _TEXT})),
        "redactions": _COUNT,
        "findings": _list(_FINDING),
    },
    "Lock": {
        "present": _BOOL,
        "held": _BOOL,
        "released": _BOOL,
        "holder": _MAYBE_TEXT,
        "host": _MAYBE_TEXT,
        "process": _MAYBE_TEXT,
        "runId": _MAYBE_TEXT,
        "acquiredAt": _MAYBE_TIME,
        "renewedAt": _MAYBE_TIME,
        "endsAt": _MAYBE_TIME,
        "ageSeconds": {"type": ["number", "null"]},
    },
    "Config": {"config": {"type": "object"}, "settings": _list(_SETTING)},
    "Error": {"error": _ERROR, "exitCode": _COUNT},
}

KINDS = tuple(_FIELDS)


def schema_of(kind: str) -> Schema:
    """Return the JSON schema of a document; KeyError for an unknown kind."""
    head: dict[str, Schema] = {
        "apiVersion": {"const": "bootstrap/v1"},
        "kind": {"const": kind},
        "cluster": _MAYBE_TEXT,
        "tool": _object({"version": _TEXT}),
    }
    return {"$schema": DIALECT, "title": kind, **_object(head | _FIELDS[kind])}
