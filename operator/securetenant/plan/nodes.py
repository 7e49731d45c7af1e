"""Whose node it is: who asks for it, who has it, and which marks it should carry."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

from securetenant.api import names
from securetenant.api.nodes import Effect, SettingsNodes, TenantNodes
from securetenant.api.objects import Body

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
"""A taint that the platform's pods tolerate."""


class Taint(NamedTuple):
    """A taint, without its time."""

    key: str
    value: str
    effect: str


class NodeFacts(NamedTuple):
    """What is remembered of a node."""

    uid: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    terminating: bool
    user_namespaces: bool | None = None
    """Whether its runtime starts pods with user namespaces; nothing where its kubelet is silent."""

    @property
    def label(self) -> str:
        """Return whose the node is by its label: a tenant, :data:`names.SHARED`, or nothing."""
        return self.labels.get(names.NODE_LABEL, "")

    @property
    def is_registering(self) -> bool:
        """Tell whether an autoscaler is about to give it its labels, and keeps every pod away."""
        return any(each.key == names.REGISTERING_TAINT for each in self.taints)

    @property
    def takes_the_platform(self) -> bool:
        """Tell whether pods of the platform can run there, those of the operator among them."""
        return (
            not self.terminating
            and self.label in ("", names.SHARED)
            and all(
                each.effect == "PreferNoSchedule" or each.key == _CONTROL_PLANE
                for each in self.taints
            )
        )

    @property
    def our_taints(self) -> tuple[Taint, ...]:
        """Return the taints that the operator sets."""
        return tuple(each for each in self.taints if each.key == names.NODE_TAINT)


def observe(body: Body) -> NodeFacts:
    """Reduce a Node, as the API server returned it, to what is remembered."""
    metadata = body["metadata"]
    return NodeFacts(
        uid=metadata["uid"],
        labels=dict(sorted((metadata.get("labels") or {}).items())),
        taints=tuple(
            sorted(
                Taint(each["key"], each.get("value", ""), each["effect"])
                for each in (body.get("spec") or {}).get("taints") or ()
            )
        ),
        terminating="deletionTimestamp" in metadata,
        user_namespaces=_user_namespaces(body.get("status") or {}),
    )


def _user_namespaces(status: Body) -> bool | None:
    """Return what the kubelet says of the runtime that pods without a RuntimeClass get."""
    for each in status.get("runtimeHandlers") or ():
        if not each.get("name"):
            found = (each.get("features") or {}).get("userNamespaces")
            return found if isinstance(found, bool) else None
    return None


class NodeRequests:
    """Which tenants ask for a node: indexed, so that a node is not held against every tenant."""

    def __init__(self) -> None:
        self._asked: dict[str, TenantNodes] = {}
        self._by_name: defaultdict[str, set[str]] = defaultdict(set)
        self._by_labels: defaultdict[tuple[tuple[str, str], ...], set[str]] = defaultdict(set)

    def put(self, tenant: str, asked: TenantNodes | None) -> bool:
        """Take what a tenant asks for, or that it asks for nothing; tell whether it changed."""
        asked = asked if asked is not None and asked.is_dedicated else None
        before = self._asked.get(tenant)
        if before == asked:
            return False
        if before is not None:
            for index, key in self._keys(before):
                index[key].discard(tenant)
                if not index[key]:
                    del index[key]
            del self._asked[tenant]
        if asked is not None:
            for index, key in self._keys(asked):
                index[key].add(tenant)
            self._asked[tenant] = asked
        return True

    def of(self, node: str, labels: Mapping[str, str]) -> frozenset[str]:
        """Return the tenants who ask for a node."""
        found = set(self._by_name.get(node, ()))
        for wanted, tenants in self._by_labels.items():
            if all(labels.get(key) == value for key, value in wanted):
                found |= tenants
        return frozenset(found)

    def asked(self, tenant: str) -> TenantNodes | None:
        """Return what a tenant asks for; nothing for one without nodes of its own."""
        return self._asked.get(tenant)

    @property
    def tenants(self) -> Collection[str]:
        """Return the tenants who ask for nodes."""
        return self._asked.keys()

    def _keys(self, asked: TenantNodes) -> Iterator[tuple[defaultdict[Any, set[str]], Any]]:
        for name in asked.names or ():
            yield self._by_name, name
        if asked.selector is not None:
            yield self._by_labels, tuple(sorted(asked.selector.match_labels.items()))


class Standing(Enum):
    """What a node is."""

    OWN = auto()
    """It is one tenant's, or becomes it."""
    SHARED = auto()
    """It is for all tenants without nodes of their own."""
    CONTESTED = auto()
    """Several tenants ask for it and none has it: none gets it."""
    KEPT = auto()
    """TenancySettings do not let it be dedicated."""
    LAST = auto()
    """No other node would take pods of the platform."""
    NOBODYS = auto()
    """It takes no pod of any tenant, where TenancySettings say which nodes tenants get."""


