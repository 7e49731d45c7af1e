"""Networks as specs write them: an address and a mask, in one spelling for each meaning."""

import functools
import ipaddress
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from securetenant.api.rules import Rule, listed, snake

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""The whole of IPv4 as a translator from IPv6 (NAT64) makes it (RFC 6052, section 2.1)."""

_LONGEST = 43
"""An IPv6 address of eight groups, and a mask."""
Cidr = Annotated[str, Field(max_length=_LONGEST)]
Cidrs = Annotated[tuple[Cidr, ...], Field(max_length=32, json_schema_extra=listed("atomic"))]

MESSAGE = (
    "a network is an address and a mask without bits beyond it, in its shortest spelling, like"
    " 10.96.0.10/32, 169.254.0.0/16 or fd00::/8; an IPv4-mapped address such as ::ffff:10.0.0.0 is"
    " written as IPv4"
)

IS_NETWORK = "isCIDR({0}) && string(cidr({0}).masked()) == {0}"
"""CEL: whether a text is a network. The library knows no IPv4-mapped addresses, zones or masks
like 255.0.0.0 (Kubernetes, "CEL options, language features and libraries"). Texts are compared,
since the API server cannot estimate what comparing networks costs."""


# The same few addresses are read with every look at every tenant.
@functools.lru_cache(maxsize=4096)
def network(text: str) -> Network | None:
    """Return the network, or nothing for a text that is none, or not the shortest for it."""
    try:
        found = ipaddress.ip_network(text, strict=True)
    except ValueError:
        return None
    if str(found) != text:
        return None
    if isinstance(found, ipaddress.IPv6Network) and found[0].ipv4_mapped is not None:
        return None
    return found


def with_translated(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Return the networks, and the IPv4 ones once more as a translator makes them from IPv6.

    Under its well-known prefix (RFC 6052, section 2.1), by which clusters without IPv4 reach it.
    """
    given = tuple(networks)
    return given + tuple(
        ipaddress.IPv6Network((int(TRANSLATED[0]) + int(each[0]), 96 + each.prefixlen))
        for each in given
        if isinstance(each, ipaddress.IPv4Network)
    )


def contains(outer: Network, inner: Network) -> bool:
    """Tell whether every address of one network is in the other."""
    if isinstance(outer, ipaddress.IPv4Network):
        return isinstance(inner, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, ipaddress.IPv6Network) and inner.subnet_of(outer)


def without(outer: Network, inner: Network) -> tuple[Network, ...]:
    """Return what is left of one network without another that lies in it, or the whole of it."""
    if isinstance(outer, ipaddress.IPv4Network) and isinstance(inner, ipaddress.IPv4Network):
        return tuple(outer.address_exclude(inner)) if inner.subnet_of(outer) else (outer,)
    if isinstance(outer, ipaddress.IPv6Network) and isinstance(inner, ipaddress.IPv6Network):
        return tuple(outer.address_exclude(inner)) if inner.subnet_of(outer) else (outer,)
    return (outer,)


def ordered(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Return each network once, sorted: one that holds another stands before it."""
    return tuple(sorted(set(networks), key=_order))


def outermost(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Return the networks without those that lie in another of them, sorted."""
    kept: list[Network] = []
    for each in ordered(networks):
        # Networks nest or are apart, so only the last one kept can hold this one.
        if not kept or not contains(kept[-1], each):
            kept.append(each)
    return tuple(kept)


def _order(network: Network) -> tuple[int, int, int]:
    return (network.version, int(network.network_address), network.prefixlen)


def rule(field: str) -> Rule:
    """Return the rule about an optional list of networks of that name."""
    return Rule(
        cel=f"!has(self.{field}) || self.{field}.all(c, {IS_NETWORK.format('c')})",
        holds=lambda self: all(
            network(text) is not None for text in getattr(self, snake(field)) or ()
        ),
        message=MESSAGE,
        path=f".{field}",
    )
