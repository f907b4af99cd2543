"""Documents as tables and sentences for people; pure functions, nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bootstrap.cli.documents import Document

Row = Sequence[str]

_COLUMN_TITLES = {
    "nodeName": "NODE",
    "instanceId": "INSTANCE",
    "privateIp": "ADDRESS",
    "kubernetesVersion": "VERSION",
    "instanceType": "TYPE",
    "instanceState": "STATE",
    "podCidr": "POD CIDR",
    "podIp": "POD IP",
    "osImage": "OS IMAGE",
}
_NODE_COLUMNS = ("name", "nodeName", "os", "pool", "ready", "kubernetesVersion", "privateIp")
_NODE_COLUMNS_WIDE = (
    *_NODE_COLUMNS,
    "instanceId",
    "instanceState",
    "instanceType",
    "zone",
    "podCidr",
    "runtime",
    "osImage",
)
_POOL_COLUMNS = ("name", "count", "nodes", "ready", "windows", "runtime", "instanceType")
_POOL_COLUMNS_WIDE = (*_POOL_COLUMNS, "spot", "configured", "labels", "taints")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a result: a table, or lines of text; ``style`` is a colour name or ''."""

    columns: Row = ()
    rows: Sequence[Row] = ()
    lines: Sequence[str] = ()
    style: str = ""


def sections(shown: Document, *, wide: bool) -> list[Section]:
    """Lay a document out for people; an unknown kind is laid out as its fields."""
    layout = _LAYOUTS.get(str(shown["kind"]), _fields)
    return layout(shown, wide)


def names(shown: Document) -> list[str]:
    """Return what ``-o name`` prints: ``node/NAME`` and the like, one a line."""
    kind = str(shown["kind"])
    if kind == "SupportMatrix":
        found = items(shown, "items")
        keys = ("kubernetes", "windows", "runtime")
        return ["/".join(_text(item[key]) for key in keys) for item in found]
    if kind in ("Plan", "FindingList"):
        key, field = ("steps", "node") if kind == "Plan" else ("findings", "name")
        return list(dict.fromkeys(_text(item[field]) for item in items(shown, key)))
    singular = {"RunResult": "node", "NodeList": "node", "PoolList": "pool"}.get(kind)
    if singular:
        entries = items(shown, "nodes" if kind == "RunResult" else "items")
        return [f"{singular}/{_name_of(entry)}" for entry in entries]
    return [f"{kind.lower()}/{_name_of(shown)}"]


def items(shown: Document, key: str) -> list[Document]:
    """Return a list of objects inside a document."""
    found = shown.get(key)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _name_of(entry: Document) -> str:
    return _text(entry.get("name") or entry.get("nodeName") or entry.get("cluster"))


