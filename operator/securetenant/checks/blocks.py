"""IP blocks of NetworkPolicies, as ranges of numbers."""

import bisect
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_V4, _V6 = 4, 6


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

    def __str__(self) -> str:
        first: ipaddress.IPv4Address | ipaddress.IPv6Address = (
            ipaddress.IPv4Address(self.first)
            if self.version == _V4
            else ipaddress.IPv6Address(self.first)
        )
        return f"{first}/{first.max_prefixlen - (self.last - self.first).bit_length()}"


class Block(NamedTuple):
    """An ipBlock: a range but for its exceptions."""

    cidr: Range
    exceptions: tuple[Range, ...] = ()

    def holds(self, address: Address) -> bool:
        """Tell whether the address is in the range and in no exception."""
        return self.cidr.holds(address) and not any(each.holds(address) for each in self.exceptions)

    def __str__(self) -> str:
        without = ", ".join(map(str, self.exceptions))
        return f"{self.cidr} without {without}" if without else str(self.cidr)


def address(text: str) -> Address:
    """Return an address such as ``10.0.0.1``."""
    parsed = ipaddress.ip_address(text)
    return Address(parsed.version, int(parsed))


def compiled(body: Mapping[str, Any]) -> Block:
    """Return an ipBlock (networking/v1 IPBlock); exceptions sorted."""
    exceptions = {_range(each) for each in body.get("except") or ()}
    return Block(_range(body["cidr"]), tuple(sorted(exceptions)))


def _range(cidr: str) -> Range:
    # A stored object may carry bits beyond the mask; they do not count (RFC 4632).
    parsed = ipaddress.ip_network(cidr, strict=False)
    return Range(parsed.version, int(parsed[0]), int(parsed[-1]))


class Grid:
    """Cuts the address space where any block begins or ends.

    Two addresses of the same cell are the same to every one of the blocks.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        cuts: dict[int, set[int]] = {version: set() for version in (_V4, _V6)}
        for block in blocks:
            for each in (block.cidr, *block.exceptions):
                cuts[each.version].update((each.first, each.last + 1))
        self._cuts = {version: sorted(found) for version, found in cuts.items()}

    def cell(self, address: Address) -> Address:
        """Return an address that stands for all that no block tells apart from this one."""
        cuts = self._cuts[address.version]
        position = bisect.bisect_right(cuts, address.number)
        return Address(address.version, cuts[position - 1] if position else 0)
