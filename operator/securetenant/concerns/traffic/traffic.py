"""NetworkPolicies in tenants' namespaces that the operator did not make.

They stay while they reach no further than their tenant. A namespace that leaves a tenant, or comes
into one with NetworkPolicies of its own, would otherwise be open to another tenant.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from securetenant.api import names, status
from securetenant.api.objects import Body, Ref
from securetenant.plan import traffic
from securetenant.plan.traffic import ForeignPolicy, Reach
from securetenant.reconcile.foreign import Foreign
from securetenant.reconcile.removals import Removals
from securetenant.reconcile.store import Store
from securetenant.reconcile.unit import Writer
from securetenant.status.outcome import Finding

_TOLD = 3
_Label = tuple[str, str]


class Closed(NamedTuple):
    """A NetworkPolicy that was deleted."""

    ref: Ref
    note: str
    """What the event says."""


class Traffic:
    """Who is let in and out where, by what is seen."""

    def __init__(self, *, store: Store, writer: Writer) -> None:
        self._store = store
        self._found = Foreign[ForeignPolicy, _Label](_labels)
        """By the labels of namespaces, of names and of tenants, that they ask for."""
        self._removals = Removals(writer, self.seen)

    def seen(self, ref: Ref, body: Body) -> set[str]:
        """Take one as it now is; return the tenants that it concerns, or concerned before."""
        before, concerned = self._found.get(ref), self._concerned(ref)
        if not self._found.put(ref, found := traffic.observe(body)):
            return set()
        if before is not None and before.uid != found.uid:
            self._removals.settle(before.uid)
        return concerned | self._concerned(ref)

    def gone(self, ref: Ref, version: int) -> set[str]:
        """Forget one that was deleted at that version; return the tenant that had it."""
        known = self._found.drop(ref, version)
        if known is None:
            return set()
        self._removals.settle(known.uid)
        return {self._store.owner_of(ref.namespace)}

    def refs(self, _: str) -> list[Ref]:
        """Return every one that is known."""
        return self._found.refs()

    def tenants_naming(self, namespace: str) -> set[str]:
        """Return the tenants in whose namespaces this one is named."""
        naming = self._found.naming((names.NAMESPACE_NAME_LABEL, namespace))
        return {self._store.owner_of(ref.namespace) for ref in naming} - {""}

    async def close(self, namespace: str, tenant: str) -> list[Closed]:
        """Delete those that name a namespace, in namespaces of other tenants.

        ``tenant`` is whose the namespace is, or is about to be; an empty string where it is about
        to be nobody's.
        """
        closed = []
        for ref in self._in_others((names.NAMESPACE_NAME_LABEL, namespace), tenant):
            closed += await self._delete(ref, (f"namespace {namespace}",))
        return closed

    async def expel(self, reach: Reach, namespaces: Collection[str]) -> list[Closed]:
        """Delete what reaches beyond a tenant from namespaces of its own, or into them."""
        closed = []
        for ref, _, found in self._beyond(reach, namespaces):
            closed += await self._delete(ref, found)
        for namespace in sorted(namespaces):
            closed += await self.close(namespace, reach.tenant)
        for ref in self._in_others((names.TENANT_LABEL, reach.tenant), reach.tenant):
            closed += await self._delete(ref, (f"namespaces of tenant {reach.tenant}",))
        return closed

    def is_open(self, reach: Reach) -> bool:
        """Tell whether a deletion failed, so that it has to be tried again."""
        own = self._store.owned_by(reach.tenant)
        return any(self._removals.has_failed(known.uid) for _, known, _ in self._beyond(reach, own))

    def is_named(self, namespace: str, tenant: str) -> bool:
        """Tell whether one in a namespace of another tenant names it, and is not gone."""
        return any(
            not self._removals.is_over(known)
            for ref in self._in_others((names.NAMESPACE_NAME_LABEL, namespace), tenant)
            if (known := self._found.get(ref)) is not None
        )

    def troubled(self) -> set[str]:
        """Return, once, the namespaces in which one came to stay that has to go."""
        return self._removals.troubled()

    def findings(self, reach: Reach, *, is_suspended: bool) -> tuple[Finding, ...]:
        """Return what is still in force and reaches beyond a tenant."""
        told = []
        for ref, known, found in self._beyond(reach, self._store.owned_by(reach.tenant)):
            if self._removals.is_over(known):
                continue
            why = self._removals.obstacle(known, is_suspended=is_suspended)
            told.append(f"{ref} ({', '.join(found)}{f'; {why}' if why else ''})")
        if not told:
            return ()
        more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        message = (
            f"NetworkPolicies that SecureTenant did not make reach beyond tenant {reach.tenant}:"
            f" {'; '.join(told[:_TOLD])}{more}. Delete them, or take these peers out of them."
        )
        return (
            Finding(type=status.NETWORK_ISOLATED, reason=status.FOREIGN_POLICIES, message=message),
        )

    def _concerned(self, ref: Ref) -> set[str]:
        """Return the tenants in whose namespace one is, and whose namespaces it names."""
        known = self._found.get(ref)
        found = {self._store.owner_of(ref.namespace)}
        for key, value in _labels(known) if known is not None else ():
            found.add(value if key == names.TENANT_LABEL else self._store.owner_of(value))
        return found - {""}

    def _beyond(
        self, reach: Reach, namespaces: Collection[str]
    ) -> Iterator[tuple[Ref, ForeignPolicy, tuple[str, ...]]]:
        """Yield the NetworkPolicies of namespaces that reach too far, and what they reach."""
        for ref, known in self._found.inside(namespaces):
            if found := traffic.beyond(known, ref.namespace, reach):
                yield ref, known, found

    def _in_others(self, label: _Label, tenant: str) -> list[Ref]:
        return [
            ref
            for ref in self._found.naming(label)
            if self._store.owner_of(ref.namespace) not in ("", tenant)
        ]

    async def _delete(self, ref: Ref, found: tuple[str, ...]) -> list[Closed]:
        known = self._found.get(ref)
        if known is None or not await self._removals.ask(ref, known.uid):
            return []
        note = (
            f"{ref} reached beyond its tenant ({', '.join(found)}), and was deleted. To allow the"
            " rest again, make it without that; other traffic is declared in spec.network"
        )
        return [Closed(ref, note)]


def _labels(policy: ForeignPolicy) -> set[_Label]:
    """Return the labels of namespaces that it asks for; a tenant comes before a name."""
    found: set[_Label] = set()
    for peer in policy.peers:
        if peer.tenants is not None:
            found |= {(names.TENANT_LABEL, each) for each in peer.tenants}
        else:
            found |= {(names.NAMESPACE_NAME_LABEL, each) for each in peer.namespaces or ()}
    return found
