"""Which flows network policies allow between namespaces and with addresses, and what opens each.

An evaluator of networking.k8s.io/v1 NetworkPolicy and policy.networking.k8s.io/v1alpha2
ClusterNetworkPolicy as their API documentation words them. In each direction the Admin tier
decides first, by priority; what it leaves is decided by NetworkPolicies where one isolates the
pod, else by the Baseline tier, else it is open. A connection needs both ends to allow it; answers
are implied. What it says is ``Computed``: objects are not packets, the network plugin has to
enforce them. Two things are outside by definition: a pod's own node always reaches it, and pods
on the host network are selected by no policy.

Where the documentation leaves a choice, the answer is the wider one. An address block counts for
pods too, though Kubernetes means it for the outside; of policies with one priority each may
decide; a rule that cannot be evaluated (:meth:`World.unclear`) closes nothing.

A Service is no wall: traffic to its ClusterIP is traffic to its pods
(:mod:`securetenant.checks.services`).

Namespaces are sets of bits, pods that no rule can tell apart are one class, and a pair of
namespaces is looked at only where both sides have a rule that crosses: no loop over all pairs.
After a change, :meth:`World.put`, :meth:`World.remove` and :meth:`World.change_cluster` bring it up
to date, and the answers are those of a new world. What a world remembers of policies only grows,
so make a new one now and then.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from securetenant.api import names
from securetenant.checks import imagined, ports, selectors, tiers
from securetenant.checks.flows import End, Flow, Link, Outside
from securetenant.checks.outside import Box, Memory
from securetenant.checks.policies import UNISOLATED, Direction, Opener, Peer, TierRule
from securetenant.checks.population import Class, Namespace, Pod, Population, Side
from securetenant.checks.ports import Spans
from securetenant.checks.selectors import Selector, members

__all__ = ["Direction", "End", "Flow", "Link", "Namespace", "Opener", "Outside", "Pod", "World"]


_ASSUMED: tiers.Allowed = [(UNISOLATED, ports.EVERY)]


class World:
    """Namespaces, pods and network policies, made ready for questions and for changes."""

    def __init__(
        self,
        namespaces: Iterable[Namespace],
        pods: Iterable[Pod],
        policies: Iterable[Mapping[str, Any]],
        cluster_policies: Iterable[Mapping[str, Any]] = (),
        *,
        tenant_label: str = names.TENANT_LABEL,
        imagine: bool = True,
    ) -> None:
        """Take everything; policies are NetworkPolicies and ClusterNetworkPolicies as JSON.

        What lies in a namespace that is not given is left out. ``tenant_label`` is the label
        of a namespace that names its tenant. With ``imagine``, a namespace without pods is judged
        by pods that could be made there (:mod:`securetenant.checks.imagined`).
        """
        self.population = Population(tenant_label)
        self._imagine = imagine
        self._outside = Memory()
        inhabitants: dict[str, list[Pod]] = {}
        for pod in pods:
            inhabitants.setdefault(pod.namespace, []).append(pod)
        compiler = self.population.compiler
        rules: dict[str, list[Any]] = {}
        # Each body is read at once and let go: those of a large cluster are more than the rest.
        for body in policies:
            home = body["metadata"]["namespace"]
            rules.setdefault(home, []).append(compiler.network_policy(body))
        for each in namespaces:
            self.population.put(each, inhabitants.get(each.name, ()), rules.get(each.name, ()))
        self.change_cluster({each["metadata"]["name"]: each for each in cluster_policies})

    # --- changes ----------------------------------------------------------------------------

    def put(
        self,
        namespace: Namespace,
        pods: Iterable[Pod],
        policies: Iterable[Mapping[str, Any]],
    ) -> None:
        """Put a namespace, its pods and its NetworkPolicies in place of what had its name."""
        compiled = map(self.population.compiler.network_policy, policies)
        self.population.put(namespace, pods, compiled)

    def remove(self, namespace: str) -> None:
        """Take a namespace out; without one of that name nothing happens."""
        if namespace in self.population.position:
            self.population.remove(namespace)

    def change_cluster(self, changed: Mapping[str, Mapping[str, Any] | None]) -> set[str]:
        """Put ClusterNetworkPolicies in place of those of their names; nothing takes one out.

        Returns the namespaces that they are about, or were.
        """
        return self.population.change_cluster(changed)

    # --- questions --------------------------------------------------------------------------

    def namespaces(self) -> list[str]:
        """Return the names of all namespaces, sorted."""
        return sorted(self.population.position)

    def tenant(self, namespace: str) -> str:
        """Return whose a namespace is; empty for nobody's."""
        return self.population.at(self.population.position[namespace]).tenant

    def unclear(self, namespace: str) -> tuple[str, ...]:
        """Say which parts of ClusterNetworkPolicies about a namespace cannot be evaluated."""
        space = self.population.at(self.population.position[namespace])
        return tuple(
            f"ClusterNetworkPolicy {each.name}, {what}"
            for each in space.cluster
            for what in each.unknown
        )

    def crossings(self) -> Iterator[Flow]:
        """Yield every allowed flow from one tenant to another, or between one and the rest.

        Sorted by source and target. What stays within a tenant, or outside of all, is left out.
        """
        people = self.population
        order = sorted(people.position.items())
        incoming = {at: self.toward(at) for _, at in order}
        open_targets = selectors.gathered(at for at, bits in incoming.items() if bits)
        for source, at in order:
            own = people.of_tenant[people.at(at).tenant]
            bits = self.outward(at) & open_targets & ~own
            targets = [each for each in members(bits) if incoming[each] >> at & 1]
            for target in sorted(people.at(each).namespace.name for each in targets):
                yield from self.flows(source, target)

    def flows(self, source: str, target: str) -> tuple[Flow, ...]:
        """Return every allowed flow from one namespace to another, or within one; sorted.

        Pods with the same flows are one end.
        """
        position = self.population.position
        by_source: dict[Any, set[str]] = {}
        for link in self.links(position[source], position[target]):
            for pod in link.source.pods or ("",):
                key = (pod, link.ports, link.egress, link.ingress)
                by_source.setdefault(key, set()).update(link.target.pods)
        by_target: dict[Any, set[str]] = {}
        for (pod, *rest), targets in by_source.items():
            key = (*rest, tuple(sorted(targets)))
            by_target.setdefault(key, set()).update((pod,) if pod else ())
        return tuple(
            sorted(
                Flow(
                    End(self.tenant(source), source, tuple(sorted(sources))),
                    End(self.tenant(target), target, targets),
                    spans,
                    egress,
                    ingress,
                )
                for (spans, egress, ingress, targets), sources in by_target.items()
            )
        )

    def outside(self, namespace: str | None = None) -> Iterator[Outside]:
        """Yield what tenants' pods may exchange with addresses; of one namespace, or of all."""
        for name in self.namespaces() if namespace is None else (namespace,):
            tenant = self.tenant(name)
            if not tenant:
                continue
            merged: dict[Any, set[str]] = {}
            for each, found in self.boxes(self.population.position[name]):
                merged.setdefault(found, set()).update(each.pods)
            for (direction, ranges, spans, opener), pods in sorted(merged.items()):
                end = End(tenant, name, tuple(sorted(pods)))
                yield Outside(direction, end, ranges, spans, opener)

    # --- one pair, by classes of pods ---------------------------------------------------------

    def links(self, source: int, target: int, assumed: Direction | None = None) -> Iterator[Link]:
        """Yield every allowed flow from one namespace to another, class by class.

        With ``assumed``, that direction is taken to be open whatever decides about it.
        """
        sources, targets = self._classes(source, target), self._classes(target, source)
        for one in sources:
            for other in targets:
                outgoing = _ASSUMED if assumed == "Egress" else self._allowing(one, other, "Egress")
                if not outgoing:
                    continue
                for ingress, inward in (
                    _ASSUMED if assumed == "Ingress" else self._allowing(other, one, "Ingress")
                ):
                    for egress, outward in outgoing:
                        if both := ports.common(inward, outward):
                            yield Link(one, other, both, egress, ingress)

    def boxes(self, at: int) -> Iterator[tuple[Class, Box]]:
        """Yield what the pods of a namespace may exchange with addresses, class by class."""
        for each in self._classes(at):
            for direction in ("Ingress", "Egress"):
                for box in self._outside.boxes(direction, each.side(direction), each.ports):
                    yield each, box

    def _classes(self, at: int, other: int | None = None) -> tuple[Class, ...]:
        """Return the pods of a namespace; without any, those that could be made."""
        space = self.population.at(at)
        if space.pods or not self._imagine:
            return self.population.classes(at)
        subjects = {each.subject for each in space.policies}
        subjects.update(each.pods for each in space.cluster)
        named = set(self._named(at, other)) if other is not None else set()
        known: dict[Any, tuple[Side, Side]] = {}
        ports_by_name = imagined.ports(self.population.compiler.port_names)
        return tuple(
            Class(
                at,
                labels,
                (),
                ports_by_name,
                False,
                (),
                *self.population.sides(space, labels, known),
            )
            for labels in imagined.labellings(subjects, named)
        )

    def _named(self, at: int, other: int) -> Iterator[Selector]:
        """Yield by which labels the rules of one namespace name pods of another."""
        space, there = self.population.at(at), self.population.at(other)
        rules: list[Any] = [
            rule for each in there.policies for found in each.rules.values() for rule in found
        ]
        rules += [rule for each in there.cluster for found in each.rules.values() for rule in found]
        for rule in rules:
            for peer in rule.peers or ():
                if peer.block is None and (
                    at == other
                    if peer.namespaces is None
                    else selectors.matches(peer.namespaces, space.namespace.labels)
                ):
                    yield peer.pods

    def _allowing(self, subject: Class, other: Class, direction: Direction) -> tiers.Allowed:
        """Return what allows this direction at the subject, with its ports at the target."""
        side = subject.side(direction)
        target = other if direction == "Egress" else subject
        if not side.admin and not side.baseline:
            return self._ruled(side, subject, other, target, ports.EVERY)
        if len(other.addresses) <= 1:
            return self._tiered(side, subject, other, target)
        # Each connection has one address of the other, so a network that holds one of them
        # decides nothing about the rest.
        found: dict[Opener, Spans] = {}
        for address in other.addresses:
            one = other._replace(addresses=(address,))
            for opener, spans in self._tiered(side, subject, one, target):
                found[opener] = ports.union((*found.get(opener, ()), *spans))
        return list(found.items())

    def _tiered(self, side: Side, subject: Class, other: Class, target: Class) -> tiers.Allowed:
        def matched(rule: TierRule) -> Spans:
            if any(self._is_peer(each, subject.home, other) for each in rule.peers):
                return ports.resolved(rule.ports, target.ports)
            return ()

        decision = tiers.decide(side.admin, ports.EVERY, matched)
        found = decision.accepted
        if decision.left:
            found += self._ruled(side, subject, other, target, decision.left, matched)
        return found

    def _ruled(
        self,
        side: Side,
        subject: Class,
        other: Class,
        target: Class,
        traffic: Spans,
        matched: Callable[[TierRule], Spans] = lambda _: (),
    ) -> tiers.Allowed:
        """Return what NetworkPolicies make of traffic, or else the Baseline tier."""
        if side.rules is None:
            decision = tiers.decide(side.baseline, traffic, matched)
            return decision.accepted + ([(UNISOLATED, decision.left)] if decision.left else [])
        return [
            (rule.opener, spans)
            for rule in side.rules
            if (
                rule.peers is None
                or any(self._is_peer(each, subject.home, other) for each in rule.peers)
            )
            and (spans := ports.common(traffic, ports.resolved(rule.ports, target.ports)))
        ]

    def _is_peer(self, peer: Peer, home: int, other: Class) -> bool:
        if peer.block is not None:
            return any(peer.block.holds(address) for address in other.addresses)
        if other.host_network:
            return False
        if peer.namespaces is None:
            is_there = other.home == home
        else:
            is_there = bool(self.population.index.select(peer.namespaces) >> other.home & 1)
        return is_there and selectors.matches(peer.pods, other.labels)

    # --- sets of namespaces -----------------------------------------------------------------

    def outward(self, at: int) -> int:
        """Return the other namespaces that some pod here may reach, by its own half only."""
        return self._crossing(at, "Egress")

    def toward(self, at: int) -> int:
        """Return the other namespaces that may reach some pod here, by its own half only."""
        return self._crossing(at, "Ingress")

    def _crossing(self, at: int, direction: Direction) -> int:
        bits = 0
        everybody = self.population.index.everybody
        # Most pods of a namespace are decided about by the same rules.
        sides = {id(side): side for each in self._classes(at) if (side := each.side(direction))}
        for side in sides.values():
            bits |= self._may(side)
            if bits == everybody:
                break
        return bits & ~(1 << at)

    def _may(self, side: Side) -> int:
        """Return the namespaces that some traffic is not closed for."""
        found, left = self._tier(side.admin, self.population.index.everybody)
        if side.rules is None:
            more, left = self._tier(side.baseline, left)
            return found | more | left
        for rule in side.rules:
            found |= left if rule.peers is None else left & self.population.reach(rule.peers)
        return found

    def _tier(self, groups: Iterable[tiers.Group], left: int) -> tuple[int, int]:
        """Return for which namespaces a tier accepts some traffic, and for which it leaves some."""
        accepted = passed = 0
        for group in groups:
            remaining = left
            for rules in group:
                undecided = left
                for rule in rules:
                    hit = undecided & self.population.reach(rule.peers)
                    if rule.action == "Accept":
                        accepted |= hit
                    elif rule.action == "Pass":
                        passed |= hit if rule.is_whole else undecided
                    if rule.ports.spans == ports.EVERY:
                        undecided &= ~self.population.whole(rule.peers)
                remaining &= undecided
            left = remaining
        return accepted, passed | left
