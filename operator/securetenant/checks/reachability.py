"""Which flows NetworkPolicies allow between tenants, and which rule opens each.

An evaluator of networking.k8s.io/v1 NetworkPolicy as its API documentation words it: policies
add up; a pod is isolated in a direction once a policy of that type selects it; a connection
needs both ends to allow it; answers are implied. What it says is ``Computed``: objects are not
packets, the network plugin has to enforce them. Two things are outside by definition: a pod's
own node always reaches it, and pods on the host network are selected by no policy.

An address block counts for pods too, though Kubernetes means it for the outside: plugins
differ, and the wider reading is the safe one.

Namespaces are sets of bits, pods that no rule can tell apart are one class, and a pair of
namespaces is looked at only where both sides have a rule that crosses: no loop over all pairs.
"""

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from securetenant.api import names
from securetenant.checks import blocks, ports, selectors
from securetenant.checks.blocks import Address, Block, Grid
from securetenant.checks.ports import Names, Ports, Spans
from securetenant.checks.selectors import Index, Labels, Selector, members

Direction = Literal["Ingress", "Egress"]
_PEERS: dict[Direction, str] = {"Ingress": "from", "Egress": "to"}


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


class Opener(NamedTuple):
    """What allows one direction: a rule, or that nothing isolates the pod."""

    policy: str
    """The NetworkPolicy in the pod's namespace; empty when none isolates the pod."""
    rule: int
    """The position in its ingress or egress, from 0; -1 when none isolates the pod."""

    def __str__(self) -> str:
        return f"NetworkPolicy {self.policy}, rule {self.rule}" if self.policy else "no isolation"


_UNISOLATED = Opener("", -1)


class End(NamedTuple):
    """One end of a flow: a class of pods that no rule tells apart."""

    tenant: str
    """Empty for a namespace that is no tenant's."""
    namespace: str
    pods: tuple[str, ...]
    """Their names, sorted; at least one."""

    def __str__(self) -> str:
        more = f" and {len(self.pods) - 1} more" if len(self.pods) > 1 else ""
        return f"{self.namespace}/{self.pods[0]}{more}"


class Flow(NamedTuple):
    """An allowed flow, once for each pair of rules that opens it."""

    source: End
    target: End
    ports: Spans
    """At the target."""
    egress: Opener
    """In the source's namespace."""
    ingress: Opener
    """In the target's namespace."""

    def __str__(self) -> str:
        told = ", ".join(map(str, self.ports))
        return (
            f"{self.source} reaches {self.target} on {told}"
            f" (egress: {self.egress}; ingress: {self.ingress})"
        )


class Outside(NamedTuple):
    """An allowed flow between a tenant's pods and addresses."""

    direction: Direction
    end: End
    block: Block | None
    """The ipBlock of the rule; nothing when every address is meant."""
    ports: Spans
    opener: Opener


class _Peer(NamedTuple):
    namespaces: Selector | None
    """Absent: the policy's own namespace."""
    pods: Selector
    block: Block | None


class _Rule(NamedTuple):
    peers: tuple[_Peer, ...] | None
    """Nothing: everybody."""
    ports: Ports
    opener: Opener


class _Policy(NamedTuple):
    subject: Selector
    rules: dict[Direction, tuple[_Rule, ...]]
    """By each direction that it isolates."""


class _Class(NamedTuple):
    """Pods of one namespace that no rule can tell apart."""

    home: int
    labels: Labels
    addresses: tuple[Address, ...]
    ports: Names
    host_network: bool
    pods: tuple[str, ...]
    rules: dict[Direction, tuple[_Rule, ...] | None]
    """What is allowed by direction; nothing: the pods are not isolated."""


