"""Ports of network policies: spans of numbers by protocol, and names that a pod resolves."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_LAST = 65535
OTHER = "other"
"""Every protocol without ports, such as ICMP. Only a rule that names no port covers it."""
ANY = ""
"""The protocol of a name that counts for every protocol (ClusterNetworkPolicy)."""


class Span(NamedTuple):
    """Consecutive ports of one protocol, both ends included; 0 to 0 for :data:`OTHER`."""

    protocol: str
    first: int
    last: int

    def __str__(self) -> str:
        if self.protocol == OTHER:
            return "other protocols"
        if (self.first, self.last) == (1, _LAST):
            return self.protocol
        last = "" if self.first == self.last else f"-{self.last}"
        return f"{self.protocol} {self.first}{last}"


Spans = tuple[Span, ...]
"""A set of ports: sorted, disjoint, no two of one protocol adjacent."""

EVERY: Spans = (
    Span("SCTP", 1, _LAST),
    Span("TCP", 1, _LAST),
    Span("UDP", 1, _LAST),
    Span(OTHER, 0, 0),
)

Names = Mapping[tuple[str, str], int]
"""The ports of a pod by (protocol, name)."""


class Ports(NamedTuple):
    """The ports of one rule."""

    spans: Spans
    names: tuple[tuple[str, str], ...] = ()
    """(protocol, name) of ports that each pod resolves for itself; sorted."""


_ALL = Ports(EVERY)


def compiled(entries: Iterable[Mapping[str, Any]] | None) -> Ports:
    """Return the ports of a NetworkPolicy's rule; none named means every port and protocol."""
    entries = tuple(entries or ())
    if not entries:
        return _ALL
    spans, names = [], set()
    for entry in entries:
        protocol = entry.get("protocol") or "TCP"
        port = entry.get("port")
        if port is None:
            spans.append(Span(protocol, 1, _LAST))
        elif isinstance(port, str):
            names.add((protocol, port))
        else:
            spans.append(Span(protocol, port, entry.get("endPort") or port))
    return Ports(union(spans), tuple(sorted(names)))


def protocols(entries: Iterable[Mapping[str, Any]] | None) -> Ports | None:
    """Return the ports of a ClusterNetworkPolicy's rule, or nothing for a form that is not known.

    Source: network-policy-api, v1alpha2, ClusterNetworkPolicyProtocol. A name has no protocol
    there, so it counts for each in which the pod has a port of that name.
    """
    entries = tuple(entries or ())
    if not entries:
        return _ALL
    spans, names = [], set()
    for entry in entries:
        if len(entry) != 1:
            return None
        ((field, value),) = entry.items()
        if field == "destinationNamedPort":
            names.add((ANY, str(value)))
            continue
        if field not in ("tcp", "udp", "sctp") or not set(value) <= {"destinationPort"}:
            return None
        port = value.get("destinationPort")
        if port is None:
            spans.append(Span(field.upper(), 1, _LAST))
        elif set(port) == {"number"}:
            spans.append(Span(field.upper(), port["number"], port["number"]))
        elif set(port) == {"range"}:
            spans.append(Span(field.upper(), port["range"]["start"], port["range"]["end"]))
        else:
            return None
    return Ports(union(spans), tuple(sorted(names)))


def resolved(ports: Ports, names: Names) -> Spans:
    """Return the ports of a rule at a pod with these named ports."""
    if not ports.names or not names:
        return ports.spans
    wanted = set(ports.names)
    found = [
        Span(protocol, number, number)
        for (protocol, name), number in names.items()
        if (protocol, name) in wanted or (ANY, name) in wanted
    ]
    return union((*ports.spans, *found)) if found else ports.spans


def union(spans: Iterable[Span]) -> Spans:
    """Return the spans sorted, with those that touch made one."""
    merged: list[Span] = []
    for span in sorted(spans):
        before = merged[-1] if merged else None
        if before and before.protocol == span.protocol and span.first <= before.last + 1:
            merged[-1] = before._replace(last=max(before.last, span.last))
        else:
            merged.append(span)
    return tuple(merged)


# A large cluster has few different sets, and asks the same of them for each namespace.
@functools.lru_cache(maxsize=4096)
def common(one: Spans, other: Spans) -> Spans:
    """Return the ports that are in both."""
    if one == other or other is EVERY:
        return one
    if one is EVERY:
        return other
    return union(
        Span(first.protocol, max(first.first, second.first), min(first.last, second.last))
        for first in one
        for second in other
        if first.protocol == second.protocol
        and max(first.first, second.first) <= min(first.last, second.last)
    )


@functools.lru_cache(maxsize=4096)
def without(one: Spans, other: Spans) -> Spans:
    """Return the ports that are in the first and not in the second."""
    if not one or one == other:
        return ()
    left = list(one)
    for cut in other:
        left = [
            part
            for span in left
            for part in (
                (span,)
                if span.protocol != cut.protocol or cut.last < span.first or span.last < cut.first
                else (
                    *((span._replace(last=cut.first - 1),) if span.first < cut.first else ()),
                    *((span._replace(first=cut.last + 1),) if cut.last < span.last else ()),
                )
            )
        ]
    return union(left)
