"""Which flows are meant to exist: read from the specs, and from nothing that was built by them.

Source: the field descriptions of SecureTenant and TenancySettings. ``desired`` makes policies of
the same fields, and shares no code with this, so a mistake there is a flow that nothing here
covers.

    declared = Declared({"acme": TenantSpec(...)}, settings)
    declared.between(source, target)  # ports on which one end may reach the other
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from securetenant.api.addresses import network
from securetenant.api.network import Opening, OpeningPort, Outsider, Port, TenantNetwork
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.checks import blocks, ports
from securetenant.checks.blocks import Address, Ranges
from securetenant.checks.policies import Direction
from securetenant.checks.ports import Names, Ports, Span, Spans
from securetenant.checks.selectors import Labels

Pairs = tuple[tuple[str, str], ...]
"""Labels that somebody has to carry, all of them."""


class Somebody(NamedTuple):
    """Pods of one namespace, as a declaration looks at them."""

    tenant: str
    namespace: str
    namespace_labels: Labels
    labels: Labels
    addresses: tuple[Address, ...]
    ports: Names
    host_network: bool = False


class Platform(NamedTuple):
    """Pods of the platform, by labels; never those of a tenant."""

    namespaces: Pairs
    pods: Pairs


class Term(NamedTuple):
    """What pods of a tenant may exchange with somebody who is no tenant."""

    direction: Direction
    namespaces: frozenset[str] | None
    """Where; nothing means all of the tenant's namespaces."""
    pods: Pairs
    platform: tuple[Platform, ...]
    addresses: Ranges
    ports: Ports

    def holds(self, direction: Direction, pod: Somebody) -> bool:
        """Tell whether it is about a tenant's pods in a direction."""
        return (
            direction == self.direction
            and (self.namespaces is None or pod.namespace in self.namespaces)
            and _carries(pod.labels, self.pods)
        )


class _Agreed(NamedTuple):
    """A flow between tenants as one of the two declares it."""

    namespaces: frozenset[str]
    """Of the other one."""
    ports: Spans


class Declared:
    """What all specs declare together."""

    def __init__(self, tenants: Mapping[str, TenantSpec], settings: SettingsSpec | None) -> None:
        """Take the specs in force by the tenants' names; without settings nobody has DNS."""
        self._settings = settings
        self._everybody = tuple(_base(settings)) if settings else ()
        self._terms: dict[str, tuple[Term, ...]] = {}
        self._spaces: dict[str, frozenset[str]] = {}
        self._peers: dict[tuple[str, str, Direction], list[_Agreed]] = {}
        self._closed: set[str] = set()
        for name, spec in tenants.items():
            self.put(name, spec)

    def put(self, tenant: str, spec: TenantSpec | None) -> None:
        """Take a tenant's spec in place of the one before; nothing means that it has none."""
        self._terms.pop(tenant, None)
        self._spaces.pop(tenant, None)
        self._closed.discard(tenant)
        for key in [key for key in self._peers if key[0] == tenant]:
            del self._peers[key]
        if spec is None:
            return
        self._spaces[tenant] = frozenset(each.name for each in spec.namespaces or ())
        asked = spec.network or TenantNetwork()
        if asked.same_tenant == "Deny":
            self._closed.add(tenant)
        if self._settings is not None:
            self._terms[tenant] = tuple(_own(asked, self._settings))
        directions: tuple[Direction, ...] = ("Ingress", "Egress")
        for peer in asked.peers or ():
            for direction in directions:
                if peer.direction in (direction, "Both"):
                    agreed = _Agreed(frozenset(peer.namespaces), _numbers(peer.ports))
                    self._peers.setdefault((tenant, peer.tenant, direction), []).append(agreed)

    def is_closed_inside(self, tenant: str) -> bool:
        """Tell whether the tenant's own namespaces may not reach each other."""
        return tenant in self._closed

    def about(self, tenant: str) -> tuple[Term, ...]:
        """Return what a tenant may exchange with somebody who is no tenant."""
        return (*self._everybody, *self._terms.get(tenant, ()))

    def looked_at(self) -> Iterator[Term]:
        """Yield every declaration, so that pods which it tells apart are looked at apart."""
        yield from self._everybody
        for terms in self._terms.values():
            yield from terms

    def between(self, source: Somebody, target: Somebody) -> Spans:
        """Return the ports on which one may reach the other; one of the two is a tenant's."""
        if source.tenant and target.tenant:
            if source.tenant == target.tenant:
                is_apart = source.namespace != target.namespace
                return () if is_apart and self.is_closed_inside(source.tenant) else ports.EVERY
            return self._agreed(source, target)
        if source.tenant:
            return self._open("Egress", source, target, target.ports)
        return self._open("Ingress", target, source, target.ports)

    def _open(self, direction: Direction, pod: Somebody, other: Somebody, names: Names) -> Spans:
        found: list[Span] = []
        for term in self.about(pod.tenant):
            if term.holds(direction, pod) and (
                any(blocks.holds(term.addresses, each) for each in other.addresses)
                or (
                    not other.host_network
                    and any(
                        _carries(other.namespace_labels, each.namespaces)
                        and _carries(other.labels, each.pods)
                        for each in term.platform
                    )
                )
            ):
                found += ports.resolved(term.ports, names)
        return ports.union(found)

    def _agreed(self, source: Somebody, target: Somebody) -> Spans:
        """Return the ports that both tenants declare for these namespaces."""
        if source.namespace not in self._spaces.get(
            source.tenant, ()
        ) or target.namespace not in self._spaces.get(target.tenant, ()):
            return ()
        sent = [
            each.ports
            for each in self._peers.get((source.tenant, target.tenant, "Egress"), ())
            if target.namespace in each.namespaces
        ]
        taken = [
            each.ports
            for each in self._peers.get((target.tenant, source.tenant, "Ingress"), ())
            if source.namespace in each.namespaces
        ]
        if not sent or not taken:
            return ()
        return ports.common(
            ports.union(span for each in sent for span in each),
            ports.union(span for each in taken for span in each),
        )

    def beyond(
        self, direction: Direction, pod: Somebody, addresses: Ranges, spans: Spans
    ) -> list[tuple[Ranges, Spans]]:
        """Return what no declaration covers of some ports at some addresses."""
        left = [(addresses, spans)]
        for term in self.about(pod.tenant):
            if not left:
                break
            if not term.addresses or not term.holds(direction, pod):
                continue
            covered = ports.resolved(term.ports, pod.ports if direction == "Ingress" else {})
            remaining = []
            for ranges, open_ports in left:
                inside = blocks.common(ranges, term.addresses)
                if not inside:
                    remaining.append((ranges, open_ports))
                    continue
                if outer := blocks.without(ranges, term.addresses):
                    remaining.append((outer, open_ports))
                if more := ports.without(open_ports, covered):
                    remaining.append((inside, more))
            left = remaining
        return left


