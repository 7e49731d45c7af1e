"""NetworkPolicies that the operator did not make, reduced to what they let in and out.

Judged as the admission policy securetenant-network judges a new one, by the namespaces that the
tenant has now: what was right when it was written need not be right for ever.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from securetenant.api import names
from securetenant.api.objects import Body

_TOLD = 3
"""How much of one NetworkPolicy is remembered for people to read."""
_MOST = 2000
"""How many names one NetworkPolicy may hold: twice as many as a tenant has namespaces."""
_RULES = (("ingress", "from"), ("egress", "to"))


class Peer(NamedTuple):
    """Namespaces that a rule selects, by what it asks of two labels that nobody forges."""

    tenants: frozenset[str] | None
    """Their tenant is one of these; None where nothing is asked."""
    namespaces: frozenset[str] | None
    """Their name is one of these; None where nothing is asked."""


class ForeignPolicy(NamedTuple):
    """What is remembered of one."""

    version: int
    uid: str
    peers: frozenset[Peer]
    """By tenant or by name, within other namespaces."""
    beyond: tuple[str, ...]
    """What no tenant may write itself, for people to read: everybody, addresses, other labels."""
    held: tuple[str, ...]
    """The finalizers of one that is being deleted; it is in force until they are gone."""


class Reach(NamedTuple):
    """What the NetworkPolicies of a tenant's members may name."""

    tenant: str
    is_own: Callable[[str], bool]
    """Tells whether a namespace is the tenant's."""
    apart: bool
    """Whether its namespaces are kept apart (network.sameTenant: Deny)."""


def observe(body: Body) -> ForeignPolicy:
    """Reduce a NetworkPolicy, as the API server returned it, to what is remembered."""
    metadata = body["metadata"]
    peers: set[Peer] = set()
    beyond: dict[str, None] = {}
    count = 0
    for found in _peers(body.get("spec") or {}):
        if isinstance(found, str):
            if len(beyond) < _TOLD:
                beyond[found] = None
        elif found not in peers:
            count += len(found.tenants or ()) + len(found.namespaces or ())
            if count > _MOST:
                beyond[f"more than {_MOST} namespaces"] = None
                break
            peers.add(found)
    return ForeignPolicy(
        int(metadata["resourceVersion"]),
        metadata["uid"],
        frozenset(peers),
        tuple(beyond),
        tuple(metadata.get("finalizers", ())) if "deletionTimestamp" in metadata else (),
    )


def beyond(policy: ForeignPolicy, namespace: str, reach: Reach) -> tuple[str, ...]:
    """Return what a NetworkPolicy in a tenant's namespace lets in or out beyond its reach."""
    found = list(policy.beyond)
    for peer in sorted(policy.peers, key=_order):
        if len(found) >= _TOLD:
            break
        if peer.tenants is not None and not reach.apart and peer.tenants <= {reach.tenant}:
            continue
        strangers = sorted(
            each
            for each in peer.namespaces or ()
            if (each != namespace if reach.apart else not reach.is_own(each))
        )
        if peer.namespaces is None:
            found += [f"namespaces of tenant {each}" for each in sorted(peer.tenants or ())]
        else:
            found += [f"namespace {each}" for each in strangers]
    return tuple(found[:_TOLD])


def _order(peer: Peer) -> tuple[list[str], list[str]]:
    return sorted(peer.tenants or ()), sorted(peer.namespaces or ())


def _peers(spec: Body) -> Iterator[Peer | str]:
    """Yield what each peer names outside its own namespace; a string is for people to read."""
    for direction, ends in _RULES:
        for rule in spec.get(direction) or ():
            peers = rule.get(ends) or ()
            if not peers:
                yield "everybody"
            for peer in peers:
                if "ipBlock" in peer:
                    yield f"addresses {peer['ipBlock']['cidr']}"
                elif (selector := peer.get("namespaceSelector")) is not None:
                    yield _peer(selector)


def _peer(selector: Body) -> Peer | str:
    tenants = _required(selector, names.TENANT_LABEL)
    namespaces = _required(selector, names.NAMESPACE_NAME_LABEL)
    if tenants is None and namespaces is None:
        return "namespaces by other labels" if any(selector.values()) else "every namespace"
    return Peer(tenants, namespaces)


def _required(selector: Any, key: str) -> frozenset[str] | None:
    """Return the values of which a label must have one; None where any will do."""
    lists = [
        each.get("values") or ()
        for each in selector.get("matchExpressions") or ()
        if each["key"] == key and each["operator"] == "In"
    ]
    if (value := (selector.get("matchLabels") or {}).get(key)) is not None:
        lists.append((value,))
    if not lists:
        return None
    return frozenset(map(sys.intern, set(lists[0]).intersection(*lists[1:])))