class World:
    """Namespaces, pods and NetworkPolicies at one moment, made ready for questions."""

    def __init__(
        self,
        namespaces: Iterable[Namespace],
        pods: Iterable[Pod],
        policies: Iterable[Mapping[str, Any]],
        *,
        tenant_label: str = names.TENANT_LABEL,
    ) -> None:
        """Take everything; ``policies`` are NetworkPolicies as JSON.

        What lies in a namespace that is not given is left out. ``tenant_label`` is the label
        of a namespace that names its tenant.
        """
        self._namespaces = sorted(namespaces, key=lambda each: each.name)
        self._position = {each.name: at for at, each in enumerate(self._namespaces)}
        self._tenants = [each.labels.get(tenant_label, "") for each in self._namespaces]
        self._index = Index([each.labels for each in self._namespaces])
        compiler = _Compiler()
        self._policies: list[list[_Policy]] = [[] for _ in self._namespaces]
        for body in sorted(policies, key=lambda each: str(each["metadata"]["name"])):
            home = self._position.get(body["metadata"]["namespace"])
            if home is not None:
                self._policies[home].append(compiler.policy(body))
        grid = Grid(compiler.blocks)
        self._classes = self._classify(pods, compiler, grid)
        places: dict[str, list[int]] = {}
        for at, tenant in enumerate(self._tenants):
            places.setdefault(tenant, []).append(at)
        self._of_tenant = {
            tenant: selectors.gathered(found, len(self._namespaces))
            for tenant, found in places.items()
        }
        self._block_homes: dict[Block, int] = {}
        self._reach_known: dict[tuple[_Peer, ...], int] = {}
        self._by_address = sorted(
            {
                (address, at)
                for at, classes in enumerate(self._classes)
                for each in classes
                for address in each.addresses
            }
        )

    # --- questions --------------------------------------------------------------------------

    def crossings(self) -> Iterator[Flow]:
        """Yield every allowed flow from one tenant to another, or between one and the rest.

        Sorted by source and target. What stays within a tenant, or outside of all, is left out.
        """
        outgoing = [self._crossing(at, "Egress") for at in range(len(self._namespaces))]
        incoming = [self._crossing(at, "Ingress") for at in range(len(self._namespaces))]
        open_targets = selectors.gathered(
            [at for at, bits in enumerate(incoming) if bits], len(self._namespaces)
        )
        for source, bits in enumerate(outgoing):
            for target in members(bits & open_targets):
                if incoming[target] >> source & 1:
                    yield from self._between(source, target)

    def flows(self, source: str, target: str) -> tuple[Flow, ...]:
        """Return every allowed flow from one namespace to another, or within one."""
        return tuple(self._between(self._position[source], self._position[target]))

    def outside(self) -> Iterator[Outside]:
        """Yield what tenants' pods may exchange with addresses, rule by rule."""
        for at, classes in enumerate(self._classes):
            if not self._tenants[at]:
                continue
            for each in classes:
                for direction in _PEERS:
                    yield from self._outside(each, direction)

    # --- one pair ---------------------------------------------------------------------------

    def _between(self, source: int, target: int) -> Iterator[Flow]:
        for one in self._classes[source]:
            for other in self._classes[target]:
                outgoing = self._allowing(one, other, "Egress")
                if not outgoing:
                    continue
                for ingress, inward in self._allowing(other, one, "Ingress"):
                    for egress, outward in outgoing:
                        if both := ports.common(inward, outward):
                            yield Flow(self._end(one), self._end(other), both, egress, ingress)

    def _allowing(
        self, subject: _Class, other: _Class, direction: Direction
    ) -> list[tuple[Opener, Spans]]:
        """Return what allows this direction at the subject, with its ports at the target."""
        rules = subject.rules[direction]
        if rules is None:
            return [(_UNISOLATED, ports.EVERY)]
        target = other if direction == "Egress" else subject
        return [
            (rule.opener, spans)
            for rule in rules
            if (
                rule.peers is None
                or any(self._is_peer(each, subject.home, other) for each in rule.peers)
            )
            and (spans := ports.resolved(rule.ports, target.ports))
        ]

    def _is_peer(self, peer: _Peer, home: int, other: _Class) -> bool:
        if peer.block is not None:
            return any(peer.block.holds(address) for address in other.addresses)
        if other.host_network:
            return False
        if peer.namespaces is None:
            is_there = other.home == home
        else:
            is_there = bool(self._index.select(peer.namespaces) >> other.home & 1)
        return is_there and selectors.matches(peer.pods, other.labels)

    def _outside(self, subject: _Class, direction: Direction) -> Iterator[Outside]:
        rules = subject.rules[direction]
        if rules is None:
            yield Outside(direction, self._end(subject), None, ports.EVERY, _UNISOLATED)
            return
        for rule in rules:
            # Named ports belong to pods; an address has none.
            named = subject.ports if direction == "Ingress" else {}
            spans = ports.resolved(rule.ports, named)
            if not spans:
                continue
            if rule.peers is None:
                yield Outside(direction, self._end(subject), None, spans, rule.opener)
            for peer in rule.peers or ():
                if peer.block is not None:
                    yield Outside(direction, self._end(subject), peer.block, spans, rule.opener)

    def _end(self, each: _Class) -> End:
        home = self._namespaces[each.home].name
        return End(self._tenants[each.home], home, each.pods)

    # --- sets of namespaces -----------------------------------------------------------------

    def _crossing(self, at: int, direction: Direction) -> int:
        """Return the namespaces of others that some pod here may have a flow with."""
        bits = 0
        for each in self._classes[at]:
            rules = each.rules[direction]
            if rules is None:
                bits = self._index.everybody
                break
            for rule in rules:
                bits |= self._index.everybody if rule.peers is None else self._reach(rule.peers)
        return bits & ~self._of_tenant[self._tenants[at]]

    def _reach(self, peers: tuple[_Peer, ...]) -> int:
        """Return the namespaces of others where a peer may be; a peer's pods are not looked at."""
        known = self._reach_known.get(peers)
        if known is None:
            known = 0
            for peer in peers:
                if peer.block is not None:
                    known |= self._homes(peer.block)
                elif peer.namespaces is not None:
                    known |= self._index.select(peer.namespaces)
            self._reach_known[peers] = known
        return known

    def _homes(self, block: Block) -> int:
        """Return the namespaces with a pod whose address lies in the block."""
        known = self._block_homes.get(block)
        if known is None:
            version, first, last = block.cidr
            known = selectors.gathered(
                [
                    at
                    for address, at in self._by_address[
                        self._place(Address(version, first)) : self._place(
                            Address(version, last + 1)
                        )
                    ]
                    if block.holds(address)
                ],
                len(self._namespaces),
            )
            self._block_homes[block] = known
        return known

    def _place(self, address: Address) -> int:
        return bisect.bisect_left(self._by_address, address, key=lambda entry: entry[0])

    # --- classes of pods --------------------------------------------------------------------

    def _classify(
        self, pods: Iterable[Pod], compiler: "_Compiler", grid: Grid
    ) -> list[list[_Class]]:
        """Group the pods of each namespace by all that a rule could look at."""
        groups: list[dict[Any, list[str]]] = [{} for _ in self._namespaces]
        keys, port_names = compiler.keys, compiler.port_names
        for pod in pods:
            home = self._position.get(pod.namespace)
            if home is None:
                continue
            alike = (
                tuple(sorted((key, value) for key, value in pod.labels.items() if key in keys)),
                tuple(sorted({grid.cell(blocks.address(each)) for each in pod.addresses})),
                tuple(sorted(each for each in pod.ports.items() if each[0] in port_names)),
                pod.host_network,
            )
            groups[home].setdefault(alike, []).append(pod.name)
        return [
            [self._class(home, alike, members) for alike, members in sorted(group.items())]
            for home, group in enumerate(groups)
        ]

    def _class(self, home: int, alike: Any, pods: Sequence[str]) -> _Class:
        pairs, addresses, named, host_network = alike
        labels = dict(pairs)
        rules: dict[Direction, tuple[_Rule, ...] | None] = {}
        for direction in _PEERS:
            selecting = [
                policy.rules[direction]
                for policy in self._policies[home]
                if direction in policy.rules
                and not host_network
                and selectors.matches(policy.subject, labels)
            ]
            found = tuple(rule for each in selecting for rule in each)
            rules[direction] = found if selecting else None
        return _Class(
            home, labels, addresses, dict(named), host_network, tuple(sorted(pods)), rules
        )


