"""Nodes: gives each to its tenant, takes it back, and knows how the tenants' nodes are."""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from securetenant.api import kinds, names, objects
from securetenant.api.nodes import EFFECTS, Effect, SettingsNodes, TenantNodes
from securetenant.api.objects import Body, Manifest, Ref
from securetenant.plan import drift, nodes, pods
from securetenant.plan.nodes import Assignment, Marks, NodeFacts, NodeRequests, Standing
from securetenant.plan.pods import DaemonFacts, PodFacts
from securetenant.reconcile.errors import ConflictError, MissingError, RefusedError
from securetenant.reconcile.node_book import Change, NodeBook
from securetenant.reconcile.ports import Cluster, Meter
from securetenant.status.placement import Place, Placement

_SECONDS = 10.0
"""How often a tenant's node, or its pods, are looked at; more seldom where there are many, since
pods are not watched: little of what happens to them concerns nodes."""
_LOOK_SECONDS = 0.2
"""How many seconds there are between two such looks, over all of them."""
_REST = 10
"""How many times as long as a look took it rests after it: a tenant decides how large its pods are,
and what it costs to look at them must not be what others wait for."""
_PAGE = 100
"""How many pods or DaemonSets are asked for at once."""
_HURRY_SECONDS = 2.0
"""How soon a node is looked at again that waits for pods to go."""


@dataclass(kw_only=True, slots=True)
class Known:
    """A node: what is known of it, and what came of the last look."""

    facts: NodeFacts
    verdict: Assignment = field(default_factory=lambda: Assignment(Standing.NOBODYS))
    evicted: tuple[str, ...] = ()
    """Pods that NoExecute would evict, and that it waits for."""
    operators: tuple[str, ...] = ()
    """Pods of the operator among them: it never evicts itself."""
    remaining: tuple[str, ...] = ()
    """Pods of others that do not tolerate the taint, and are there nevertheless."""
    guests: tuple[str, ...] = ()
    """Pods of others that tolerate the taint."""
    left: tuple[str, ...] = ()
    """Pods of a former tenant."""
    strangers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Pods of other tenants on a node that one has, by tenant."""
    problem: str = ""
    """Why the last write did not work."""
    concerned: frozenset[str] = frozenset()
    """Tenants who have it, get it, leave it or ask for it."""
    stood: Marks | None = None
    """The marks that were seen in place: what differs from them later is somebody else's doing."""


class Strays(NamedTuple):
    """Pods of a tenant that are not where they should be."""

    elsewhere: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()


