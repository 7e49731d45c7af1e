"""What two tenants agree on: never more than either declares, and the same from both sides.

Each side names namespaces of the other, ports and a direction. A flow is open from the
namespaces of the source that the target names, to the namespaces of the target that the source
names, on the ports that both name, where the source declares Egress and the target Ingress.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from securetenant.api.network import OpeningPort, Peer, Port

_SHOWN = 3


class Ports(NamedTuple):
    """Consecutive ports of one protocol, both ends included."""

    protocol: str
    first: int
    last: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Declaration:
    """What a tenant says about others."""

    tenant: str
    namespaces: tuple[str, ...]
    """Its own, sorted."""
    peers: tuple[Peer, ...]

    def about(self, tenant: str, direction: str) -> tuple[Peer, ...]:
        """Return its entries about a tenant for Ingress or Egress."""
        return tuple(
            each
            for each in self.peers
            if each.tenant == tenant and each.direction in (direction, "Both")
        )


class Agreement(NamedTuple):
    """A flow that both ends declare."""

    source: str
    source_namespaces: tuple[str, ...]
    target: str
    target_namespaces: tuple[str, ...]
    ports: tuple[Ports, ...]
    """At the target; sorted."""


def agreed(one: Declaration, other: Declaration) -> tuple[Agreement, ...]:
    """Return every flow between two tenants that both declare, sorted."""
    return tuple(sorted({*_flows(one, other), *_flows(other, one)}))


def missing(one: Declaration, other: Declaration | None, name: str) -> tuple[str, ...]:
    """Say, for the status of ``one``, what is declared by one side only.

    ``name`` is the other tenant; ``other`` is nothing when it does not exist.
    """
    if other is None:
        if any(each.tenant == name for each in one.peers):
            return (f"there is no tenant {name}: create it, or correct the name in peers",)
        return ()
    told = []
    for source, target in ((one, other), (other, one)):
        ours, theirs = _sides(one, source, target)
        if _flows(source, target) or not (ours or theirs):
            continue
        if ours and theirs:
            told.append(
                f"{source.tenant} to {target.tenant}: both declare it, and no namespaces or no"
                f" ports are common. {_told(one.tenant, ours)}; {_told(name, theirs)}"
            )
            continue
        lacking, declared = (other, one) if ours else (one, other)
        direction = "Ingress" if lacking is target else "Egress"
        told.append(
            f"{declared.tenant} declares traffic from {source.tenant} to {target.tenant},"
            f" {lacking.tenant} has to declare it too: spec.network.peers"
            f" {{tenant: {declared.tenant}, direction: {direction},"
            f" namespaces: [{_some(declared.namespaces)}],"
            f" ports: [{_listed(_ports(ours or theirs))}]}}"
        )
    return tuple(told)


def _sides(
    one: Declaration, source: Declaration, target: Declaration
) -> tuple[tuple[Peer, ...], tuple[Peer, ...]]:
    """Return what ``one`` and the other declare about flows from source to target."""
    outward = source.about(target.tenant, "Egress")
    inward = target.about(source.tenant, "Ingress")
    return (outward, inward) if source is one else (inward, outward)


def _flows(source: Declaration, target: Declaration) -> list[Agreement]:
    found = []
    for outward in source.about(target.tenant, "Egress"):
        for inward in target.about(source.tenant, "Ingress"):
            origins = _common(source.namespaces, inward.namespaces)
            ends = _common(target.namespaces, outward.namespaces)
            ports = _both(_spans(outward), _spans(inward))
            if origins and ends and ports:
                found.append(Agreement(source.tenant, origins, target.tenant, ends, ports))
    return found


def _common(own: Iterable[str], named: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(own) & set(named)))


def _spans(peer: Peer) -> tuple[Ports, ...]:
    return spans(peer.ports)


def spans(ports: Iterable[Port | OpeningPort]) -> tuple[Ports, ...]:
    """Return ports sorted, with those that touch made one; those by name are left out."""
    merged: list[Ports] = []
    for span in sorted(
        Ports(each.protocol or "TCP", each.port, each.end_port or each.port)
        for each in ports
        if isinstance(each.port, int)
    ):
        before = merged[-1] if merged else None
        if before and before.protocol == span.protocol and span.first <= before.last + 1:
            merged[-1] = before._replace(last=max(before.last, span.last))
        else:
            merged.append(span)
    return tuple(merged)


def _both(some: Iterable[Ports], others: Iterable[Ports]) -> tuple[Ports, ...]:
    """Return the ports in both; each side is sorted and touches nowhere, so the result is too."""
    others = tuple(others)
    return tuple(
        sorted(
            Ports(one.protocol, max(one.first, two.first), min(one.last, two.last))
            for one in some
            for two in others
            if one.protocol == two.protocol and max(one.first, two.first) <= min(one.last, two.last)
        )
    )


def _ports(entries: Iterable[Peer]) -> tuple[Ports, ...]:
    return spans(port for each in entries for port in each.ports)


def _told(tenant: str, entries: tuple[Peer, ...]) -> str:
    namespaces = sorted({each for entry in entries for each in entry.namespaces})
    return f"{tenant} names [{_some(namespaces)}] and ports [{_listed(_ports(entries))}]"


def _listed(ports: tuple[Ports, ...]) -> str:
    shown = [
        f"{{port: {each.first}"
        + (f", endPort: {each.last}" if each.last > each.first else "")
        + (f", protocol: {each.protocol}" if each.protocol != "TCP" else "")
        + "}"
        for each in ports
    ]
    return _some(shown)


def _some(texts: Iterable[str]) -> str:
    every = list(texts)
    return ", ".join(every[:_SHOWN]) + (", ..." if len(every) > _SHOWN else "")
