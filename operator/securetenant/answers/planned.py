"""What a change of specs or settings would do: for who reviews it before it is merged."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from securetenant.answers import built, cut_off, moved, withheld
from securetenant.answers.answer import FINE, FOUND, Answer, Section, Table
from securetenant.answers.built import Built, State
from securetenant.answers.cut_off import CutOff
from securetenant.answers.moved import Move, Node, Side
from securetenant.answers.places import Place
from securetenant.answers.reach import Row, rows_about
from securetenant.answers.sides import Sides
from securetenant.answers.snapshot import Snapshot
from securetenant.answers.withheld import Withheld
from securetenant.api import kinds, names, quantities
from securetenant.api.objects import Body, Ref
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import filled, standing
from securetenant.checks.reachability import World
from securetenant.plan import drift, ownership, rollout
from securetenant.plan.resting import Gives, given

_WAVES, _FIELDS, _LOST = 6, 3, 2
_MOST = 200
"""How many rows of a kind are shown."""
_SHOWN_SHARES = ("requests.cpu", "limits.cpu", "requests.memory", "limits.memory", "pods")


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Two states, and what is there."""

    before: State
    after: State
    snapshot: Snapshot
    """Of the cluster; empty where only files are compared."""
    policies: Sequence[Body] = ()
    """TenantPolicies that are there: they say whose a namespace is."""
    quotas: Sequence[Body] = ()
    """ResourceQuotas that are there: they say what is used."""
    nodes: Sequence[Body] = ()
    """Every Node."""
    on_nodes: Sequence[Body] = ()
    """Pods of anybody on the nodes that :func:`changed_nodes` names."""
    mutates: bool = True
    """Whether policies fill in what pods leave out."""
    refusals: Mapping[str, str] | None = None
    """What the API server said to each manifest in dry-run, by how it is called."""
    gives: Gives = given
    """Which names rest, and are not given."""
    now: datetime


class Effect(NamedTuple):
    """What happens to one object."""

    tenant: str
    object: str
    verb: str
    """create, change or delete."""
    what: str
    """Which fields change."""


class Access(NamedTuple):
    """Somebody who gains or loses a role."""

    subject: str
    role: str
    namespace: str
    verb: str
    """gained or lost."""


class Harm(NamedTuple):
    """A pod that would be refused, or would have to leave, by the new rules."""

    pod: str
    owner: str
    what: str


class Flow(NamedTuple):
    """Something that opens or closes."""

    verb: str
    row: Row

    @property
    def is_between_tenants(self) -> bool:
        """Tell whether both ends are tenants."""
        return bool(self.row.source_tenant and self.row.target_tenant)


