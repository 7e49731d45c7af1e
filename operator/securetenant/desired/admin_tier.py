"""The tenant's ClusterNetworkPolicy: what no NetworkPolicy opens, no matter who writes it.

It denies and leaves the rest to NetworkPolicies. There is no Accept, which would open what they
close, and no Pass, which would skip the platform team's own rules further down in the tier. So a
peer is what the rules leave out: by tenant, by the names of its namespaces, and by ports. Which of
the tenant's own namespaces take part only NetworkPolicies say, since all of them are
its one subject.

Source: network-policy-api v0.2.0, ClusterNetworkPolicy v1alpha2 (standard channel). Unproved here:
that a network plugin drops the packets.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from securetenant.api import addresses, kinds, lockdown, names, objects
from securetenant.api.addresses import Network
from securetenant.api.objects import Manifest
from securetenant.desired.peers import Agreement, Ports
from securetenant.desired.scope import Scope

_PRIORITY = 100
"""The same for all, since no two have a pod in common; the platform team has room before it."""
_MOST = 25
"""Rules of a direction, peers of a rule, networks of a peer, and protocols of a rule."""
_LAST_PORT = 65535
_PROTOCOLS = ("SCTP", "TCP", "UDP")

_PORTS_LEFT = "ports of peers are too many for it, so only NetworkPolicies decide about them"
_ADDRESSES_LEFT = (
    "the metadata networks in which addresses are named are too many parts for it, so"
    " only NetworkPolicies decide about them"
)

_Rules = list[dict[str, Any]]
_T = TypeVar("_T")


class Tier(NamedTuple):
    """A tenant's part of the Admin tier."""

    manifest: Manifest
    remark: str
    """What does not fit and is left to NetworkPolicies, or nothing."""


class _Others(NamedTuple):
    """Namespaces of another tenant with which all agree on the same ports."""

    tenant: str
    namespaces: tuple[str, ...]


def build(scopes: Sequence[Scope], agreements: Iterable[Agreement]) -> Tier:
    """Return the ClusterNetworkPolicy of the tenant that has these namespaces.

    ``agreements`` are the flows that it and its peers both declare.
    """
    one = scopes[0]
    sources: list[Agreement] = []
    targets: list[Agreement] = []
    for each in sorted(set(agreements)):
        (sources if each.target == one.tenant else targets).append(each)
    inward = [_Flow(each.source, each.source_namespaces, each.ports) for each in sources]
    outward = [_Flow(each.target, each.target_namespaces, each.ports) for each in targets]
    networks, left_addresses = _networks(scopes)
    ingress, left_in = _deny_tenants("from", one.tenant, inward, room=_MOST)
    egress, left_out = _deny_tenants("to", one.tenant, outward, room=_MOST - 1)
    if networks:
        to = [{"networks": [str(each) for each in part]} for part in _parts(networks)]
        egress.append({"name": "metadata addresses", "action": "Deny", "to": to})
    if one.lockdown == lockdown.QUARANTINED:
        ingress, egress, left_in, left_out, left_addresses = *_cut(), False, False, False
    manifest = objects.manifest(
        kinds.CLUSTER_NETWORK_POLICY,
        name=names.admin_tier(one.tenant),
        labels=one.labels,
        spec={
            "tier": "Admin",
            "priority": _PRIORITY,
            "subject": {"namespaces": {"matchLabels": {names.TENANT_LABEL: one.tenant}}},
            "ingress": ingress,
            "egress": egress,
        },
    )
    remarks = [_PORTS_LEFT] * (left_in or left_out) + [_ADDRESSES_LEFT] * left_addresses
    return Tier(manifest, "; ".join(remarks))


def _cut() -> tuple[_Rules, _Rules]:
    """Return the rules of a quarantine: no pod of anybody in, nothing out.

    What comes from outside the cluster cannot be a peer of ingress; NetworkPolicies close it.
    """
    pods: dict[str, Any] = {"namespaces": {}}
    everywhere = {"networks": ["0.0.0.0/0", "::/0"]}
    return (
        [{"name": "quarantine", "action": "Deny", "from": [pods]}],
        [{"name": "quarantine", "action": "Deny", "to": [pods, everywhere]}],
    )


class _Flow(NamedTuple):
    """What is agreed in one direction, from the tenant's own side."""

    tenant: str
    namespaces: tuple[str, ...]
    ports: tuple[Ports, ...]