class _Compiler:
    """Turns policies into values, equal parts into the same value, and notes what they look at."""

    def __init__(self) -> None:
        self.blocks: set[Block] = set()
        self.keys: set[str] = set()
        """Labels of pods that some selector looks at."""
        self.port_names: set[tuple[str, str]] = set()

    def policy(self, body: Mapping[str, Any]) -> _Policy:
        """Return a policy; absent policyTypes mean what the API server would make of them."""
        spec = body["spec"]
        types = spec.get("policyTypes") or (
            ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
        )
        name = str(body["metadata"]["name"])
        return _Policy(
            self._pods(spec.get("podSelector") or {}),
            {
                direction: tuple(
                    self._rule(rule, direction, Opener(name, at))
                    for at, rule in enumerate(spec.get(direction.lower()) or ())
                )
                for direction in _PEERS
                if direction in types
            },
        )

    def _rule(self, body: Mapping[str, Any], direction: Direction, opener: Opener) -> _Rule:
        peers = body.get(_PEERS[direction])
        found = ports.compiled(body.get("ports"))
        self.port_names.update(found.names)
        return _Rule(tuple(map(self._peer, peers)) if peers else None, found, opener)

    def _peer(self, body: Mapping[str, Any]) -> _Peer:
        raw = body.get("ipBlock")
        if raw is not None:
            block = blocks.compiled(raw)
            self.blocks.add(block)
            return _Peer(None, (), block)
        spaces = body.get("namespaceSelector")
        return _Peer(
            None if spaces is None else selectors.compiled(spaces),
            self._pods(body.get("podSelector") or {}),
            None,
        )

    def _pods(self, body: Mapping[str, Any]) -> Selector:
        selector = selectors.compiled(body)
        self.keys.update(each.key for each in selector)
        return selector
