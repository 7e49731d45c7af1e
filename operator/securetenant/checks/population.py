"""Namespaces, pods and addresses, and who of them a peer may name: sets of bits, kept up to date.

A namespace has a position, and a set of namespaces is an integer with one bit for each.
"""

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from securetenant.checks import blocks, selectors, tiers
from securetenant.checks.blocks import Address, Block, Grid
from securetenant.checks.policies import (
    SIDES,
    ClusterPolicy,
    Compiler,
    Direction,
    Peer,
    Policy,
    Rule,
    TierRule,
)
from securetenant.checks.ports import Names
from securetenant.checks.selectors import Index, Labels, members


@dataclass(frozen=True, kw_only=True, slots=True)
class Namespace:
    """A namespace: its labels say whose it is and who selects it."""

    name: str
    labels: Labels


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod, running or imagined."""

    namespace: str
    name: str
    labels: Labels = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    ports: Names = field(default_factory=dict)
    """Its named ports: number by (protocol, name)."""
    host_network: bool = False
    """Whether it speaks with its node's address; then no policy selects it."""


class Side(NamedTuple):
    """What decides about one direction of a pod."""

    admin: tuple[tiers.Group, ...]
    rules: tuple[Rule, ...] | None
    """Of NetworkPolicies; nothing: none isolates the pod."""
    baseline: tuple[tiers.Group, ...]


class Class(NamedTuple):
    """Pods of one namespace that no rule can tell apart."""

    home: int
    labels: Labels
    addresses: tuple[Address, ...]
    ports: Names
    host_network: bool
    pods: tuple[str, ...]
    """Their names, sorted; none for pods that are only imagined."""
    ingress: Side
    egress: Side

    def side(self, direction: Direction) -> Side:
        """Return what decides about a direction."""
        return self.ingress if direction == "Ingress" else self.egress


_ANOTHER = "?"
"""Stands for each value of a label that no selector names; it is no value itself."""
OPEN = Side((), None, ())
"""Nothing decides: all is open."""


class Space:
    """What is known about one namespace."""

    __slots__ = ("_classes", "_seen", "cluster", "namespace", "pods", "policies", "tenant")

    def __init__(self, namespace: Namespace, tenant: str) -> None:
        """Take a namespace, and whose it is."""
        self.namespace = namespace
        self.tenant = tenant
        self.pods: tuple[Pod, ...] = ()
        self.policies: tuple[Policy, ...] = ()
        self.cluster: tuple[ClusterPolicy, ...] = ()
        """Those that may select pods here, by tier, priority and name."""
        self.forget()

    @property
    def addresses(self) -> frozenset[str]:
        """Return those of all pods."""
        return frozenset(text for each in self.pods for text in each.addresses)

    def forget(self) -> None:
        """Leave the classes to be computed again."""
        self._classes: tuple[Class, ...] = ()
        self._seen = -1

    def remembered(self, version: int) -> tuple[Class, ...] | None:
        """Return the classes, if they are of that version."""
        return self._classes if self._seen == version else None

    def remember(self, classes: tuple[Class, ...], version: int) -> tuple[Class, ...]:
        """Keep the classes."""
        self._classes, self._seen = classes, version
        return classes