def _deny_tenants(
    side: str, tenant: str, flows: Sequence[_Flow], *, room: int
) -> tuple[_Rules, bool]:
    """Return the rules against other tenants in one direction, and whether ports are left out.

    Every tenant names at most 32 peers in a direction, so the rules without ports always fit.
    """
    agreed: defaultdict[str, defaultdict[str, set[Ports]]] = defaultdict(lambda: defaultdict(set))
    for flow in flows:
        for namespace in flow.namespaces:
            agreed[flow.tenant][namespace].update(flow.ports)
    strangers = [
        {"key": names.TENANT_LABEL, "operator": "Exists"},
        # NotIn by itself would also select what is no tenant's.
        {"key": names.TENANT_LABEL, "operator": "NotIn", "values": sorted({tenant, *agreed})},
    ]
    denied: _Rules = [{"namespaces": {"matchExpressions": strangers}}]
    denied += [
        _named(_Others(name, tuple(sorted(agreed[name]))), "NotIn") for name in sorted(agreed)
    ]
    rules: _Rules = [
        {"name": "other tenants", "action": "Deny", side: part} for part in _parts(denied)
    ]
    by_ports: defaultdict[tuple[Ports, ...], list[_Others]] = defaultdict(list)
    for name, namespaces in agreed.items():
        alike: defaultdict[tuple[Ports, ...], list[str]] = defaultdict(list)
        for namespace, ports in namespaces.items():
            alike[_closed(ports)].append(namespace)
        for closed, members in alike.items():
            by_ports[closed].append(_Others(name, tuple(sorted(members))))
    narrower: _Rules = [
        {
            "name": "other ports of peers",
            "action": "Deny",
            side: part,
            "protocols": [_protocol(each) for each in closed],
        }
        for closed, others in sorted(by_ports.items())
        if closed
        for part in _parts([_named(each, "In") for each in sorted(others)])
    ]
    fits = len(rules) + len(narrower) <= room and all(
        len(rule["protocols"]) <= _MOST for rule in narrower
    )
    return (rules + narrower, False) if fits else (rules, True)


def _named(others: _Others, operator: str) -> dict[str, Any]:
    """Return the peer for namespaces of a tenant that have one of the names, or none of them."""
    by_name = {
        "key": names.NAMESPACE_NAME_LABEL,
        "operator": operator,
        "values": list(others.namespaces),
    }
    return {
        "namespaces": {
            "matchLabels": {names.TENANT_LABEL: others.tenant},
            "matchExpressions": [by_name],
        }
    }


def _closed(ports: Iterable[Ports]) -> tuple[Ports, ...]:
    """Return every port that is in none of these, of all protocols that have ports."""
    found = []
    every = sorted(ports)
    for protocol in _PROTOCOLS:
        first = 1
        for each in every:
            if each.protocol == protocol:
                if each.first > first:
                    found.append(Ports(protocol, first, each.first - 1))
                first = max(first, each.last + 1)
        if first <= _LAST_PORT:
            found.append(Ports(protocol, first, _LAST_PORT))
    return tuple(found)


def _protocol(ports: Ports) -> dict[str, Any]:
    port: dict[str, Any] = {"number": ports.first}
    if ports.last > ports.first:
        port = {"range": {"start": ports.first, "end": ports.last}}
    return {ports.protocol.lower(): {"destinationPort": port}}


def _networks(scopes: Sequence[Scope]) -> tuple[list[Network], bool]:
    """Return the metadata networks but for what is named in them, and whether some are left out."""
    metadata = addresses.outermost(scopes[0].settings.credential_networks)
    named = [
        each
        for each in addresses.outermost(_read(_opened(scopes)))
        if any(addresses.contains(whole, each) for whole in metadata)
    ]
    most = _MOST * _MOST
    whole: list[Network] = []
    parts: list[Network] = []
    for each in metadata:
        inside = [one for one in named if addresses.contains(each, one)]
        if not inside:
            whole.append(each)
        elif len(parts) <= most:
            parts += _without(each, inside, most)
    if len(whole) + len(parts) > most:
        return whole, True
    return list(addresses.ordered((*whole, *parts))), False


def _without(whole: Network, named: Iterable[Network], most: int) -> list[Network]:
    """Return a network without others in it, which lie apart; beyond ``most`` parts, give up."""
    left = [whole]
    for each in named:
        left = [part for one in left for part in addresses.without(one, each)]
        if len(left) > most:
            break
    return left


def _opened(scopes: Sequence[Scope]) -> set[str]:
    """Return every network that NetworkPolicies of the tenant open outwards, by what it is called.

    One that only holds a metadata address does not name it.
    """
    settings = scopes[0].settings
    found = set(settings.dns.addresses)
    if scopes[0].api_server == "Allow" and settings.api_server is not None:
        found.update(settings.api_server.addresses)
    for opened in {each.name: each for scope in scopes for each in scope.openings}.values():
        for rule in opened.spec["egress"]:
            found.update(peer["ipBlock"]["cidr"] for peer in rule["to"] if "ipBlock" in peer)
    return found


def _read(texts: Iterable[str]) -> Iterator[Network]:
    return (found for text in texts if (found := addresses.network(text)))


def _parts(every: Sequence[_T]) -> list[list[_T]]:
    """Return a list in pieces of a length that is allowed."""
    return [list(every[first : first + _MOST]) for first in range(0, len(every), _MOST)]