def _base(settings: SettingsSpec) -> Iterator[Term]:
    """Yield what holds for every tenant: DNS, and the platform's openings."""
    dns = settings.dns
    yield Term(
        "Egress",
        None,
        (),
        tuple(
            Platform(_pairs(each.namespace_labels), _pairs(each.pod_labels)) for each in dns.pods
        ),
        _networks(dns.addresses),
        Ports(
            ports.union(_span(port, protocol) for port in dns.ports for protocol in ("TCP", "UDP"))
        ),
    )
    if settings.network is not None:
        yield from _openings(settings.network.ingress, "Ingress", settings)
        yield from _openings(settings.network.egress, "Egress", settings)


def _own(asked: TenantNetwork, settings: SettingsSpec) -> Iterator[Term]:
    """Yield what a tenant declares about those who are no tenants."""
    found = settings.api_server
    if asked.api_server == "Allow" and found is not None and found.addresses:
        every = Ports(ports.union(_span(port, "TCP") for port in found.ports))
        yield Term("Egress", None, (), (), _networks(found.addresses), every)
    yield from _openings(asked.ingress, "Ingress", settings)
    yield from _openings(asked.egress, "Egress", settings)


def _openings(
    given: Iterable[Opening] | None, direction: Direction, settings: SettingsSpec
) -> Iterator[Term]:
    for each in given or ():
        outsiders = each.outsiders
        yield Term(
            direction,
            None if each.namespaces is None else frozenset(each.namespaces),
            _pairs(each.pod_selector.match_labels) if each.pod_selector else (),
            tuple(found for one in outsiders for found in _platform(one, settings)),
            blocks.union(part for one in outsiders for part in _meant(one, settings)),
            Ports(
                _numbers(each.ports),
                tuple(
                    sorted(
                        {
                            (one.protocol or "TCP", str(one.port))
                            for one in each.ports
                            if one.is_named
                        }
                    )
                ),
            ),
        )


def _platform(outsider: Outsider, settings: SettingsSpec) -> Iterator[Platform]:
    if outsider.namespace_labels is not None:
        yield Platform(_pairs(outsider.namespace_labels), _pairs(outsider.pod_labels or {}))
    elif outsider.ingress_controller is not None:
        for each in settings.ingress_controllers or ():
            if each.name == outsider.ingress_controller:
                yield Platform(_pairs(each.namespace_labels), _pairs(each.pod_labels))


def _meant(outsider: Outsider, settings: SettingsSpec) -> Ranges:
    """Return the addresses of a cidr, but for exceptions and for what is kept inside of it."""
    if outsider.network is None:
        return ()
    whole = blocks.network(outsider.network)
    out = [blocks.cidr(each) for each in outsider.except_ or ()]
    for each in settings.kept_networks:
        kept = blocks.network(each)
        # What is kept and holds all of the cidr is named by it.
        if kept != whole and blocks.common((whole,), (kept,)) == (kept,):
            out.append(kept)
    return blocks.without((whole,), blocks.union(out))


def _networks(texts: Iterable[str]) -> Ranges:
    return blocks.union(blocks.network(found) for each in texts if (found := network(each)))


def _numbers(entries: Iterable[Port | OpeningPort]) -> Spans:
    return ports.union(
        Span(each.protocol or "TCP", each.port, each.end_port or each.port)
        for each in entries
        if isinstance(each.port, int)
    )


def _span(port: int, protocol: str) -> Span:
    return Span(protocol, port, port)


def _pairs(labels: Mapping[str, str]) -> Pairs:
    return tuple(sorted(labels.items()))


def _carries(labels: Labels, pairs: Pairs) -> bool:
    return all(labels.get(key) == value for key, value in pairs)