def plan(change: Change) -> Answer:
    """Answer what a change would do.

    Something new that opens between tenants is FOUND, and so is what nobody gets.
    """
    touched = _touched(change)
    there = built.There((*change.snapshot.namespaces, *change.policies), change.quotas)
    before = built.build(change.before, there, touched, change.now)
    after = built.build(change.after, there, touched, change.now)
    refused = {
        f"SecureTenant {name}": found.refusal for name, found in after.items() if found.refusal
    }
    if change.after.settings_problem:
        refused["TenancySettings default"] = change.after.settings_problem
    refused |= change.refusals or {}
    if refused:
        return _refused(refused)
    affected = [name for name in touched if before.get(name) != after.get(name)]
    sides = [(before.get(name), after.get(name)) for name in affected]
    missed = list(withheld.find(change.before, change.after, there.store, change.gives))
    unmade = {(each.tenant, f"Namespace {each.namespace}") for each in missed}
    effects = [
        each
        for name in affected
        for each in _effects(name, before, after)
        if (each.tenant, each.object) not in unmade
    ]
    access = [each for old, new in sides for each in _access(old, new)]
    shares = [each for old, new in sides for each in _shares(old, new)]
    pods = _by_namespace(change.snapshot.pods)
    harms = [each for old, new in sides for each in _harms(change, pods, old, new)]
    placed = list(_moves(change))
    quotas = _by_namespace(
        each for each in change.quotas if each["metadata"]["name"] == names.QUOTA
    )
    over = [each for _, new in sides for each in _over(quotas, new)]
    network = Sides(change.snapshot, affected, before, after)
    flows = list(_flows(network, affected, before, after))
    # What closes for pods that could be made is all that can close for one that is there.
    closes = any(each.verb == "closes" for each in flows)
    severed = list(cut_off.find(network, before, after, pods)) if closes else []
    between = [each for each in flows if each.verb == "opens" and each.is_between_tenants]
    remarks = [
        (name, each)
        for name in affected
        for each in _new_remarks(before.get(name), after.get(name))
    ]
    remarks += _without_nodes(change)
    waves = _waves(change)
    tables = (
        _table("Opens between tenants", _ENDS, [each.row.cells()[:3] for each in between]),
        _table("Namespaces that a tenant names and does not get", _MISSED, missed),
        _table("Objects", ("Tenant", "Object", "Change", "What"), map(_shown, effects)),
        _table("Access", ("Who", "Role", "Namespace", "Change"), access),
        _table("Shares of the quota", _QUOTA, _first_shares(shares)),
        _table(_BEYOND, ("Namespace", "Resource", "Used", "Limit"), over),
        _table(_HARMED, ("Pod", "Of", "Why"), harms),
        _table(_EVICTED, _MOVED, _moved(placed, moved.EVICTED)),
        _table(_STAYING, _MOVED, _moved(placed, moved.STAYS)),
        _table(
            "Traffic",
            ("Change", *_ENDS),
            [(each.verb, *each.row.cells()[:3]) for each in flows if each not in between],
        ),
        _table(_SEVERED, ("Pod", "Of", "No longer"), map(_lost, severed)),
        _table("Worth knowing", ("Tenant", "What"), remarks),
    )
    sections: list[Section] = [_headline(affected, effects, between, missed)]
    sections += [each for each in tables if each.rows]
    sections += [_told(waves)] if waves else []
    return Answer(
        kind="Plan",
        data={
            "refused": {},
            "tenants": affected,
            "withheld": [each._asdict() for each in missed],
            "objects": [each._asdict() for each in effects],
            "access": [each._asdict() for each in access],
            "shares": [dict(zip(_SHARE_KEYS, each, strict=True)) for each in shares],
            "overQuota": [dict(zip(_OVER_KEYS, each, strict=True)) for each in over],
            "pods": [each._asdict() for each in harms],
            "nodes": [each._asdict() for each in placed],
            "flows": [{"verb": each.verb, **each.row.data()} for each in flows],
            "cutOff": [each._asdict() for each in severed],
            "remarks": [{"tenant": name, "message": each} for name, each in remarks],
            "rollOut": waves,
        },
        sections=tuple(sections),
        code=FOUND if between or missed else FINE,
    )


def _refused(refused: Mapping[str, str]) -> Answer:
    return Answer(
        kind="Plan",
        data={"refused": dict(refused)},
        sections=(
            "Refused: none of it would be in force.",
            _table("Refused", ("What", "Why"), refused.items()),
        ),
        code=FOUND,
    )


_ENDS = ("From", "To", "On")
_MISSED = ("Tenant", "Namespace", "Why")
_QUOTA = ("Namespace", "Resource", "Before", "After")
_BEYOND = "Used beyond the new share: nothing ends, nothing new is admitted"
_HARMED = "Pods that run, and would be refused if they were made again"
_EVICTED = "Pods that are evicted from their node"
_STAYING = "Pods that stay until they end, and could not come back to their node"
_SEVERED = "Pods that run, and are cut off from somebody"
_MOVED = ("Pod", "Of", "Node", "Why")
_SHARE_KEYS = ("namespace", "resource", "before", "after")
_OVER_KEYS = ("namespace", "resource", "used", "limit")


def _touched(change: Change) -> list[str]:
    """Return the tenants that may become different: those that change, and their peers."""
    before, after = change.before.tenants, change.after.tenants
    every = before.keys() | after.keys()
    if change.before.settings != change.after.settings:
        return sorted(every)
    changed = {
        name
        for name in every
        if (before.get(name) or {}).get("spec") != (after.get(name) or {}).get("spec")
    }
    named = {
        peer
        for name in every
        for side in (before, after)
        for peer in _peers(side.get(name))
        if name in changed or peer in changed
        for peer in (peer, name)
    }
    return sorted(changed | (named & every))