class Repair(NamedTuple):
    """A node whose marks were put back."""

    tenant: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the nodes need to know of tenants."""

    owner_of: Callable[[str], str]
    """The tenant of a namespace, or nothing."""
    is_retained: Callable[[str], bool]
    """Whether a tenant who asks for nothing keeps what it has: it is deleted and its namespaces
    are retained, or its spec cannot be read."""
    is_held: Callable[[str], bool]
    """Whether nothing of a tenant may be changed now."""


class Nodes:
    """Every node; writes to those that tenants have, get or leave, and to no other."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        meter: Meter,
        around: Surroundings,
        book: NodeBook,
        woken: Callable[[str], object] = lambda _: None,
        news: Callable[[Collection[str]], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``woken`` is called with each node that changed, ``news`` with tenants that lost one."""
        self._book = book
        self._woken = woken
        self._news = news
        self._clock = clock
        self._cluster = cluster
        self._meter = meter
        self._around = around
        self._known: dict[str, Known] = {}
        self._is_answer = False
        """Whether what is taken is the answer to a request of its own, which wakes nothing."""
        self._concerned: defaultdict[str, set[str]] = defaultdict(set)
        """Nodes by the tenants that they concern."""
        self._claims = NodeRequests()
        self._daemons: tuple[DaemonFacts, ...] = ()
        self._strays: dict[str, Strays] = {}
        book.follow(self._follow)

    # --- what is seen -----------------------------------------------------------------------

    def _follow(self, change: Change) -> None:
        """Take a node as it now is, or that it is gone."""
        name, before, after = change
        known = self._known.get(name)
        if after is None:
            if known is not None:
                del self._known[name]
                self._news(self._concern(name, known, ()))
            return
        if known is None or before is None:
            self._known[name] = Known(facts=after.facts)
        elif after.facts == before.facts:
            return
        else:
            if after.facts.uid != before.facts.uid:
                # Registered again: nothing that was seen of the other one holds.
                known.stood = None
            known.facts = after.facts
        if not self._is_answer:
            self._woken(name)
        for other, each in self._known.items():
            if each.verdict.standing is Standing.LAST and other != name:
                # It may not be the last one any more.
                self._woken(other)

    def names(self) -> list[str]:
        """Return the names of all nodes."""
        return list(self._known)

    def ask(self, tenant: str, asked: TenantNodes | None) -> set[str]:
        """Take what a tenant asks for; return the nodes that this may concern."""
        if not self._claims.put(tenant, asked):
            return set()
        if tenant not in self._claims.tenants:
            self._strays.pop(tenant, None)
        return self._asked_for(tenant) | self.of(tenant)

    def of(self, tenant: str) -> set[str]:
        """Return the nodes that concern a tenant; those not looked at yet are queued anyway."""
        return set(self._concerned.get(tenant, ()))

    def has(self, tenant: str) -> bool:
        """Tell whether a tenant asks for nodes of its own."""
        return tenant in self._claims.tenants

    def asking(self) -> list[str]:
        """Return the tenants who ask for nodes of their own."""
        return sorted(self._claims.tenants)

    def _asked_for(self, tenant: str) -> set[str]:
        asked = self._claims.asked(tenant)
        if asked is None:
            return set()
        return {
            name
            for name, known in self._known.items()
            if tenant in self._claims.of(name, known.facts.labels)
        }

    def _concern(self, name: str, known: Known, tenants: Collection[str]) -> frozenset[str]:
        """Note which tenants a node concerns; return those that it concerned or concerns."""
        before, known.concerned = known.concerned, frozenset(tenants)
        for tenant in before - known.concerned:
            self._concerned[tenant].discard(name)
            if not self._concerned[tenant]:
                del self._concerned[tenant]
        for tenant in known.concerned - before:
            self._concerned[tenant].add(name)
        return before | known.concerned

    # --- work -------------------------------------------------------------------------------

    async def converge(
        self, name: str, settings: SettingsNodes | None
    ) -> tuple[float, Collection[str], Repair | None]:
        """Make one node what it should be.

        Returns when to look again, in seconds, or 0; the tenants whose status it may change; and
        what was repaired. Raises a :class:`ClusterError`.
        """
        known = self._known.get(name)
        if known is None or known.facts.terminating:
            return 0.0, (), None
        before = _outcome(known)
        stood = known.stood
        repair = None
        verdict = nodes.judge(
            known.facts,
            self._claims.of(name, known.facts.labels),
            self._retained(known.facts),
            settings,
            is_last=self._is_last(name),
        )
        known.verdict = verdict
        involved = {each for each in (verdict.owner, *verdict.former) if each != names.SHARED}
        everybody = {*involved, *verdict.rivals} - {""}
        concerned = self._concern(name, known, everybody | known.strangers.keys())
        if any(map(self._around.is_held, involved)):
            return 0.0, concerned, None
        began = self._clock()
        wanted = self._wanted(known, await self._pods(name, verdict))
        rest = _REST * (self._clock() - began)
        if self._known.get(name) is not known:
            # It went meanwhile, and concerns nobody any more.
            return 0.0, concerned, None
        concerned |= self._concern(name, known, everybody | known.strangers.keys())
        changed = nodes.taints_differ(wanted, known.facts) or nodes.label_differs(
            wanted, known.facts
        )
        known.problem = ""
        try:
            await self._write_or_recognize(name, known, wanted)
        except MissingError:
            return 0.0, concerned, None
        except RefusedError as error:
            known.problem = str(error)
        else:
            if changed and stood == wanted:
                self._meter.drifted(kinds.NODE.name)
                repair = _repair(name, verdict.owner)
            known.stood = wanted
        news = concerned if changed or before != _outcome(known) or stood != known.stood else ()
        again = self._again(known)
        return again and max(again, rest), news, repair

    def _is_last(self, name: str) -> bool:
        """Tell whether no other node takes pods of the platform, or is about to go on doing so."""
        return not any(
            each.facts.takes_the_platform and each.verdict.standing is not Standing.OWN
            for other, each in self._known.items()
            if other != name
        )

    def _retained(self, facts: NodeFacts) -> Collection[str]:
        label = facts.label
        is_kept = label and label != names.SHARED and self._around.is_retained(label)
        return (label,) if is_kept else ()

    async def _pods(self, name: str, verdict: Assignment) -> list[PodFacts]:
        """Return the pods of a node that a tenant has, gets or leaves."""
        if verdict.standing is not Standing.OWN and not verdict.former:
            return []
        return [
            found
            async for page in self._cluster.pages(
                kinds.POD,
                fields=f"spec.nodeName={name}",
                take=functools.partial(pods.observe, owner=verdict.owner),
                size=_PAGE,
            )
            for found in page.items
            if not found.finished
        ]

    def _wanted(self, known: Known, found: Iterable[PodFacts]) -> Marks:
        """Return the marks for now, by the pods that are there."""
        verdict, owner = known.verdict, known.verdict.owner
        left, evicted, remaining, guests = [], [], [], []
        operators = []
        strangers: defaultdict[str, list[str]] = defaultdict(list)
        for pod in found:
            tenant = self._around.owner_of(pod.namespace)
            if tenant and tenant in verdict.former:
                left.append(str(pod))
            elif tenant and tenant != owner and verdict.standing is Standing.OWN:
                strangers[tenant].append(str(pod))
            # Anybody may name a DaemonSet as owner: those of other tenants are pods like others.
            is_daemon = pod.daemon and tenant in ("", owner)
            if verdict.standing is not Standing.OWN or is_daemon:
                continue
            if not pod.stays:
                # The tenant's own too, from before the node was its own: they are no less lost.
                evicted.append(str(pod))
                if pod.namespace == names.OPERATOR_NAMESPACE:
                    operators.append(str(pod))
                if tenant != owner:
                    remaining.append(str(pod))
            elif tenant != owner and not pod.mirror:
                guests.append(str(pod))
        asked = self._claims.asked(owner)
        effects: Collection[Effect] = (
            asked.effective_effects
            if asked is not None
            # Nobody asks any more, and what is there is kept.
            else [e for e in EFFECTS if any(e == each.effect for each in known.facts.our_taints)]
        )
        evicts = asked is not None and asked.eviction == "Evict"
        known.left, known.guests = tuple(sorted(left)), tuple(sorted(guests))
        known.strangers = {each: tuple(sorted(told)) for each, told in strangers.items()}
        clear = not operators if evicts else not evicted
        wanted = nodes.marks(verdict, known.facts, effects, vacated=not left, clear=clear)
        waits = "NoExecute" in effects and all(each.effect != "NoExecute" for each in wanted.taints)
        known.evicted = tuple(sorted(evicted)) if waits else ()
        known.operators = tuple(sorted(operators)) if waits else ()
        known.remaining = () if waits else tuple(sorted(remaining))
        return wanted

    async def _write_or_recognize(self, name: str, known: Known, wanted: Marks) -> None:
        """Write what differs; of a refusal, see whether it is about the node that was judged.

        Of another one that took its name meanwhile the API server says that the uid cannot be
        changed (422). Raises a :class:`ConflictError` then.
        """
        try:
            await self._write(name, known, wanted)
        except RefusedError:
            await self._read(name, known)
            raise

    async def _write(self, name: str, known: Known, wanted: Marks) -> None:
        """Write what differs.

        A label that leaves goes before the taint does, and one that comes after it: where the
        label stands, the taint does too.
        """
        if known.facts.label and wanted.label != known.facts.label:
            await self._unlabel(name, known)
        if nodes.taints_differ(wanted, known.facts):
            body = await self._read(name, known)
            await self._amend(name, nodes.taints_patch(wanted, body))
        if nodes.label_differs(wanted, known.facts):
            ref = Ref(kinds.NODE.name, "", name)
            labels = {names.NODE_LABEL: wanted.label}
            # With the uid, so that it is not put on another node that took the name meanwhile.
            body = objects.marker(ref, labels=labels, uid=known.facts.uid)
            self._take(await self._cluster.apply(Manifest(ref, body)))
            self._meter.wrote("apply", kinds.NODE.name)

    async def _unlabel(self, name: str, known: Known) -> None:
        body = await self._read(name, known)
        value = (body["metadata"].get("labels") or {}).get(names.NODE_LABEL)
        if value is not None:
            path = drift.pointer(["metadata", "labels", names.NODE_LABEL])
            test = {"op": "test", "path": path, "value": value}
            await self._amend(name, [test, {"op": "remove", "path": path}])

    async def _amend(self, name: str, patch: list[dict[str, Any]]) -> None:
        self._take(await self._cluster.amend(Ref(kinds.NODE.name, "", name), patch))
        self._meter.wrote("amend", kinds.NODE.name)

    async def _read(self, name: str, known: Known) -> Body:
        """Return the node as it is now, if it is still the one that was judged."""
        body = await self._cluster.read(Ref(kinds.NODE.name, "", name))
        if body is None:
            raise MissingError(f"Node {name} is gone")
        if body["metadata"]["uid"] != known.facts.uid:
            raise ConflictError(f"Node {name} was registered again")
        self._take(body)
        return body

    def _take(self, body: Body) -> None:
        """Take a node as the API server answered."""
        self._is_answer = True
        try:
            self._book.put(body)
        finally:
            self._is_answer = False

    def _again(self, known: Known) -> float:
        taints = () if known.stood is None else known.stood.taints
        is_evicting = known.remaining and any(each.effect == "NoExecute" for each in taints)
        if known.left or known.evicted or is_evicting:
            return _HURRY_SECONDS
        if known.verdict.standing is Standing.OWN:
            own = sum(len(each) for each in self._concerned.values())
            return max(_SECONDS, _LOOK_SECONDS * own)
        return 0.0

    # --- pods and DaemonSets ----------------------------------------------------------------

    async def look_at_pods(
        self, tenant: str, namespaces: Iterable[str], total: int
    ) -> tuple[float, bool]:
        """See where a tenant's pods are; return when to look again, and whether that changed.

        ``total`` is the number of namespaces of all tenants with nodes of their own.
        """
        elsewhere, pending = [], []
        began = self._clock()
        for namespace in sorted(namespaces):
            async for page in self._cluster.pages(
                kinds.POD, namespace=namespace, take=pods.observe, size=_PAGE
            ):
                for pod in page.items:
                    if pod.finished:
                        continue
                    if pod.node and not self._is_own(pod.node, tenant):
                        elsewhere.append(str(pod))
                    elif not pod.node and pod.unschedulable:
                        pending.append(f"{pod} ({pod.unschedulable})")
        found = Strays(tuple(sorted(elsewhere)), tuple(sorted(pending)))
        news = found != self._strays.get(tenant, Strays())
        self._strays[tenant] = found
        took = self._clock() - began
        return max(_SECONDS, _LOOK_SECONDS * total, took * _REST), news

    def _is_own(self, node: str, tenant: str) -> bool:
        known = self._known.get(node)
        return known is not None and tenant in (
            known.facts.label,
            known.verdict.owner,
            # Its pods leave such a node by themselves.
            *known.verdict.former,
        )

    async def look_at_daemons(self) -> bool:
        """See which DaemonSets there are; tell whether that changes anything."""
        found = [
            each
            async for page in self._cluster.pages(
                kinds.DAEMON_SET, take=self._observe_daemon, size=_PAGE
            )
            for each in page.items
            if each is not None
        ]
        before, self._daemons = self._daemons, tuple(sorted(found, key=str))
        return before != self._daemons

    def _observe_daemon(self, body: Body) -> DaemonFacts | None:
        """Reduce a DaemonSet of the platform; those of tenants are not looked at."""
        theirs = self._around.owner_of(body["metadata"]["namespace"])
        return None if theirs else pods.observe_daemon(body)

    # --- how a tenant stands ----------------------------------------------------------------

    def placement(
        self, tenant: str, asked: TenantNodes, settings: SettingsNodes | None
    ) -> Placement:
        """Return what is known of the nodes of a tenant."""
        concerned = [(name, self._known[name]) for name in sorted(self._concerned.get(tenant, ()))]
        leaving = tuple(
            Place(name, known.left)
            for name, known in concerned
            if tenant in known.verdict.former and known.left
        )
        if not asked.is_dedicated:
            elsewhere = tuple(
                sorted(
                    f"{each} on {name}"
                    for name, known in concerned
                    for each in known.strangers.get(tenant, ())
                )
            )
            return Placement(dedicated=False, leaving=leaving, elsewhere=elsewhere)
        own = [(name, known) for name, known in concerned if known.verdict.owner == tenant]
        strays = self._strays.get(tenant, Strays())
        return Placement(
            dedicated=True,
            unsettled=settings is None,
            effects=asked.effective_effects,
            nodes=tuple(name for name, known in own if known.stood and known.stood.label == tenant),
            contested=tuple(
                Place(name, _others(known.verdict, tenant))
                for name, known in concerned
                if tenant in known.verdict.rivals
                and known.verdict.standing not in (Standing.KEPT, Standing.LAST)
            ),
            kept=tuple(
                name
                for name, known in concerned
                if tenant in known.verdict.rivals and known.verdict.standing is Standing.KEPT
            ),
            last=tuple(
                name
                for name, known in concerned
                if tenant in known.verdict.rivals and known.verdict.standing is Standing.LAST
            ),
            unknown=tuple(sorted(each for each in asked.names or () if each not in self._known)),
            failed=tuple(Place(name, (known.problem,)) for name, known in own if known.problem),
            operators=_places(own, lambda known: known.operators),
            waiting=_places(
                own,
                lambda known: tuple(each for each in known.evicted if each not in known.operators),
            ),
            left=_places(own, lambda known: known.left),
            remaining=_places(own, lambda known: known.remaining),
            leaving=leaving,
            elsewhere=strays.elsewhere,
            pending=strays.pending,
            guests=_places(own, lambda known: known.guests),
            daemons=tuple(
                str(each)
                for each in self._daemons
                if any(each.is_kept_out(tenant, known.facts.labels) for _, known in own)
            ),
        )


def _outcome(known: Known) -> tuple[object, ...]:
    """Return what tenants see of a node."""
    return (
        known.verdict,
        known.evicted,
        known.operators,
        known.remaining,
        known.guests,
        known.left,
        known.strangers,
        known.problem,
    )


def _others(verdict: Assignment, tenant: str) -> tuple[str, ...]:
    if verdict.standing is Standing.OWN:
        return (f"it belongs to {verdict.owner}",)
    return tuple(each for each in verdict.rivals if each != tenant)


def _places(
    own: Iterable[tuple[str, Known]], who: Callable[[Known], tuple[str, ...]]
) -> tuple[Place, ...]:
    return tuple(Place(name, who(known)) for name, known in own if who(known))


def _repair(name: str, owner: str) -> Repair | None:
    # The message does not say who did it: who takes a field away leaves no trace in managedFields.
    if not owner or owner == names.SHARED:
        return None
    return Repair(owner, f"Label or taint of Node {name} was changed; it is put back")