class Assignment(NamedTuple):
    """Whose a node is to be."""

    standing: Standing
    owner: str = ""
    """A tenant, :data:`names.SHARED`, or nothing."""
    rivals: tuple[str, ...] = ()
    """Tenants who ask for it and do not get it, sorted."""
    former: tuple[str, ...] = ()
    """Tenants whose marks it still carries: their pods go before the taint does. Sorted."""


def judge(
    facts: NodeFacts,
    claimants: Collection[str],
    retained: Collection[str],
    settings: SettingsNodes | None,
    *,
    is_last: bool = False,
) -> Assignment:
    """Decide whose a node is.

    ``claimants`` ask for it; ``retained`` are tenants who ask for nothing any more and whose
    namespaces are kept with their walls. Who has it and still asks for it keeps it, whatever
    others ask or settings say meanwhile. ``is_last`` says that no other one takes pods of the
    platform: without its DNS, and without the operator, the tenants would have no walls to rely on.
    """
    holder = facts.label if facts.label != names.SHARED else ""
    marked = {each for each in (holder, *(taint.value for taint in facts.our_taints)) if each}

    def assignment(standing: Standing, owner: str = "") -> Assignment:
        rivals = tuple(sorted(each for each in claimants if each != owner))
        return Assignment(standing, owner, rivals, tuple(sorted(marked - {owner})))

    if holder and (holder in claimants or holder in retained):
        return assignment(Standing.OWN, holder)
    if claimants and not (settings is not None and settings.dedicable.selects(facts.labels)):
        return assignment(Standing.KEPT)
    if len(claimants) > 1:
        return assignment(Standing.CONTESTED)
    if claimants and is_last:
        return assignment(Standing.LAST)
    if claimants:
        (owner,) = claimants
        return assignment(Standing.OWN, owner)
    if settings is not None and settings.shared.selects(facts.labels):
        return assignment(Standing.SHARED, names.SHARED)
    return assignment(Standing.NOBODYS)


class Marks(NamedTuple):
    """The label and the taints that a node should carry; others' are not touched."""

    label: str
    taints: tuple[Taint, ...]


def marks(
    assignment: Assignment,
    facts: NodeFacts,
    effects: Collection[Effect],
    *,
    vacated: bool,
    clear: bool,
) -> Marks:
    """Return the marks for now.

    ``vacated`` says that no pod of a former tenant runs there any more: until then its taint stays,
    and nobody else gets the node. ``clear`` says that NoExecute may be set: it evicts nobody, or it
    is meant to. A node that registers is left as it comes.
    """
    if facts.is_registering:
        return Marks(facts.label, facts.our_taints)
    if assignment.former and not vacated:
        return Marks("", facts.our_taints)
    if assignment.standing is not Standing.OWN:
        return Marks(assignment.owner, ())
    there = {each.effect for each in facts.our_taints if each.value == assignment.owner}
    return Marks(
        assignment.owner,
        tuple(
            Taint(names.NODE_TAINT, assignment.owner, each)
            for each in sorted(effects)
            if each != "NoExecute" or clear or each in there
        ),
    )


def label_differs(wanted: Marks, facts: NodeFacts) -> bool:
    """Tell whether the label is not as it should be."""
    return wanted.label != facts.label


def taints_differ(wanted: Marks, facts: NodeFacts) -> bool:
    """Tell whether our taints are not as they should be."""
    return set(wanted.taints) != set(facts.our_taints)


def taints_patch(wanted: Marks, body: Body) -> list[dict[str, Any]]:
    """Return the JSON Patch that sets our taints and leaves those of others as they are.

    ``spec.taints`` is one atomic list, so it is written as a whole, from the very object that was
    read: the patch tests its resourceVersion. One of our taints that stays keeps its time.
    """
    before = list((body.get("spec") or {}).get("taints") or ())
    missing = {(each.value, each.effect) for each in wanted.taints}
    after = []
    for each in before:
        key = (each.get("value", ""), each["effect"])
        if each["key"] == names.NODE_TAINT:
            if key not in missing:
                continue
            missing.discard(key)
        after.append(each)
    after += [
        {"key": names.NODE_TAINT, "value": value, "effect": effect}
        for value, effect in sorted(missing)
    ]
    test = {"op": "test", "path": "/metadata/resourceVersion"}
    test["value"] = body["metadata"]["resourceVersion"]
    change: dict[str, Any] = (
        {"op": "add", "path": "/spec/taints", "value": after}
        if after
        else {"op": "remove", "path": "/spec/taints"}
    )
    return [test, change]
