"""Addresses of network policies: blocks as ranges of numbers, and sets of them."""

import bisect
import functools
import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from securetenant.api.addresses import Network

_V4, _V6 = 4, 6
_ZEROS = re.compile(r"(?<![0-9a-fA-F:])0+(?=[0-9]+[./])")


class Address(NamedTuple):
    """One address: its family (4 or 6) and its number."""

    version: int
    number: int


class Range(NamedTuple):
    """Consecutive addresses of one family, both ends included."""

    version: int
    first: int
    last: int

    def holds(self, address: Address) -> bool:
        """Tell whether the address is one of them."""
        return address.version == self.version and self.first <= address.number <= self.last

    def networks(self) -> list[str]:
        """Return the networks that make up the range, in order."""
        if self.version == _V4:
            return [
                str(each)
                for each in ipaddress.summarize_address_range(
                    ipaddress.IPv4Address(self.first), ipaddress.IPv4Address(self.last)
                )
            ]
        return [
            str(each)
            for each in ipaddress.summarize_address_range(
                ipaddress.IPv6Address(self.first), ipaddress.IPv6Address(self.last)
            )
        ]

    def __str__(self) -> str:
        return ", ".join(self.networks())


Ranges = tuple[Range, ...]
"""A set of addresses: sorted, disjoint, none that touches another."""

EVERYWHERE: Ranges = (Range(_V4, 0, 2**32 - 1), Range(_V6, 0, 2**128 - 1))


class Block(NamedTuple):
    """An ipBlock: a range but for its exceptions."""

    cidr: Range
    exceptions: Ranges = ()

    def holds(self, address: Address) -> bool:
        """Tell whether the address is in the range and in no exception."""
        return self.cidr.holds(address) and not any(each.holds(address) for each in self.exceptions)

    @property
    def ranges(self) -> Ranges:
        """Return its addresses."""
        return without((self.cidr,), union(self.exceptions)) if self.exceptions else (self.cidr,)

    def __str__(self) -> str:
        excepted = ", ".join(map(str, self.exceptions))
        return f"{self.cidr} without {excepted}" if excepted else str(self.cidr)


def address(text: str) -> Address:
    """Return an address such as ``10.0.0.1``."""
    if ":" in text:
        return Address(_V6, int(ipaddress.IPv6Address(text)))
    return Address(_V4, int(ipaddress.IPv4Address(text)))


def compiled(body: Mapping[str, Any]) -> Block:
    """Return an ipBlock (networking/v1 IPBlock); exceptions sorted."""
    exceptions = {cidr(each) for each in body.get("except") or ()}
    return Block(cidr(body["cidr"]), tuple(sorted(exceptions)))


@functools.lru_cache(maxsize=4096)
def cidr(text: str) -> Range:
    """Return a network such as ``10.0.0.0/8``."""
    # A stored object may carry bits beyond the mask, which do not count (RFC 4632), and zeros in
    # front of a number, which Kubernetes reads as decimal (netutils.ParseCIDRSloppy).
    return network(ipaddress.ip_network(_ZEROS.sub("", text), strict=False))


def network(found: Network) -> Range:
    """Return a network as a range."""
    return Range(found.version, int(found[0]), int(found[-1]))


def holds(ranges: Ranges, address: Address) -> bool:
    """Tell whether the address is one of a set."""
    return any(each.holds(address) for each in ranges)


def union(ranges: Iterable[Range]) -> Ranges:
    """Return the ranges sorted, with those that touch made one."""
    merged: list[Range] = []
    for each in sorted(ranges):
        before = merged[-1] if merged else None
        if before and before.version == each.version and each.first <= before.last + 1:
            merged[-1] = before._replace(last=max(before.last, each.last))
        else:
            merged.append(each)
    return tuple(merged)


# A large cluster has few different sets, and asks the same of them for each namespace.
@functools.lru_cache(maxsize=4096)
def common(one: Ranges, other: Ranges) -> Ranges:
    """Return the addresses that are in both."""
    if one == other or other is EVERYWHERE:
        return one
    if one is EVERYWHERE:
        return other
    found, at = [], 0
    for each in one:
        # Both are sorted: what ends before this one begins is behind all the later ones too.
        while at < len(other) and _ends_before(other[at], each):
            at += 1
        for second in other[at:]:
            if second.version != each.version or second.first > each.last:
                break
            found.append(
                Range(each.version, max(each.first, second.first), min(each.last, second.last))
            )
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def without(one: Ranges, other: Ranges) -> Ranges:
    """Return the addresses that are in the first and not in the second."""
    if not one or one == other:
        return ()
    found, at = [], 0
    for each in one:
        first = each.first
        while at < len(other) and _ends_before(other[at], each):
            at += 1
        for cut in other[at:]:
            if cut.version != each.version or cut.first > each.last:
                break
            if first < cut.first:
                found.append(Range(each.version, first, cut.first - 1))
            first = max(first, cut.last + 1)
        if first <= each.last:
            found.append(Range(each.version, first, each.last))
    return tuple(found)


def _ends_before(one: Range, other: Range) -> bool:
    return (one.version, one.last) < (other.version, other.first)


def told(ranges: Ranges) -> str:
    """Return a set of addresses in the shorter of two ways: its networks, or one without some."""
    texts = []
    for version in (_V4, _V6):
        parts = tuple(each for each in ranges if each.version == version)
        if not parts:
            continue
        plain = [text for each in parts for text in each.networks()]
        size = 2**32 if version == _V4 else 2**128
        # The smallest network that holds all of them.
        bits = (parts[0].first ^ parts[-1].last).bit_length()
        first = parts[0].first >> bits << bits
        whole = Range(version, first, min(first + (1 << bits), size) - 1)
        gaps = [text for each in without((whole,), parts) for text in each.networks()]
        texts.append(
            ", ".join(plain)
            if len(plain) <= len(gaps) + 1
            else f"{whole} without {', '.join(gaps)}"
        )
    return ", ".join(texts)


class Grid:
    """Cuts the address space where any range that it was given begins or ends.

    Two addresses of the same cell are the same to every one of the ranges.
    """

    def __init__(self) -> None:
        self._cuts: dict[int, list[int]] = {_V4: [], _V6: []}
        self._pending: dict[int, set[int]] = {_V4: set(), _V6: set()}

    def add(self, ranges: Iterable[Range]) -> bool:
        """Cut at more ranges; tell whether that tells more addresses apart."""
        more = False
        for each in ranges:
            cuts, pending = self._cuts[each.version], self._pending[each.version]
            for cut in (each.first, each.last + 1):
                position = bisect.bisect_left(cuts, cut)
                if (position == len(cuts) or cuts[position] != cut) and cut not in pending:
                    pending.add(cut)
                    more = True
        return more

    def cell(self, address: Address) -> Address:
        """Return an address that stands for all that no range tells apart from this one."""
        version = address.version
        if self._pending[version]:
            self._cuts[version] = sorted({*self._cuts[version], *self._pending[version]})
            self._pending[version] = set()
        cuts = self._cuts[version]
        position = bisect.bisect_right(cuts, address.number)
        return Address(version, cuts[position - 1] if position else 0)
