"""The report for reviewers and auditors: one page that opens offline, and the same for programs.

The page is self-contained: no request goes anywhere, and its policy forbids any. Everything that
others chose, such as names, is escaped.
"""

import html
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from string import Template
from typing import Any

from securetenant.answers import standing
from securetenant.answers.answer import FINE, FOUND, Answer, Section, Table
from securetenant.answers.checkup import Line
from securetenant.answers.places import Place
from securetenant.answers.reach import rows_about
from securetenant.answers.snapshot import Snapshot
from securetenant.api import status
from securetenant.api.objects import Body
from securetenant.checks.posture import Result, Threat

_CONDITIONS = (
    status.READY,
    status.ISOLATION_VERIFIED,
    status.NETWORK_ISOLATED,
    status.POD_SECURITY_ENFORCED,
    status.QUOTA_ENFORCED,
    status.ACCESS_SCOPED,
    status.POLICIES_IN_FORCE,
    status.NODES_DEDICATED,
    status.PIDS_LIMITED,
)
_THREATS = {
    Threat.SPOOFING: "Spoofing",
    Threat.TAMPERING: "Tampering",
    Threat.REPUDIATION: "Repudiation",
    Threat.DISCLOSURE: "Information disclosure",
    Threat.DENIAL: "Denial of service",
    Threat.ELEVATION: "Elevation of privilege",
}
_MOST_DRAWN = 40
"""With more ends than this a picture shows nothing to anybody: the table does."""
_MOST_FLOWS = 2000
_PLATFORM = "platform"
_RESULTS = (Result.FAIL, Result.UNKNOWN, Result.PASS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What the report is made from."""

    title: str
    """Which cluster: the address of its API server."""
    now: datetime
    snapshot: Snapshot
    posture: Sequence[Line]
    before: Mapping[str, Any] | None = None
    """An earlier report as JSON, to be compared with."""


def report(seen: Seen) -> Answer:
    """Answer with everything about all tenants; a fault is :data:`FOUND`."""
    tenants = [_tenant(name, body) for name, body in sorted(seen.snapshot.tenants.items())]
    flows = _flows(seen.snapshot)
    data = {
        "cluster": seen.title,
        "createdAt": seen.now.isoformat(timespec="seconds"),
        "tenants": tenants,
        "flows": flows,
        "posture": [{**each._asdict(), "result": str(each.result)} for each in seen.posture],
    }
    changes = _changes(seen.before, data) if seen.before is not None else None
    if changes is not None:
        data["changes"] = changes
    faults = [each for each in tenants if "False" in each["conditions"].values()]
    return Answer(
        kind="Report",
        data=data,
        sections=tuple(_sections(data, faults)),
        code=FOUND if faults else FINE,
    )


def _tenant(name: str, body: Body) -> dict[str, Any]:
    found = standing.conditions(body)
    spec = body.get("spec") or {}
    spaces = [str(each.get("name", "")) for each in spec.get("namespaces") or ()]
    return {
        "name": name,
        "namespaces": spaces,
        "conditions": {type: str(found[type]["status"]) for type in _CONDITIONS if type in found},
        "messages": {
            type: f"{found[type]['reason']}: {found[type]['message']}"
            for type in _CONDITIONS
            if type in found
        },
        "verifiedAt": ((body.get("status") or {}).get("isolation") or {}).get("verifiedAt", ""),
    }


def _flows(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return who can reach what, tenant by tenant: namespaces of one are one end."""
    world = snapshot.world(with_pods=False)
    found: dict[tuple[str, str], set[str]] = {}
    for tenant in sorted(snapshot.tenants):
        spaces = snapshot.of_tenant(tenant)
        if not spaces:
            continue
        place = Place(text=tenant, namespaces=spaces)
        for direction in ("Egress", "Ingress"):
            for row in rows_about(world, place, direction):
                ends = (_end(row.source, row.source_tenant), _end(row.target, row.target_tenant))
                found.setdefault(ends, set()).update(map(str, row.ports))
    return [
        {"from": source, "to": target, "on": sorted(on)}
        for (source, target), on in sorted(found.items())
    ]


def _end(text: str, tenant: str) -> str:
    if tenant:
        return tenant
    name = text.removesuffix("/*")
    return f"{_PLATFORM}: {name}" if name != text else text


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what is different from an earlier report, for people."""
    old = {str(each.get("name")): each for each in before.get("tenants") or ()}
    new = {str(each["name"]): each for each in now["tenants"]}
    told = [f"Tenant {name} is new" for name in sorted(new.keys() - old.keys())]
    told += [f"Tenant {name} is gone" for name in sorted(old.keys() - new.keys())]
    for name in sorted(old.keys() & new.keys()):
        had, has = old[name].get("conditions") or {}, new[name]["conditions"]
        told += [
            f"{name}: {type} was {had.get(type, 'absent')}, is {has.get(type, 'absent')}"
            for type in _CONDITIONS
            if had.get(type) != has.get(type)
        ]
    was, are = (
        {(each["from"], each["to"], ", ".join(each["on"])) for each in side.get("flows") or ()}
        for side in (before, now)
    )
    told += [f"Opened: {a} reaches {b} on {on}" for a, b, on in sorted(are - was)]
    told += [f"Closed: {a} reached {b} on {on}" for a, b, on in sorted(was - are)]
    return told


# --- Markdown and tables --------------------------------------------------------------------


def _sections(data: Mapping[str, Any], faults: Sequence[Any]) -> Iterable[Section]:
    yield (
        f"{len(data['tenants'])} tenants, {len(faults)} with a fault. Written at"
        f" {data['createdAt']}."
    )
    if "changes" in data:
        yield Table(
            title="Changes since the earlier report",
            columns=("What",),
            rows=tuple((each,) for each in data["changes"]),
            empty="Nothing changed.",
        )
    yield Table(
        title="Tenants and controls",
        columns=("Tenant", *_CONDITIONS),
        rows=tuple(
            (each["name"], *(each["conditions"].get(type, "-") for type in _CONDITIONS))
            for each in data["tenants"]
        ),
    )
    yield Table(
        title="Who can reach what",
        columns=("From", "To", "On"),
        rows=tuple((each["from"], each["to"], ", ".join(each["on"])) for each in data["flows"]),
        empty="Nothing flows between tenants, or to and from anybody else.",
    )
    yield Table(
        title="Posture",
        columns=("Check", "Result", "Evidence", "Sources", "STRIDE"),
        rows=tuple(
            (each["name"], each["result"], each["evidence"], each["sources"], each["threats"])
            for each in data["posture"]
        ),
    )


# --- the page -------------------------------------------------------------------------------


def page(answer: Answer) -> str:
    """Return the report as one HTML page."""
    data = answer.data
    template = resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=_text(data["cluster"]),
        when=_text(f"Written at {data['createdAt']} by securetenant report"),
        numbers=_numbers(data),
        changes=_list("Changes since the earlier report", data.get("changes")),
        columns=_cells("th", ("Tenant", *_CONDITIONS), ' scope="col"'),
        tenants="".join(map(_row, data["tenants"])),
        picture=_picture(data["flows"]),
        flows=_flow_table(data["flows"]),
        stride=_stride(data["posture"]),
        posture=_table(
            ("Check", "Result", "Evidence", "Sources", "STRIDE"),
            [
                (each["name"], each["result"], each["evidence"], each["sources"], each["threats"])
                for each in data["posture"]
                if each["result"] != str(Result.UNKNOWN)
            ],
        ),
        residual=_table(
            ("Check", "What would show it", "Sources"),
            [
                (each["name"], each["evidence"], each["sources"])
                for each in data["posture"]
                if each["result"] == str(Result.UNKNOWN)
            ],
        ),
        unseen=_list("Not seen with these rights", answer.unseen or None),
    )


def _text(words: object) -> str:
    return html.escape(str(words))


def _cells(tag: str, words: Iterable[object], attributes: str = "") -> str:
    return "".join(f"<{tag}{attributes}>{_text(each)}</{tag}>" for each in words)


def _numbers(data: Mapping[str, Any]) -> str:
    tenants = data["tenants"]
    counts = (
        ("tenants", len(tenants)),
        ("namespaces", sum(len(each["namespaces"]) for each in tenants)),
        ("ready", _count(tenants, status.READY, "True")),
        ("verified", _count(tenants, status.ISOLATION_VERIFIED, "True")),
        ("with a fault", sum("False" in each["conditions"].values() for each in tenants)),
        ("checks that fail", sum(each["result"] == "Fail" for each in data["posture"])),
    )
    return "".join(f"<li><b>{count}</b>{_text(what)}</li>" for what, count in counts)


def _count(tenants: Iterable[Mapping[str, Any]], type: str, wanted: str) -> int:
    return sum(each["conditions"].get(type) == wanted for each in tenants)


def _row(tenant: Mapping[str, Any]) -> str:
    states = " ".join(sorted(set(tenant["conditions"].values())))
    words = " ".join((tenant["name"], *tenant["namespaces"])).lower()
    found = tenant["conditions"]
    cells = "".join(
        f'<td class="{_text(found.get(type, ""))}">{_text(found.get(type, "-"))}</td>'
        for type in _CONDITIONS
    )
    told = "".join(
        f"<p><b>{_text(type)}</b> {_text(message)}</p>"
        for type, message in tenant["messages"].items()
    )
    spaces = _text(", ".join(tenant["namespaces"]))
    return (
        f'<tr data-words="{_text(words)}" data-states="{_text(states)}">'
        f'<th scope="row"><details><summary>{_text(tenant["name"])}</summary>'
        f"<p>Namespaces: {spaces}</p>{told}</details></th>{cells}</tr>"
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{_text(cell)}">{_text(cell)}</td>'
            if str(cell) in ("Fail", "Pass", "Unknown")
            else f"<td>{_text(cell)}</td>"
            for cell in row
        )
        + "</tr>"
        for row in rows
    )
    if not body:
        return '<p class="muted">None.</p>'
    head = _cells("th", columns, ' scope="col"')
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _list(title: str, lines: Iterable[str] | None) -> str:
    if lines is None:
        return ""
    items = "".join(f"<li>{_text(each)}</li>" for each in lines) or "<li>Nothing.</li>"
    return f"<section><h2>{_text(title)}</h2><ul>{items}</ul></section>"


def _stride(posture: Iterable[Mapping[str, Any]]) -> str:
    counts: dict[Threat, Counter[str]] = {each: Counter() for each in Threat}
    for line in posture:
        for letter in line["threats"]:
            counts[Threat(letter)][line["result"]] += 1
    return _table(
        ("Threat", *map(str, _RESULTS)),
        [
            (_THREATS[threat], *(found[str(result)] for result in _RESULTS))
            for threat, found in counts.items()
        ],
    )


def _flow_table(flows: Sequence[Mapping[str, Any]]) -> str:
    shown = flows[:_MOST_FLOWS]
    rows: list[Sequence[object]] = [
        (each["from"], each["to"], ", ".join(each["on"])) for each in shown
    ]
    if len(flows) > len(shown):
        rows.append((f"and {len(flows) - len(shown)} more (-o json has them)", "", ""))
    return _table(("From", "To", "On"), rows)


def _picture(flows: Sequence[Mapping[str, Any]]) -> str:
    """Draw who can reach what in a circle, while there are few enough ends."""
    ends = sorted({each[side] for each in flows for side in ("from", "to")})
    if not ends or len(ends) > _MOST_DRAWN:
        return ""
    middle, radius = 360.0, 250.0
    at = {
        name: (
            middle + radius * math.cos(2 * math.pi * number / len(ends)),
            middle + radius * math.sin(2 * math.pi * number / len(ends)),
        )
        for number, name in enumerate(ends)
    }
    lines = []
    for each in flows:
        (x1, y1), (x2, y2) = at[each["from"]], at[each["to"]]
        length = math.hypot(x2 - x1, y2 - y1) or 1.0
        x1, y1 = x1 + (x2 - x1) * 12 / length, y1 + (y2 - y1) * 12 / length
        x2, y2 = x2 - (x2 - x1) * 14 / length, y2 - (y2 - y1) * 14 / length
        told = _text(f"{each['from']} reaches {each['to']} on {', '.join(each['on'])}")
        lines.append(
            f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"'
            f' marker-end="url(#head)"><title>{told}</title></line>'
        )
    circles = []
    for name, (x, y) in at.items():
        anchor = "start" if x >= middle else "end"
        shift = 14 if x >= middle else -14
        circles.append(
            f'<circle cx="{x:.0f}" cy="{y:.0f}" r="8"/><text x="{x + shift:.0f}" y="{y + 4:.0f}"'
            f' text-anchor="{anchor}">{_text(name)}</text>'
        )
    return (
        '<svg viewBox="-220 40 1160 640" role="img" aria-label="Who can reach what: the table below'
        ' says the same"><defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5"'
        ' markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10'
        f'z"/></marker></defs>{"".join(lines)}{"".join(circles)}</svg>'
    )