def _peers(body: Body | None) -> Iterator[str]:
    network = ((body or {}).get("spec") or {}).get("network") or {}
    for each in network.get("peers") or () if isinstance(network, dict) else ():
        if isinstance(each, dict) and isinstance(each.get("tenant"), str):
            yield each["tenant"]


# --- objects, access, shares ----------------------------------------------------------------


def _effects(
    name: str, before: Mapping[str, Built], after: Mapping[str, Built]
) -> Iterator[Effect]:
    old, new = before.get(name), after.get(name)
    if new is None and old is not None:
        policy = (old.spec.deletion_policy if old.spec else None) or "Retain"
        for namespace in old.manifests:
            told = (
                "with everything in it"
                if policy == "Delete"
                else "kept, with all its walls (deletionPolicy: Retain)"
            )
            verb = "delete" if policy == "Delete" else "change"
            yield Effect(name, f"Namespace {namespace}", verb, told)
        return
    if new is None or (new.refusal and not new.manifests):
        return
    ours: Mapping[str, Mapping[Ref, Body]] = old.manifests if old else {}
    for namespace in sorted(ours.keys() | new.manifests.keys()):
        had, has = ours.get(namespace, {}), new.manifests.get(namespace, {})
        if not has:
            policy = (new.spec.deletion_policy if new.spec else None) or "Retain"
            deleted = policy == "Delete"
            told = "with everything in it" if deleted else "kept, with all its walls"
            yield Effect(name, f"Namespace {namespace}", "delete" if deleted else "change", told)
            continue
        if not had:
            yield Effect(name, f"Namespace {namespace}", "create", f"with {len(has) - 1} objects")
            continue
        for ref in sorted(had.keys() | has.keys()):
            yield from _effect(name, ref, had.get(ref), has.get(ref))


def _effect(name: str, ref: Ref, old: Body | None, new: Body | None) -> Iterator[Effect]:
    if old is None:
        yield Effect(name, str(ref), "create", "")
    elif new is None:
        yield Effect(name, str(ref), "delete", "")
    elif ref.kind == kinds.NAMESPACE.name:
        if old["metadata"] != new["metadata"]:
            fields = drift.differences(new, old) or ("metadata",)
            yield Effect(name, str(ref), "change", ", ".join(fields))
    elif ownership.digest(old) != ownership.digest(new):
        yield Effect(name, str(ref), "change", ", ".join(drift.differences(new, old)))


def _access(old: Built | None, new: Built | None) -> Iterator[Access]:
    had, has = set(_grants(old)), set(_grants(new))
    for verb, found in (("lost", had - has), ("gained", has - had)):
        for subject, role, namespace in sorted(found):
            yield Access(subject, role, namespace, verb)


def _grants(found: Built | None) -> Iterator[tuple[str, str, str]]:
    for namespace, manifests in (found.manifests if found else {}).items():
        for ref, body in manifests.items():
            if ref.kind != kinds.ROLE_BINDING.name or ref.name == names.CANARY:
                continue
            for each in body.get("subjects") or ():
                where = f"{each['namespace']}/" if each.get("namespace") else ""
                subject = f"{each['kind']} {where}{each['name']}"
                yield subject, str(body["roleRef"]["name"]), namespace


def _shares(old: Built | None, new: Built | None) -> Iterator[tuple[str, str, str, str]]:
    had, has = _quotas(old), _quotas(new)
    for namespace in sorted(had.keys() | has.keys()):
        before, after = had.get(namespace, {}), has.get(namespace, {})
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key) and before and after:
                yield namespace, key, before.get(key, "-"), after.get(key, "-")


def _quotas(found: Built | None) -> dict[str, dict[str, str]]:
    return {
        namespace: {key: str(value) for key, value in body["spec"]["hard"].items()}
        for namespace, manifests in (found.manifests if found else {}).items()
        for ref, body in manifests.items()
        if ref.kind == kinds.RESOURCE_QUOTA.name
    }


