"""Host names: which ends two tenants both ask for, and who has them.

An end is like ``.acme.example``, or one whole name like ``shop.corp.example``. Two overlap when one
ends with the other: a tenant that may serve ``.example`` may serve everything under
``.acme.example`` too. A name has one owner at a time:

- A tenant that has it in force keeps it. In force is what a TenantPolicy of the tenant holds,
  whether its namespace is kept or retained, and what the tenant was given and may still be written.
- Between tenants that have nothing in force the older SecureTenant gets it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class NameRequest(NamedTuple):
    """What a tenant asks for."""

    created: str
    """When its SecureTenant was created, as the API server writes it: comparable as text."""
    ends: tuple[str, ...]


class _Index:
    """Tenants, found by ends that overlap with theirs."""

    def __init__(self) -> None:
        self._at: defaultdict[str, set[str]] = defaultdict(set)
        """Tenants by their ends."""
        self._under: defaultdict[str, set[str]] = defaultdict(set)
        """Tenants by every end that one of theirs ends with."""
        self._of: defaultdict[str, set[str]] = defaultdict(set)
        """Ends by tenant."""

    def ends(self, tenant: str) -> set[str]:
        return self._of.get(tenant, set())

    def at(self, end: str) -> set[str]:
        return self._at.get(end, set())

    def overlapping(self, end: str) -> set[str]:
        found = self._at.get(end, set()) | self._under.get(end, set())
        for wider in _wider(end):
            found |= self._at.get(wider, set())
        return found

    def add(self, tenant: str, end: str) -> None:
        self._of[tenant].add(end)
        self._at[end].add(tenant)
        for wider in _wider(end):
            self._under[wider].add(tenant)

    def drop(self, tenant: str, end: str) -> None:
        self._discard(self._of, tenant, end)
        self._discard(self._at, end, tenant)
        left = {wider for each in self.ends(tenant) for wider in _wider(each)}
        for wider in _wider(end):
            if wider not in left:
                self._discard(self._under, wider, tenant)

    def _discard(self, index: defaultdict[str, set[str]], key: str, value: str) -> None:
        index[key].discard(value)
        if not index[key]:
            del index[key]


class Hostnames:
    """What tenants ask for, and what they have."""

    def __init__(self) -> None:
        self._claims: dict[str, NameRequest] = {}
        self._asked = _Index()
        self._held = _Index()
        self._count: Counter[tuple[str, str]] = Counter()
        """How many TenantPolicies hold an end of a tenant, and one more for what it was given."""
        self._given = _Index()
        """What each was given; it may be written at any moment."""
        self._wanted: dict[str, frozenset[str]] = {}
        """What each was given last."""

    # --- what changes -----------------------------------------------------------------------

    def put(self, tenant: str, claim: NameRequest | None) -> set[str]:
        """Take a tenant's claim, or its end; return the other tenants that the change concerns."""
        before = self._claims.get(tenant)
        if before == claim:
            return set()
        concerned = self._rivals(tenant)
        for end in before.ends if before else ():
            self._asked.drop(tenant, end)
        self._claims.pop(tenant, None)
        if claim is not None and claim.ends:
            self._claims[tenant] = claim
            for end in claim.ends:
                self._asked.add(tenant, end)
        return concerned | self._rivals(tenant)

    def observe(self, tenant: str, before: Iterable[str], after: Iterable[str]) -> set[str]:
        """Take a TenantPolicy of a tenant as it was and is; return the tenants that it concerns."""
        old, new = set(before), set(after)
        concerned: set[str] = set()
        for end in new - old:
            concerned |= self._hold(tenant, end)
        for end in old - new:
            concerned |= self._let_go(tenant, end)
        return concerned

    def give(self, tenant: str, ends: Iterable[str]) -> set[str]:
        """Let a tenant have what it asks for and nobody else has; return who is concerned.

        What it had before stays in force until :meth:`settle`, since it may still be written.
        """
        self._wanted[tenant] = frozenset(ends)
        concerned: set[str] = set()
        for end in self._wanted[tenant] - self._given.ends(tenant):
            self._given.add(tenant, end)
            concerned |= self._hold(tenant, end)
        return concerned

    def is_settled(self, tenant: str) -> bool:
        """Tell whether a tenant was given no more than it was given last."""
        return self._given.ends(tenant) == self._wanted.get(tenant, frozenset())

    def settle(self, tenant: str) -> set[str]:
        """Record that only what was given last is still written; return who is concerned."""
        concerned: set[str] = set()
        for end in self._given.ends(tenant) - self._wanted.get(tenant, frozenset()):
            self._given.drop(tenant, end)
            concerned |= self._let_go(tenant, end)
        return concerned

    def forget(self, tenant: str) -> set[str]:
        """Record that a SecureTenant is gone; its TenantPolicies go on holding its names."""
        concerned = self.put(tenant, None) | self.give(tenant, ()) | self.settle(tenant)
        self._wanted.pop(tenant, None)
        return concerned

    # --- who has what -----------------------------------------------------------------------

    def taken(self, tenant: str, ends: Iterable[str]) -> dict[str, str]:
        """Return those of a tenant's ends that it does not get, each with who has it."""
        found = {}
        for end in ends:
            owner = self._owner(tenant, end)
            if owner != tenant:
                found[end] = owner
        return found

    def stray(self, tenant: str, ends: Iterable[str]) -> set[str]:
        """Return ends that were not given to a tenant, and of which another was given some part.

        No tenant is given what another has, so somebody else wrote them.
        """
        own = self._given.ends(tenant)
        return {
            end
            for end in ends
            if end not in own
            and not any(wider in own for wider in _wider(end))
            and self._given.overlapping(end) - {tenant}
        }

    def holders(self, host: str) -> set[str]:
        """Return the tenants that have the name itself in force."""
        return {each for end in (host, *_wider(host)) for each in self._held.at(end)}

    def _owner(self, tenant: str, end: str) -> str:
        holders = self._held.overlapping(end) - {tenant}
        mine = self._held.ends(tenant)
        has_it = end in mine or any(wider in mine for wider in _wider(end))
        if holders:
            # Two that have it at once: one was there before this rule, or somebody else wrote it.
            # What was given stays, else the younger gives way.
            given = self._given.overlapping(end)
            rivals = (holders | {tenant}) if has_it else holders
            return min(rivals, key=lambda each: (each not in given, self._age(each)))
        if has_it:
            return tenant
        return min(self._asked.overlapping(end) | {tenant}, key=self._age)

    def _age(self, tenant: str) -> tuple[str, str]:
        """Sort by age; what is retained and has no SecureTenant cannot give way, so it is first."""
        claim = self._claims.get(tenant)
        return (claim.created if claim else "", tenant)

    def _rivals(self, tenant: str) -> set[str]:
        claim = self._claims.get(tenant)
        ends = claim.ends if claim else ()
        return {each for end in ends for each in self._asked.overlapping(end)} - {tenant}

    def _hold(self, tenant: str, end: str) -> set[str]:
        self._count[tenant, end] += 1
        if self._count[tenant, end] > 1:
            return set()
        self._held.add(tenant, end)
        return self._asked.overlapping(end) - {tenant}

    def _let_go(self, tenant: str, end: str) -> set[str]:
        self._count[tenant, end] -= 1
        if self._count[tenant, end]:
            return set()
        del self._count[tenant, end]
        self._held.drop(tenant, end)
        return self._asked.overlapping(end) - {tenant}


def _wider(end: str) -> Iterator[str]:
    """Yield every end that this one ends with: ``.b.c`` and ``.c`` for ``.a.b.c`` and ``a.b.c``."""
    labels = end.removeprefix(".").split(".")
    for index in range(1, len(labels)):
        yield "." + ".".join(labels[index:])
