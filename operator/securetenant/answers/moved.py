"""Pods that a change evicts from nodes, or that could not come back to where they run."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import ValidationError

from securetenant.answers.built import State
from securetenant.api import names
from securetenant.api.nodes import Effect, TenantNodes
from securetenant.api.objects import Body
from securetenant.checks import standing
from securetenant.plan import nodes, pods
from securetenant.plan.nodes import Assignment, NodeFacts, NodeRequests, Standing

EVICTED, STAYS = "evicted", "stays"


class Move(NamedTuple):
    """A pod, and what becomes of it on its node."""

    pod: str
    owner: str
    """Its controller; without one, the program that made it."""
    node: str
    verb: str
    """evicted at once; or stays until it ends, and no pod like it comes to this node again."""
    what: str


class Given(NamedTuple):
    """Whose a node is, and what its taint does."""

    verdict: Assignment
    effects: tuple[Effect, ...]
    evicts: bool

    @property
    def owner(self) -> str:
        """Return the tenant that has it, :data:`names.SHARED`, or nothing."""
        return self.verdict.owner

    @property
    def is_own(self) -> bool:
        """Tell whether one tenant has it."""
        return self.verdict.standing is Standing.OWN


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A node before and after a change."""

    name: str
    facts: NodeFacts
    before: Given
    after: Given

    @property
    def is_changed(self) -> bool:
        """Tell whether the change concerns it."""
        return self.before != self.after


class Side:
    """Which nodes tenants ask for, and which they get, by one state."""

    def __init__(self, state: State, kept: Iterable[str] = ()) -> None:
        """``kept`` are tenants that are gone; their namespaces keep the nodes that they have."""
        self._settings = state.settings.nodes if state.settings else None
        self._kept = frozenset(kept)
        self._claims = NodeRequests()
        for name, body in state.tenants.items():
            asked = _asked(body)
            if asked is not None:
                self._claims.put(name, asked)

    def all_given(self, places: Mapping[str, NodeFacts]) -> dict[str, Given]:
        """Return whose each node is; where none would be left for the platform, one stays."""
        found = {name: self.given(name, facts) for name, facts in places.items()}
        left = [name for name, facts in places.items() if facts.takes_the_platform]
        if left and all(found[name].is_own for name in left):
            # Which one the operator looks at last is not known before.
            last = max(left)
            found[last] = self.given(last, places[last], is_last=True)
        return found

    def given(self, name: str, facts: NodeFacts, *, is_last: bool = False) -> Given:
        """Return whose a node is."""
        label = facts.label
        verdict = nodes.judge(
            facts,
            self._claims.of(name, facts.labels),
            (label,) if label in self._kept else (),
            self._settings,
            is_last=is_last,
        )
        asked = self._claims.asked(verdict.owner)
        return Given(
            verdict,
            asked.effective_effects if asked else (),
            asked is not None and asked.eviction == "Evict",
        )

    def wanted(self, tenant: str) -> str:
        """Return whose nodes new pods of a tenant run on; nothing: on any."""
        if tenant in self._claims.tenants:
            return tenant
        return names.SHARED if self._settings is not None else ""

    def without(self, given: Iterable[Given]) -> Iterator[str]:
        """Yield the tenants that ask for nodes and get none."""
        yield from sorted(set(self._claims.tenants) - {each.owner for each in given})


def _asked(body: Body) -> TenantNodes | None:
    if not (body.get("spec") or {}).get("nodes"):
        return None
    try:
        return TenantNodes.model_validate((body.get("spec") or {}).get("nodes") or {})
    except (ValidationError, AttributeError):
        return None


def look(bodies: Iterable[Body], before: Side, after: Side) -> list[Node]:
    """Return every node, before and after."""
    places = {str(body["metadata"]["name"]): nodes.observe(body) for body in bodies}
    was, becomes = before.all_given(places), after.all_given(places)
    return [
        Node(name=name, facts=facts, before=was[name], after=becomes[name])
        for name, facts in places.items()
    ]


def moves(
    places: Iterable[Node],
    bodies: Iterable[Body],
    owners: Mapping[str, str],
    before: Side,
    after: Side,
) -> Iterator[Move]:
    """Yield what becomes of pods; ``owners`` are the tenants of namespaces."""
    known = {each.name: each for each in places}
    leaving = _leaving(known, bodies := list(bodies), owners)
    for body in bodies:
        node = known.get((body.get("spec") or {}).get("nodeName", ""))
        if node is None:
            continue
        facts = pods.observe(body, owner=node.after.owner)
        if facts.finished or facts.mirror:
            continue
        tenant = owners.get(facts.namespace, "")
        verb, what = _fate(
            node, body, tenant, before, after, is_awaited=node.name in leaving, stays=facts.stays
        )
        # Anybody may name a DaemonSet as owner: those of other tenants are pods like others.
        if verb and not (facts.daemon and tenant in ("", node.after.owner)):
            yield Move(str(facts), standing.owner(body), node.name, verb, what)


def _leaving(
    known: Mapping[str, Node], bodies: Iterable[Body], owners: Mapping[str, str]
) -> set[str]:
    """Return the nodes on which pods of a former tenant run: until they end, nobody gets these."""
    found = set()
    for body in bodies:
        node = known.get((body.get("spec") or {}).get("nodeName", ""))
        if node is not None and owners.get(body["metadata"]["namespace"]) in (
            node.after.verdict.former
        ):
            found.add(node.name)
    return found


def _fate(
    node: Node,
    body: Body,
    tenant: str,
    before: Side,
    after: Side,
    *,
    is_awaited: bool,
    stays: bool,
) -> tuple[str, str]:
    """Return what becomes of a pod, and why; nothing where the change does not concern it."""
    given = node.after
    returns = _returns(given, body, tenant, after.wanted(tenant))
    is_driven = given.is_own and "NoExecute" in given.effects and not stays
    if node.is_changed and is_driven and given.evicts and not is_awaited:
        again = "; one like it may come back" if returns else ""
        return EVICTED, f"the node is {given.owner}'s, with NoExecute and eviction: Evict{again}"
    if returns or not _returns(node.before, body, tenant, before.wanted(tenant)):
        return "", ""
    if tenant and after.wanted(tenant) not in ("", given.owner):
        mine = after.wanted(tenant)
        whose = "those for shared tenants" if mine == names.SHARED else "its own"
        what = f"new pods of {tenant} run on {whose}"
    else:
        what = f"the node is {given.owner}'s"
    waits = is_driven and not given.evicts
    return STAYS, f"{what}; NoExecute waits until it ends" if waits else what


def _returns(given: Given, body: Body, tenant: str, wanted: str) -> bool:
    """Tell whether a pod like this one, made again, may run on the node."""
    if wanted and tenant:
        return wanted == given.owner
    tolerations = body["spec"].get("tolerations") or ()
    return not given.is_own or pods.tolerates(tolerations, given.owner, "NoSchedule")