class Population:
    """All namespaces with their pods and the policies that select them."""

    def __init__(self, tenant_label: str) -> None:
        """Begin with nobody."""
        self.spaces: list[Space | None] = []
        self.position: dict[str, int] = {}
        self.index = Index()
        self.of_tenant: dict[str, int] = {}
        self.on_host = 0
        """Namespaces with pods on the host network, which labels do not name."""
        self.compiler = Compiler()
        self._label = tenant_label
        self._free: list[int] = []
        self._cluster: dict[str, ClusterPolicy] = {}
        self._grid = Grid()
        self._version = 0
        """Grows with whatever tells pods apart that were alike."""
        self._parts = 0
        self._reach: dict[tuple[Peer, ...], int] = {}
        self._homes: dict[Block, int] = {}
        self._addresses: list[tuple[Address, int]] = []
        self._is_sorted = True

    def at(self, position: int) -> Space:
        """Return the namespace at a position."""
        found = self.spaces[position]
        if found is None:
            raise LookupError(f"There is no namespace at position {position}")
        return found

    def put(self, namespace: Namespace, pods: Iterable[Pod], policies: Iterable[Policy]) -> None:
        """Put a namespace in place of what was there by its name."""
        at = self.position.get(namespace.name)
        before: Space | None = None
        if at is None:
            at = self._free.pop() if self._free else len(self.spaces)
            if at == len(self.spaces):
                self.spaces.append(None)
            self.position[namespace.name] = at
        else:
            before = self.at(at)
            self._leave(at)
        space = Space(namespace, namespace.labels.get(self._label, ""))
        self.spaces[at] = space
        bit = 1 << at
        self.of_tenant[space.tenant] = self.of_tenant.get(space.tenant, 0) | bit
        self.index.put(at, namespace.labels)
        space.pods = tuple(pods)
        space.policies = tuple(sorted(policies, key=lambda each: each.name))
        space.cluster = _ordered(
            each
            for each in self._cluster.values()
            if selectors.matches(each.namespaces, namespace.labels)
        )
        if any(each.host_network for each in space.pods):
            self.on_host |= bit
        found = {(blocks.address(text), at) for text in space.addresses}
        if found:
            self._addresses.extend(found)
            self._is_sorted = False
        self.learn()
        # Most changes are about policies: who is named by peers stays the same then.
        if before is None or not _are_named_alike(before, space):
            self._refresh(at)

    def remove(self, name: str) -> None:
        """Take a namespace out, with all that is in it."""
        at = self.position.pop(name)
        self._leave(at)
        self.index.put(at, None)
        self.spaces[at] = None
        self._free.append(at)
        self._refresh(at)

    def change_cluster(self, changed: Mapping[str, Any]) -> set[str]:
        """Put ClusterNetworkPolicies in place of those of their names; nothing takes one out.

        Returns the namespaces that they are about, or were.
        """
        touched: dict[int, list[ClusterPolicy]] = {}
        for name, body in changed.items():
            before = self._cluster.pop(name, None)
            after = None if body is None else self.compiler.cluster_policy(body)
            if before is not None:
                for at in members(self.index.select(before.namespaces)):
                    touched.setdefault(at, [])
            if after is not None:
                self._cluster[name] = after
                for at in members(self.index.select(after.namespaces)):
                    touched.setdefault(at, []).append(after)
        for at, more in touched.items():
            space = self.at(at)
            kept = [each for each in space.cluster if each.name not in changed]
            space.cluster = _ordered((*kept, *more))
            space.forget()
        self.learn()
        return {self.at(at).namespace.name for at in touched}

    def learn(self, ranges: Iterable[blocks.Range] = ()) -> None:
        """Tell apart what new policies, and these ranges, tell apart."""
        cuts = [
            part for each in self.compiler.new_blocks() for part in (each.cidr, *each.exceptions)
        ]
        if self._grid.add((*cuts, *ranges)) or self.compiler.parts != self._parts:
            self._parts = self.compiler.parts
            self._version += 1

    def _leave(self, at: int) -> None:
        space = self.at(at)
        self.of_tenant[space.tenant] &= ~(1 << at)
        self.on_host &= ~(1 << at)
        if any(each.addresses for each in space.pods):
            self._addresses = [each for each in self._addresses if each[1] != at]

    def _refresh(self, at: int) -> None:
        """Bring what is remembered about peers up to date for one namespace."""
        bit = 1 << at
        space = self.spaces[at]
        found = (
            [blocks.address(text) for each in space.pods for text in each.addresses]
            if space
            else []
        )
        for block, known in self._homes.items():
            if bool(known & bit) != any(map(block.holds, found)):
                self._homes[block] = known ^ bit
        for peers, known in self._reach.items():
            named = space is not None and any(
                bool(self._homes.get(each.block, 0) & bit)
                if each.block is not None
                else each.namespaces is not None
                and selectors.matches(each.namespaces, space.namespace.labels)
                for each in peers
            )
            if bool(known & bit) != named:
                self._reach[peers] = known ^ bit

    # --- sets of namespaces -----------------------------------------------------------------

    def reach(self, peers: tuple[Peer, ...]) -> int:
        """Return the namespaces where a peer may be, but for the policy's own.

        A peer's pods are not looked at.
        """
        known = self._reach.get(peers)
        if known is None:
            known = 0
            for peer in peers:
                if peer.block is not None:
                    known |= self._at_home(peer.block)
                elif peer.namespaces is not None:
                    known |= self.index.select(peer.namespaces)
            self._reach[peers] = known
        return known

    def whole(self, peers: tuple[Peer, ...]) -> int:
        """Return the namespaces of which every pod is named, whatever its labels."""
        found = 0
        for peer in peers:
            if peer.namespaces is not None and not peer.pods:
                found |= self.index.select(peer.namespaces)
        return found & ~self.on_host

    def _at_home(self, block: Block) -> int:
        """Return the namespaces with a pod whose address lies in the block."""
        known = self._homes.get(block)
        if known is None:
            if not self._is_sorted:
                self._addresses.sort()
                self._is_sorted = True
            version, first, last = block.cidr
            known = selectors.gathered(
                at
                for address, at in self._addresses[
                    self._place(Address(version, first)) : self._place(Address(version, last + 1))
                ]
                if block.holds(address)
            )
            self._homes[block] = known
        return known

    def _place(self, address: Address) -> int:
        return bisect.bisect_left(self._addresses, address, key=lambda entry: entry[0])

    # --- classes of pods --------------------------------------------------------------------

    def classes(self, at: int) -> tuple[Class, ...]:
        """Return the pods of a namespace, those together that no rule can tell apart."""
        space = self.at(at)
        known = space.remembered(self._version)
        if known is not None:
            return known
        values, port_names = self.compiler.values, self.compiler.port_names
        groups: dict[Any, list[str]] = {}
        for pod in space.pods:
            alike = (
                tuple(
                    sorted(
                        (key, value if value in values[key] else _ANOTHER)
                        for key, value in pod.labels.items()
                        if key in values
                    )
                ),
                tuple(sorted({self._grid.cell(blocks.address(each)) for each in pod.addresses})),
                tuple(sorted(each for each in pod.ports.items() if each[0][1] in port_names)),
                pod.host_network,
            )
            groups.setdefault(alike, []).append(pod.name)
        found = []
        sides: dict[Any, tuple[Side, Side]] = {}
        for (pairs, addresses, named, on_host), pods in sorted(groups.items()):
            labels = dict(pairs)
            both = (OPEN, OPEN) if on_host else self.sides(space, labels, sides)
            names = tuple(sorted(pods))
            found.append(Class(at, labels, addresses, dict(named), on_host, names, *both))
        return space.remember(tuple(found), self._version)

    def sides(
        self, space: Space, labels: Labels, known: dict[Any, tuple[Side, Side]]
    ) -> tuple[Side, Side]:
        """Return what decides about pods with these labels: inwards, and outwards.

        ``known`` is what was found for other pods of the namespace: most have the same.
        """
        selecting = [each for each in space.policies if selectors.matches(each.subject, labels)]
        cluster = [each for each in space.cluster if selectors.matches(each.pods, labels)]
        key = (tuple(map(id, selecting)), tuple(map(id, cluster)))
        found = known.get(key)
        if found is None:
            admin = _groups(each for each in cluster if each.is_admin)
            baseline = _groups(each for each in cluster if not each.is_admin)
            sides = []
            for direction in SIDES:
                isolating = [each.rules[direction] for each in selecting if direction in each.rules]
                rules = tuple(rule for each in isolating for rule in each) if isolating else None
                sides.append(Side(admin[direction], rules, baseline[direction]))
            known[key] = found = (sides[0], sides[1])
        return found


def _are_named_alike(one: Space, other: Space) -> bool:
    """Tell whether peers and networks name both, or neither."""
    return one.namespace.labels == other.namespace.labels and one.addresses == other.addresses


def _ordered(policies: Iterable[ClusterPolicy]) -> tuple[ClusterPolicy, ...]:
    return tuple(sorted(policies, key=lambda each: (not each.is_admin, each.priority, each.name)))


def _groups(policies: Iterable[ClusterPolicy]) -> dict[Direction, tuple[tiers.Group, ...]]:
    """Return the rules of policies that are sorted by priority, those of one priority together."""
    found: dict[Direction, dict[int, list[tuple[TierRule, ...]]]] = {each: {} for each in SIDES}
    for policy in policies:
        for direction in SIDES:
            if policy.rules[direction]:
                found[direction].setdefault(policy.priority, []).append(policy.rules[direction])
    return {
        direction: tuple(tuple(group) for group in groups.values())
        for direction, groups in found.items()
    }
