"""Host names: which ends two tenants both ask for, and who has them.

An end is like ``.acme.example``. Two overlap when one ends with the other: whoever may serve
``.example`` may serve everything under ``.acme.example`` too. The older SecureTenant has it, so
that a slip in one spec takes nothing away from a tenant that runs.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple


class Claim(NamedTuple):
    """What a tenant asks for."""

    created: str
    """When its SecureTenant was created, as the API server writes it: comparable as text."""
    ends: tuple[str, ...]


class Hostnames:
    """The claims of all tenants, found by their ends."""

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}
        self._at: defaultdict[str, set[str]] = defaultdict(set)
        """Tenants by the ends that they ask for."""
        self._under: defaultdict[str, set[str]] = defaultdict(set)
        """Tenants by every end that one of theirs ends with."""

    def put(self, tenant: str, claim: Claim | None) -> set[str]:
        """Take a tenant's claim, or its end; return the other tenants whom the change concerns."""
        before = self._claims.get(tenant)
        if before == claim:
            return set()
        concerned = self._rivals(tenant)
        for end in before.ends if before else ():
            self._drop(end, tenant)
        self._claims.pop(tenant, None)
        if claim is not None and claim.ends:
            self._claims[tenant] = claim
            for end in claim.ends:
                self._at[end].add(tenant)
                for wider in _wider(end):
                    self._under[wider].add(tenant)
        return concerned | self._rivals(tenant)

    def taken(self, tenant: str) -> dict[str, str]:
        """Return the ends that a tenant asks for and does not get, each with who has it."""
        claim = self._claims.get(tenant)
        if claim is None:
            return {}
        found = {}
        for end in claim.ends:
            older = min(
                ((self._claims[each].created, each) for each in self._overlapping(end)),
                default=(claim.created, tenant),
            )
            if older[1] != tenant:
                found[end] = older[1]
        return found

    def _rivals(self, tenant: str) -> set[str]:
        claim = self._claims.get(tenant)
        ends = claim.ends if claim else ()
        return {each for end in ends for each in self._overlapping(end)} - {tenant}

    def _overlapping(self, end: str) -> set[str]:
        found = self._at.get(end, set()) | self._under.get(end, set())
        for wider in _wider(end):
            found |= self._at.get(wider, set())
        return found

    def _drop(self, end: str, tenant: str) -> None:
        for index, keys in ((self._at, (end,)), (self._under, tuple(_wider(end)))):
            for key in keys:
                index[key].discard(tenant)
                if not index[key]:
                    del index[key]


def _wider(end: str) -> Iterator[str]:
    """Yield every end that this one ends with: ``.b.c`` and ``.c`` for ``.a.b.c``."""
    labels = end.split(".")[1:]
    for index in range(1, len(labels)):
        yield "." + ".".join(labels[index:])
