"""Can one reach another: by which policies on both sides, and if not, who has to declare what."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from securetenant.answers import places
from securetenant.answers.answer import FINE, FOUND, Answer, Block, Section, Table
from securetenant.answers.places import Place
from securetenant.answers.snapshot import Snapshot
from securetenant.checks import blocks, ports
from securetenant.checks.blocks import Ranges
from securetenant.checks.findings import told
from securetenant.checks.flows import End
from securetenant.checks.policies import Direction, Opener
from securetenant.checks.ports import Span, Spans
from securetenant.checks.reachability import World
from securetenant.checks.selectors import gathered, members

_PORT = re.compile(r"(?:(?P<protocol>tcp|udp|sctp)[:/])?(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?")
_LAST = 65535
_COMPUTED = (
    "Computed from the policies as they are. Whether packets are filtered depends on your network"
    " plugin; a pod's own node always reaches it."
)
_IN_PART = "Without other namespaces, which you may not list: addresses only."
_COLUMNS = ("From", "To", "On", "Egress by", "Ingress by")


class PortError(Exception):
    """A port that cannot be read; the message says how to write one."""


class Row(NamedTuple):
    """One allowed flow, each end as text."""

    source: str
    target: str
    ports: Spans
    egress: str
    """What opens it at the source; empty for addresses."""
    ingress: str
    """What opens it at the target; empty for addresses."""
    source_tenant: str = ""
    target_tenant: str = ""
    addresses: Ranges = ()
    """Those of the end that is none of pods, as far as they were asked about."""

    def cells(self) -> tuple[str, ...]:
        """Return it for a table."""
        on = ", ".join(map(str, self.ports))
        return (self.source, self.target, on, self.egress or "-", self.ingress or "-")

    def data(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "from": self.source,
            "to": self.target,
            "fromTenant": self.source_tenant,
            "toTenant": self.target_tenant,
            "ports": [
                {"protocol": each.protocol, "first": each.first, "last": each.last}
                for each in self.ports
            ],
            "egressBy": self.egress,
            "ingressBy": self.ingress,
        }


def port(text: str) -> Span:
    """Return a port such as ``443``, ``udp:53`` or ``8000-8999``; raises :class:`PortError`."""
    found = _PORT.fullmatch(text.lower())
    if found is not None:
        first = int(found["first"])
        last = int(found["last"] or first)
        if 1 <= first <= last <= _LAST:
            return Span((found["protocol"] or "tcp").upper(), first, last)
    raise PortError(f"{text} is no port. Write a number from 1 to 65535, 8000-8999, or udp:53")


def between(
    snapshot: Snapshot, source: Place, target: Place, wanted: Span | None, *, expect: bool | None
) -> Answer:
    """Answer whether one end reaches the other.

    ``expect`` says what the answer has to be; another one is :data:`FOUND`.
    """
    world = snapshot.world()
    span = (wanted,) if wanted else ports.EVERY
    rows = [
        row._replace(ports=both)
        for row in _rows(world, source, target)
        if (both := ports.common(row.ports, span))
    ]
    unclear = _unclear(snapshot, world, source, target)
    on = f" on {wanted}" if wanted else ""
    if rows and _is_partial(rows, source, target):
        headline = f"In part: {source.text} reaches some addresses of {target.text}{on}."
        if source.addresses:
            headline = f"In part: some addresses of {source.text} reach {target.text}{on}."
    elif rows:
        headline = f"Yes: {source.text} reaches {target.text}{on}."
    elif unclear:
        headline = f"Not known: whether {source.text} reaches {target.text}{on}."
    else:
        headline = f"No: {source.text} does not reach {target.text}{on}."
    sections: list[Section] = [headline]
    sections.append(Table(columns=_COLUMNS, rows=tuple(each.cells() for each in rows)))
    halves = [] if rows else _halves(world, source, target, span)
    if halves:
        sections.append(
            Table(
                columns=("Side", "Where", "Is open"),
                rows=tuple((each.side, each.where, each.by or "no") for each in halves),
            )
        )
        sections += _remedies(snapshot, halves, source, target, wanted)
    if unclear:
        sections.append(
            Table(title="Not evaluated", columns=("Where",), rows=tuple((x,) for x in unclear))
        )
    sections.append(_COMPUTED)
    answer = "Yes" if rows else "Unknown" if unclear else "No"
    is_met = expect is None or answer == ("Yes" if expect else "No")
    return Answer(
        kind="Reach",
        data={
            "from": source.text,
            "to": target.text,
            "answer": answer,
            "flows": [each.data() for each in rows],
            "halves": [each._asdict() for each in halves],
            "unclear": unclear,
        },
        sections=tuple(sections),
        code=FINE if is_met else FOUND,
    )


def about(snapshot: Snapshot, place: Place, direction: Direction) -> Answer:
    """Answer who reaches a place, or what it reaches, from everywhere."""
    rows = sorted(set(rows_about(snapshot.world(with_pods=bool(place.pod)), place, direction)))
    inward = direction == "Ingress"
    headline = (
        f"{'Who reaches' if inward else 'What is reached from'} {place.text}, of other tenants, the"
        " platform and addresses:"
    )
    return Answer(
        kind="ReachList",
        data={"place": place.text, "direction": direction, "flows": [each.data() for each in rows]},
        sections=(
            headline,
            Table(
                columns=_COLUMNS,
                rows=tuple(each.cells() for each in rows),
                empty="Nobody." if inward else "Nothing.",
            ),
            *(() if snapshot.is_whole else (_IN_PART,)),
            _COMPUTED,
        ),
    )


def mermaid(answer: Answer) -> str:
    """Return the flows of an answer as a Mermaid flowchart."""
    flows = answer.data["flows"]
    numbers = _numbered(flows)
    lines = ["flowchart LR"]
    lines += [f'  n{number}["{_entities(name)}"]' for name, number in numbers.items()]
    for edge in _edges(flows):
        source, target, on = edge
        lines.append(f'  n{numbers[source]} -->|"{_entities(on)}"| n{numbers[target]}')
    return "\n".join(lines) + "\n"


def dot(answer: Answer) -> str:
    """Return the flows of an answer in the language of Graphviz."""
    lines = ["digraph reach {", "  rankdir=LR;", "  node [shape=box];"]
    for source, target, on in _edges(answer.data["flows"]):
        lines.append(f"  {json.dumps(source)} -> {json.dumps(target)} [label={json.dumps(on)}];")
    return "\n".join([*lines, "}"]) + "\n"


def _numbered(flows: Iterable[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in flows:
        for name in (each["from"], each["to"]):
            found.setdefault(name, len(found))
    return found


def _edges(flows: Iterable[Any]) -> list[tuple[str, str, str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for each in flows:
        spans = [Span(x["protocol"], x["first"], x["last"]) for x in each["ports"]]
        found.setdefault((each["from"], each["to"]), []).extend(map(str, spans))
    return [(*ends, ", ".join(dict.fromkeys(on))) for ends, on in found.items()]


def _entities(words: str) -> str:
    """Return text that means nothing in Mermaid: by the numbers of its characters."""
    return "".join(
        each if each.isalnum() or each in " .-/:*,_" else f"#{ord(each)};" for each in words
    )


# --- flows ----------------------------------------------------------------------------------


def _rows(world: World, source: Place, target: Place) -> Iterator[Row]:
    if source.namespaces and target.namespaces:
        for one in source.namespaces:
            for other in target.namespaces:
                for flow in world.flows(one, other):
                    if _is_of(flow.source, source) and _is_of(flow.target, target):
                        yield Row(
                            _shown(flow.source, source),
                            _shown(flow.target, target),
                            flow.ports,
                            told(flow.egress),
                            told(flow.ingress),
                            flow.source.tenant,
                            flow.target.tenant,
                        )
        return
    inward = bool(target.namespaces)
    inside, outside = (target, source) if inward else (source, target)
    for row, ranges in _outside(world, inside, "Ingress" if inward else "Egress"):
        both = blocks.common(ranges, outside.addresses)
        if both and inward:
            yield row._replace(source=blocks.told(both), addresses=both)
        elif both:
            yield row._replace(target=blocks.told(both), addresses=both)


def _is_partial(rows: Iterable[Row], source: Place, target: Place) -> bool:
    """Tell whether some of the addresses that were asked about are closed."""
    asked = source.addresses or target.addresses
    found = blocks.union(part for row in rows for part in row.addresses)
    return bool(asked and blocks.without(asked, found))


def _outside(world: World, place: Place, direction: Direction) -> Iterator[tuple[Row, Ranges]]:
    """Yield what the pods of a place exchange with addresses, the addresses apart."""
    for name in place.namespaces:
        at = world.population.position[name]
        tenant = world.tenant(name)
        for each, box in world.boxes(at):
            if box.direction != direction or (place.pod and place.pod not in each.pods):
                continue
            end = _shown(End(tenant, name, each.pods), place)
            opener = told(box.opener)
            where = blocks.told(box.addresses)
            if direction == "Egress":
                yield Row(end, where, box.ports, opener, "", tenant), box.addresses
            else:
                yield Row(where, end, box.ports, "", opener, "", tenant), box.addresses


def rows_about(world: World, place: Place, direction: Direction) -> Iterator[Row]:
    """Yield what a place exchanges with other tenants, the platform and addresses."""
    people = world.population
    own = gathered(people.position[each] for each in place.namespaces)
    for tenant in {world.tenant(each) for each in place.namespaces} - {""}:
        own |= people.of_tenant[tenant]
    for name in place.namespaces:
        at = people.position[name]
        bits = world.toward(at) if direction == "Ingress" else world.outward(at)
        for there in members(bits & people.index.everybody & ~own):
            other = people.at(there).namespace.name
            ends = (other, name) if direction == "Ingress" else (name, other)
            for flow in world.flows(*ends):
                inner = flow.target if direction == "Ingress" else flow.source
                if _is_of(inner, place):
                    yield Row(
                        str(flow.source._replace(pods=())),
                        str(flow.target._replace(pods=())),
                        flow.ports,
                        told(flow.egress),
                        told(flow.ingress),
                        flow.source.tenant,
                        flow.target.tenant,
                    )
    for row, _ in _outside(world, place, direction):
        yield row


def _is_of(end: End, place: Place) -> bool:
    return not place.pod or place.pod in end.pods


def _shown(end: End, place: Place) -> str:
    return f"{end.namespace}/{place.pod}" if place.pod else str(end)


# --- why not --------------------------------------------------------------------------------


class Half(NamedTuple):
    """One side of a flow that is not allowed."""

    side: Direction
    where: str
    by: str
    """What opens it; empty: nothing does."""


def _halves(world: World, source: Place, target: Place, span: Spans) -> list[Half]:
    """Return which side is open: to open the other is enough then."""
    if not (source.namespaces and target.namespaces):
        place = source if source.namespaces else target
        side: Direction = "Egress" if source.namespaces else "Ingress"
        return [Half(side, name, "") for name in place.namespaces]
    found = []
    for one in source.namespaces:
        for other in target.namespaces:
            found.append(Half("Egress", one, _half(world, one, other, "Egress", source, span)))
            found.append(Half("Ingress", other, _half(world, one, other, "Ingress", target, span)))
    return list(dict.fromkeys(found))


def _half(
    world: World, source: str, target: str, side: Direction, place: Place, span: Spans
) -> str:
    """Say what opens one side, were the other open."""
    position = world.population.position
    assumed: Direction = "Ingress" if side == "Egress" else "Egress"
    openers: set[Opener] = set()
    for link in world.links(position[source], position[target], assumed):
        mine = link.source if side == "Egress" else link.target
        if place.pod and place.pod not in mine.pods:
            continue
        if ports.common(link.ports, span):
            openers.add(link.egress if side == "Egress" else link.ingress)
    return ", ".join(sorted(told(each) for each in openers))


def _remedies(
    snapshot: Snapshot,
    halves: Iterable[Half],
    source: Place,
    target: Place,
    wanted: Span | None,
) -> Iterator[Section]:
    """Yield what each tenant has to declare."""
    owners = snapshot.owners
    asked = wanted or Span("TCP", 443, 443)
    sent = {owners.get(each, "") for each in source.namespaces}
    taken = {owners.get(each, "") for each in target.namespaces}
    if sent == taken and "" not in sent and sent:
        yield (
            "Both are namespaces of one tenant that keeps its namespaces apart"
            " (network.sameTenant: Deny)."
        )
        return
    for tenant in sorted(sent - {""}):
        if any(each.side == "Egress" and not each.by for each in halves):
            yield Block(
                title=f"In the spec of tenant {tenant}",
                text=_declaration("Egress", target, owners, asked),
            )
    for tenant in sorted(taken - {""}):
        if any(each.side == "Ingress" and not each.by for each in halves):
            yield Block(
                title=f"In the spec of tenant {tenant}",
                text=_declaration("Ingress", source, owners, asked),
            )


def _declaration(side: Direction, other: Place, owners: dict[str, str], span: Span) -> str:
    """Return the part of a spec that opens one side; names of DNS form need no quotes."""
    end = f", endPort: {span.last}" if span.last != span.first else ""
    on = f"ports: [{{port: {span.first}{end}, protocol: {span.protocol}}}]"
    tenants = {owners.get(each, "") for each in other.namespaces}
    if other.namespaces and "" not in tenants:
        (tenant,) = tenants
        names = ", ".join(other.namespaces)
        entry = f"{{tenant: {tenant}, direction: {side}, namespaces: [{names}], {on}}}"
        return f"network:\n  peers:\n  - {entry}"
    field, word = ("egress", "to") if side == "Egress" else ("ingress", "from")
    if other.namespaces:
        ends = [
            f"{{namespaceLabels: {{kubernetes.io/metadata.name: {each}}}}}"
            for each in other.namespaces
        ]
    elif other.text == places.INTERNET:
        without = ", ".join(places.NOT_PUBLIC)
        ends = [f"{{cidr: 0.0.0.0/0, except: [{without}]}}"]
        on += ", reason: SAY WHY"
    else:
        ends = [f'{{cidr: "{each}"}}' for ranges in other.addresses for each in ranges.networks()]
    entry = f"{{name: CHOOSE, {word}: [{', '.join(ends)}], {on}}}"
    return f"network:\n  {field}:\n  - {entry}"


def _unclear(snapshot: Snapshot, world: World, source: Place, target: Place) -> list[str]:
    found = snapshot.unclear()
    return [
        f"{name}: {reason}"
        for name in sorted({*source.namespaces, *target.namespaces})
        for reason in (*found.get(name, ()), *world.unclear(name))
    ]