def _text(value: object) -> str:
    """Say a value in a cell."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case dict():
            return ",".join(f"{key}={_text(inner)}" for key, inner in value.items()) or "-"
        case list() | tuple():
            return ",".join(_text(inner) for inner in value) or "-"
        case _:
            return str(value)


def _table(entries: Iterable[Document], columns: Sequence[str], *, style: str = "") -> Section:
    titles = [_COLUMN_TITLES.get(column, column.upper()) for column in columns]
    rows = [[_text(entry.get(column)) for column in columns] for entry in entries]
    return Section(columns=titles, rows=rows, style=style)


def _sentence(text: str, style: str = "") -> Section:
    return Section(lines=[text], style=style)


def _plan(shown: Document, wide: bool) -> list[Section]:
    findings = _findings(shown)
    if shown["empty"]:
        return [*findings, _sentence("Nothing to do.", "green")]
    columns = ("step", "node", "pool", "summary", *(("why",) if wide else ()))
    refused = any(finding["level"] == "error" for finding in items(shown, "findings"))
    hint = _sentence(
        "Nothing was changed: see the errors above."
        if refused
        else "This is a preview: nothing was changed. Add --yes to do it."
    )
    return [_table(items(shown, "steps"), columns), *findings, hint]


def _run_result(shown: Document, wide: bool) -> list[Section]:
    nodes = items(shown, "nodes")
    columns = ("name", "nodeName", "pool", "result", "ready", "phase", "seconds")
    extra = ("instanceId", "privateIp") if wide else ()
    table = [_table(nodes, (*columns, *extra))] if nodes else []
    errors = [error for node in nodes if isinstance(error := node["error"], dict)]
    return [*table, *_finding_sections(errors), *_findings(shown)]


def _finding_list(shown: Document, wide: bool) -> list[Section]:
    checks = items(shown, "checks")
    columns = ("result", "name", "target", "reason", *(("seconds",) if wide else ()))
    table = [_table(checks, columns)] if checks else []
    verdict = _sentence("All checks passed.", "green") if shown["ok"] else None
    return [*table, *_findings(shown), *([verdict] if verdict else [])]


def _findings(shown: Document) -> list[Section]:
    return _finding_sections(items(shown, "findings"))


def _finding_sections(findings: Iterable[Document]) -> list[Section]:
    return [_finding(finding) for finding in findings]


def _finding(finding: Document) -> Section:
    """Spell a finding out: what, where, the evidence, the way out, what to type."""
    level = str(finding["level"])
    target = f" ({finding['target']})" if finding["target"] else ""
    lines = [f"{level}: {finding['name']}{target}: {finding['message']}"]
    evidence = finding["evidence"]
    if isinstance(evidence, dict):
        lines += [f"  {key}: {_text(value)}" for key, value in evidence.items()]
    lines += [f"  fix: {finding['fix']}"] if finding["fix"] else []
    lines += [f"  try: {finding['command']}"] if finding["command"] else []
    return Section(lines=lines, style={"error": "red", "warning": "yellow"}.get(level, ""))


def _node_list(shown: Document, wide: bool) -> list[Section]:
    nodes = items(shown, "items")
    if not nodes:
        return [_sentence("No nodes found.")]
    return [_table(nodes, _NODE_COLUMNS_WIDE if wide else _NODE_COLUMNS)]


def _pool_list(shown: Document, wide: bool) -> list[Section]:
    pools = items(shown, "items")
    if not pools:
        return [_sentence("No pools configured and no nodes of ours found.")]
    return [_table(pools, _POOL_COLUMNS_WIDE if wide else _POOL_COLUMNS)]


def _node(shown: Document, wide: bool) -> list[Section]:
    pods = items(shown, "pods")
    table = [_table(pods, ("namespace", "name", "phase", "ready", "podIp"))] if pods else []
    return [*_fields(shown, wide), *table, *_findings(shown)]


def _fields(shown: Document, wide: bool) -> list[Section]:
    """Lay any document out: a line per field, a block per map."""
    hidden = {"apiVersion", "kind", "tool", "findings", "pods"}
    lines: list[str] = []
    for key, value in shown.items():
        if key in hidden or (value is None and not wide):
            continue
        if isinstance(value, dict) and value:
            lines += [f"{key}:", *(f"  {name}: {_text(inner)}" for name, inner in value.items())]
        else:
            lines.append(f"{key}: {_text(value)}")
    return [Section(lines=lines)]


def _config(shown: Document, wide: bool) -> list[Section]:
    columns = ("setting", "value", *(("origin",) if wide else ()))
    return [_table(items(shown, "settings"), columns)]


def _support_matrix(shown: Document, wide: bool) -> list[Section]:
    """Lay out a line per Kubernetes and Windows, a column per runtime; wide: everything."""
    if checks := items(shown, "checks"):
        return [_table(checks, ("name", "meaning"))]
    found = items(shown, "items")
    if wide:
        columns = ("kubernetesVersion", "runtime", "link", "runtimeVersion", "cniApiVersion")
        everything = ("kubernetes", "windows", *columns, "pauseImage", "source")
        changes = _table(items(shown, "changes"), ("kubernetes", "what", "source"))
        return [_table(found, everything), changes]
    runtimes = sorted({_text(item["runtime"]) for item in found})
    rows: dict[tuple[str, str], Document] = {}
    for item in found:
        place = (_text(item["kubernetes"]), _text(item["windows"]))
        row = rows.setdefault(
            place, {key: item[key] for key in ("kubernetes", "windows", "documented")}
        )
        row[_text(item["runtime"])] = _runtime_cell(item)
    return [_table(rows.values(), ("kubernetes", "windows", "documented", *runtimes))]


def _runtime_cell(item: Document) -> str:
    own = item["ownArtifacts"]
    cell = str(item["runtimeVersion"] or "yours")
    if item["link"] == "cri-dockerd":
        is_own = isinstance(own, list) and "cri-dockerd" in own
        cell += " + cri-dockerd" + (" (yours)" if is_own else "")
    return cell


def _bundle(shown: Document, wide: bool) -> list[Section]:
    missing = items(shown, "missing")
    files = shown["files"]
    table = [_table(missing, ("source", "reason"), style="yellow")] if missing else []
    listed = [Section(lines=[str(name) for name in files])] if isinstance(files, list) else []
    lines = [
        f"Bundle of {shown['node']}: {shown['path']}",
        f"{shown['redactions']} secrets were masked; look through it before you pass it on.",
    ]
    return [*(listed if wide else []), *table, *_findings(shown), Section(lines=lines)]


def _lock(shown: Document, wide: bool) -> list[Section]:
    if not shown["present"]:
        return [_sentence("Nobody holds the lock.", "green")]
    state = "held by a living run" if shown["held"] else "left behind by a run that has ended"
    hint = _sentence("Released." if shown["released"] else f"The lock is {state}.")
    return [*_fields(shown, wide), hint]


def _version(shown: Document, wide: bool) -> list[Section]:
    lines = [f"bootstrap {shown['version']}"]
    components = shown["components"]
    if wide and isinstance(components, dict):
        lines += [f"python {shown['python']}"]
        lines += [f"{name} {version}" for name, version in components.items()]
    return [Section(lines=lines)]


_LAYOUTS: dict[str, Callable[[Document, bool], list[Section]]] = {
    "Plan": _plan,
    "RunResult": _run_result,
    "FindingList": _finding_list,
    "NodeList": _node_list,
    "PoolList": _pool_list,
    "Node": _node,
    "Bundle": _bundle,
    "Config": _config,
    "SupportMatrix": _support_matrix,
    "Lock": _lock,
    "Version": _version,
}