def _over(
    quotas: Mapping[str, Sequence[Body]], new: Built | None
) -> Iterator[tuple[str, str, str, str]]:
    """Yield what is used beyond a new share: nothing ends, and nothing new is admitted."""
    for namespace, wanted in _quotas(new).items():
        for quota in quotas.get(namespace, ()):
            used = (quota.get("status") or {}).get("used") or {}
            for key, limit in sorted(wanted.items()):
                found = used.get(key)
                if found is not None and quantities.parse(found) > quantities.parse(limit):
                    yield namespace, key, str(found), limit


def _by_namespace(bodies: Iterable[Body]) -> Mapping[str, Sequence[Body]]:
    found = defaultdict[str, list[Body]](list)
    for each in bodies:
        found[each["metadata"]["namespace"]].append(each)
    return found


# --- flows ----------------------------------------------------------------------------------


def _flows(
    sides: Sides,
    affected: Sequence[str],
    before: Mapping[str, Built],
    after: Mapping[str, Built],
) -> Iterator[Flow]:
    old, new = (set(_rows(sides.world(side), side, affected)) for side in (before, after))
    for verb, found in (("opens", new - old), ("closes", old - new)):
        for row in sorted(found):
            yield Flow(verb, row)


def _rows(world: World, side: Mapping[str, Built], affected: Iterable[str]) -> Iterator[Row]:
    for name in affected:
        found = side.get(name)
        spaces = tuple(each for each in (found.manifests if found else {}))
        place = Place(text=name, namespaces=spaces)
        for row in (*rows_about(world, place, "Ingress"), *rows_about(world, place, "Egress")):
            # By which rule is no difference to anybody.
            yield row._replace(egress="", ingress="", addresses=())


# --- pods -----------------------------------------------------------------------------------


def _harms(
    change: Change, pods: Mapping[str, Sequence[Body]], old: Built | None, new: Built | None
) -> Iterator[Harm]:
    """Yield pods that today's rules admit and the new ones would not if they were made again."""
    if new is None:
        return
    for namespace in new.manifests:
        after = new.policy(namespace)
        before = old.policy(namespace) if old else None
        if after is None or before is None or before == after:
            continue
        for pod in pods.get(namespace, ()):
            had = {each.what for each in _judged(pod, namespace, before, change.now)}
            again = _made_again(pod, before, after) if change.mutates else pod
            fresh = [
                each
                for each in _judged(again, namespace, after, change.now)
                if each.what not in had
            ]
            for each in fresh:
                yield Harm(f"{namespace}/{each.name}", each.owner, each.what)


def _made_again(pod: Body, before: PolicySpec, after: PolicySpec) -> Body:
    """Return a pod as its controller would make it again: placed by the new rules, not the old."""
    spec = pod["spec"]
    selector = {
        key: value
        for key, value in (spec.get("nodeSelector") or {}).items()
        if before.nodes.selector.get(key) != value
    }
    tolerations = [
        each for each in spec.get("tolerations") or () if each.get("key") != names.NODE_TAINT
    ]
    plain = {**spec, "nodeSelector": selector, "tolerations": tolerations}
    return filled.fill({**pod, "spec": plain}, after, mutates=True)


def changed_nodes(change: Change) -> list[str]:
    """Return the nodes that belong to somebody else after a change, or in another way."""
    return [each.name for each in _nodes(change)[2] if each.is_changed]


def _nodes(change: Change) -> tuple[Side, Side, list[Node]]:
    kept = change.before.tenants.keys() - change.after.tenants.keys()
    before, after = Side(change.before), Side(change.after, kept)
    return before, after, moved.look(change.nodes, before, after)


def _moves(change: Change) -> list[Move]:
    before, after, places = _nodes(change)
    owners = change.snapshot.owners
    gone = change.before.tenants.keys() - change.after.tenants.keys()
    # By name, since the namespaces of changed tenants and the changed nodes share some.
    every = {
        (each["metadata"]["namespace"], each["metadata"]["name"]): each
        for each in (*change.on_nodes, *change.snapshot.pods)
        if owners.get(each["metadata"]["namespace"]) not in gone
    }
    return sorted(moved.moves(places, every.values(), owners, before, after))


