"""What pods may exchange with addresses: sets of addresses, ports, and what opens them.

No ingress rule of a ClusterNetworkPolicy names addresses (network-policy-api, v1alpha2), so what
comes from them is for NetworkPolicies to decide, else for nobody.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from securetenant.checks import blocks, ports, tiers
from securetenant.checks.blocks import EVERYWHERE, Address, Ranges
from securetenant.checks.policies import UNISOLATED, Direction, Opener, Rule, TierRule
from securetenant.checks.population import Side
from securetenant.checks.ports import Names, Spans


class Box(NamedTuple):
    """Some addresses on some ports, and what opens them."""

    direction: Direction
    addresses: Ranges
    ports: Spans
    opener: Opener


class _Part(NamedTuple):
    """Addresses that a tier treats alike."""

    addresses: Ranges
    decision: tiers.Decision


class Memory:
    """Remembers what tiers make of addresses: all namespaces of a tenant have the same ones."""

    def __init__(self) -> None:
        """Begin without anything."""
        self._known: dict[tuple[int, ...], tuple[tuple[tiers.Group, ...], list[_Part]]] = {}
        self._ranges: dict[int, tuple[object, Ranges]] = {}

    def boxes(self, direction: Direction, side: Side, named: Names) -> Iterator[Box]:
        """Yield what one direction is open to; ``named`` are ports of the pods themselves."""
        for part in self._parts(side.admin):
            for opener, spans in part.decision.accepted:
                yield Box(direction, part.addresses, spans, opener)
            if part.decision.left:
                yield from self._ruled(direction, side, named, part)

    def _ruled(self, direction: Direction, side: Side, named: Names, part: _Part) -> Iterator[Box]:
        """Yield what NetworkPolicies make of what is left, or else the Baseline tier."""
        left = part.decision.left
        if side.rules is None:
            for each in self._parts(side.baseline):
                where = blocks.common(part.addresses, each.addresses)
                accepted = [*each.decision.accepted, (UNISOLATED, each.decision.left)]
                for opener, spans in accepted:
                    if where and (both := ports.common(left, spans)):
                        yield Box(direction, where, both, opener)
            return
        for rule in side.rules:
            # Named ports belong to pods; an address has none.
            resolved = ports.resolved(rule.ports, named if direction == "Ingress" else {})
            spans = ports.common(left, resolved)
            where = blocks.common(part.addresses, self._named(rule)) if spans else ()
            if where:
                yield Box(direction, where, spans, rule.opener)

    def _named(self, rule: Rule) -> Ranges:
        """Return the addresses that a rule names."""
        if rule.peers is None:
            return EVERYWHERE
        known = self._ranges.get(id(rule.peers))
        if known is None:
            found = [each.block for each in rule.peers if each.block is not None]
            ranges = blocks.union(part for each in found for part in each.ranges)
            self._ranges[id(rule.peers)] = known = (rule.peers, ranges)
        return known[1]

    def _parts(self, groups: tuple[tiers.Group, ...]) -> list[_Part]:
        """Return all addresses, divided by what a tier makes of them."""
        if not groups:
            return _WHOLE
        key = tuple(id(rule) for group in groups for rules in group for rule in rules)
        known = self._known.get(key)
        if known is None:
            # The rules are kept too, so that none of their ids comes to mean another.
            self._known[key] = known = (groups, _divided(groups))
        return known[1]


_WHOLE = [_Part(EVERYWHERE, tiers.Decision([], ports.EVERY))]


def _divided(groups: tuple[tiers.Group, ...]) -> list[_Part]:
    cuts: dict[int, set[int]] = {each.version: {each.first, each.last + 1} for each in EVERYWHERE}
    for group in groups:
        for rules in group:
            for rule in rules:
                for peer in rule.peers:
                    if peer.block is not None:
                        cidr = peer.block.cidr
                        cuts[cidr.version].update((cidr.first, cidr.last + 1))
    alike: dict[tuple[tuple[tuple[Opener, Spans], ...], Spans], list[blocks.Range]] = {}
    for version, found in cuts.items():
        ordered = sorted(found)
        for first, after in itertools.pairwise(ordered):
            decision = _decide(groups, Address(version, first))
            key = (tuple(decision.accepted), decision.left)
            alike.setdefault(key, []).append(blocks.Range(version, first, after - 1))
    return [
        _Part(blocks.union(ranges), tiers.Decision(list(accepted), left))
        for (accepted, left), ranges in alike.items()
    ]


def _decide(groups: tuple[tiers.Group, ...], address: Address) -> tiers.Decision:
    def matched(rule: TierRule) -> Spans:
        is_named = any(each.block is not None and each.block.holds(address) for each in rule.peers)
        return rule.ports.spans if is_named else ()

    return tiers.decide(groups, ports.EVERY, matched)
