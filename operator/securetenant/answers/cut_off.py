"""Pods that run, and could not reach, or be reached by, somebody any more."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from securetenant.answers.built import Built
from securetenant.answers.sides import Sides
from securetenant.api.objects import Body
from securetenant.checks import blocks, ports, standing
from securetenant.checks.blocks import Ranges
from securetenant.checks.ports import Spans
from securetenant.checks.reachability import World
from securetenant.checks.selectors import members


class CutOff(NamedTuple):
    """A pod, and what it loses."""

    pod: str
    owner: str
    """Its controller; without one, the program that made it."""
    flows: tuple[str, ...]
    """Each like "to kube-system/* on TCP 53"."""


class _Exchange:
    """What one pod exchanges with namespaces that are not its tenant's, and with addresses."""

    def __init__(self) -> None:
        self.spaces: dict[tuple[str, str], Spans] = {}
        self.addresses: dict[tuple[str, Spans], Ranges] = {}

    def without(self, other: "_Exchange") -> Iterator[str]:
        """Yield what the other one does not have."""
        for (verb, space), spans in sorted(self.spaces.items()):
            lost = ports.without(spans, other.spaces.get((verb, space), ()))
            if lost:
                yield f"{verb} {space}/* on {_told(lost)}"
        for (verb, spans), ranges in sorted(self.addresses.items()):
            gone = blocks.without(ranges, other.addresses.get((verb, spans), ()))
            if gone:
                yield f"{verb} {blocks.told(gone)} on {_told(spans)}"


def find(
    sides: Sides,
    before: Mapping[str, Built],
    after: Mapping[str, Built],
    pods: Mapping[str, Sequence[Body]],
) -> Iterator[CutOff]:
    """Yield the pods that lose something, sorted; those of namespaces that are deleted are not."""
    known = {
        namespace: found
        for name, found in before.items()
        for namespace in found.manifests.keys() & pods.keys()
        if not _is_deleted(namespace, found, after.get(name))
    }
    had = _exchanges(sides.world(before, pods), known)
    has = _exchanges(sides.world(after, pods), known)
    for namespace in sorted(known):
        for body in sorted(pods[namespace], key=lambda each: str(each["metadata"]["name"])):
            pod = (namespace, str(body["metadata"]["name"]))
            lost = tuple(had[pod].without(has[pod])) if pod in had else ()
            if lost:
                yield CutOff("/".join(pod), standing.owner(body), lost)


def _is_deleted(namespace: str, before: Built, after: Built | None) -> bool:
    if after is not None and namespace in after.manifests:
        return False
    spec = before.spec if after is None else after.spec
    return spec is not None and spec.deletion_policy == "Delete"


def _exchanges(world: World, namespaces: Iterable[str]) -> Mapping[tuple[str, str], _Exchange]:
    people = world.population
    found = defaultdict[tuple[str, str], _Exchange](_Exchange)
    for name in namespaces:
        at = people.position.get(name)
        if at is None:
            continue
        others = people.index.everybody & ~people.of_tenant[world.tenant(name)]
        for verb, bits in (("from", world.toward(at)), ("to", world.outward(at))):
            for there in members(bits & others):
                other = people.at(there).namespace.name
                for flow in world.flows(*((other, name) if verb == "from" else (name, other))):
                    for pod in (flow.target if verb == "from" else flow.source).pods:
                        spaces, key = found[name, pod].spaces, (verb, other)
                        spaces[key] = ports.union((*spaces.get(key, ()), *flow.ports))
        for each, box in world.boxes(at):
            way = "from" if box.direction == "Ingress" else "to"
            for pod in each.pods:
                ranges, mark = found[name, pod].addresses, (way, box.ports)
                ranges[mark] = blocks.union((*ranges.get(mark, ()), *box.addresses))
    return found


def _told(spans: Spans) -> str:
    return ", ".join(map(str, spans))