def _without_nodes(change: Change) -> list[tuple[str, str]]:
    """Return the tenants that ask for nodes of their own and would newly get none."""
    if not change.nodes:
        return []
    before, after, places = _nodes(change)
    had = set(before.without(each.before for each in places))
    told = "no node would be its own: its new pods wait for one"
    return [
        (each, told) for each in after.without(node.after for node in places) if each not in had
    ]


def _moved(found: Iterable[Move], verb: str) -> list[tuple[str, ...]]:
    return [(each.pod, each.owner, each.node, each.what) for each in found if each.verb == verb]


def _judged(
    pod: Body, namespace: str, policy: PolicySpec, now: datetime
) -> tuple[standing.Violation, ...]:
    metadata = {**pod["metadata"], "annotations": pod["metadata"].get("annotations") or {}}
    rules = standing.today(namespace, policy, now)
    return standing.judge(kinds.POD, {**pod, "metadata": metadata}, rules)


# --- what is said ---------------------------------------------------------------------------


def _new_remarks(old: Built | None, new: Built | None) -> tuple[str, ...]:
    known = set(old.remarks if old else ())
    return tuple(each for each in (new.remarks if new else ()) if each not in known)


def _waves(change: Change) -> list[int]:
    """Return how many tenants follow changed settings at a time, wave by wave."""
    if change.before.settings == change.after.settings or change.after.settings is None:
        return []
    fleet, moved, waves = len(change.after.tenants), 0, list[int]()
    while moved < fleet:
        size = min(rollout.wave(moved, fleet), fleet - moved)
        waves.append(size)
        moved += size
    return waves


def _shown(effect: Effect) -> Effect:
    """Return it with the first few of its fields; programs get all."""
    fields = effect.what.split(", ")
    more = f" and {len(fields) - _FIELDS} more" if len(fields) > _FIELDS else ""
    return effect._replace(what=", ".join(fields[:_FIELDS]) + more)


def _headline(
    affected: Sequence[str],
    effects: Sequence[Effect],
    between: Sequence[Flow],
    missed: Sequence[Withheld],
) -> str:
    lacks = " Not every namespace is given to its tenant." if missed else ""
    if not effects:
        return f"Nothing changes.{lacks}"
    counts = {verb: sum(each.verb == verb for each in effects) for verb in _VERBS}
    told = ", ".join(f"{count} to {verb}" for verb, count in counts.items() if count)
    more = f" Between tenants {len(between)} {_plural('flow', between)} open." if between else ""
    return f"{len(affected)} {_plural('tenant', affected)}: {told}.{more}{lacks}"


def _plural(noun: str, counted: Sequence[Any]) -> str:
    return noun if len(counted) == 1 else f"{noun}s"


_VERBS = ("create", "change", "delete")


def _lost(found: CutOff) -> tuple[str, str, str]:
    """Return what people look at of what a pod loses, and how much else there is."""
    more = len(found.flows) - _LOST
    rest = f"; and {more} more" if more > 0 else ""
    return found.pod, found.owner, "; ".join(found.flows[:_LOST]) + rest


def _first_shares(
    shares: Sequence[tuple[str, str, str, str]],
) -> list[tuple[str, str, str, str]]:
    """Return those that people look at, and how many others there are."""
    shown = [each for each in shares if each[1] in _SHOWN_SHARES]
    rest = len(shares) - len(shown)
    return [*shown, *([("", f"and {rest} of other keys", "", "")] if rest else [])]


def _table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Table:
    every = [tuple(map(str, row)) for row in rows]
    more = len(every) - _MOST
    shown = every[:_MOST]
    if more > 0:
        shown.append((f"and {more} more", *([""] * (len(columns) - 1))))
    return Table(title=title, columns=columns, rows=tuple(shown))


def _told(waves: Sequence[int]) -> str:
    shown = ", ".join(map(str, waves[:_WAVES]))
    rest = ", ..." if len(waves) > _WAVES else ""
    return (
        f"Tenants follow the settings in {len(waves)} {_plural('wave', waves)} ({shown}{rest}); it"
        " halts when tenants that were ready are not any more."
    )
