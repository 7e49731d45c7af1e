"""NetworkPolicies in tenants' namespaces that the operator did not make.

They stay while they reach no further than their tenant. A namespace that leaves a tenant, or comes
into one with NetworkPolicies of its own, would otherwise be open to another tenant.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import NamedTuple

from securetenant.api import names, status
from securetenant.api.objects import Body, Ref
from securetenant.plan import traffic
from securetenant.plan.traffic import ForeignPolicy, Reach
from securetenant.reconcile.errors import RefusedError
from securetenant.reconcile.store import Store
from securetenant.reconcile.unit import Worker
from securetenant.status.outcome import Finding

_TOLD = 3
_Label = tuple[str, str]


class Closed(NamedTuple):
    """A NetworkPolicy that was deleted."""

    ref: Ref
    note: str
    """What is told of it."""


class Traffic:
    """Who is let in and out where, by what is seen."""

    def __init__(self, *, store: Store, worker: Worker) -> None:
        self._store = store
        self._worker = worker
        self._known: dict[Ref, ForeignPolicy] = {}
        self._inside: defaultdict[str, set[Ref]] = defaultdict(set)
        """NetworkPolicies by the namespace that they are in."""
        self._naming: defaultdict[_Label, set[Ref]] = defaultdict(set)
        """NetworkPolicies by the labels of namespaces, of names and of tenants, that they ask for.
        """
        self._deleted: set[str] = set()
        """Uids of those whose deletion was asked for, until they are seen gone."""
        self._refused: dict[str, str] = {}
        """Why a deletion was refused, by uid."""

    def put(self, ref: Ref, body: Body) -> bool:
        """Take one as it now is; tell whether what we look at changed."""
        known, found = self._known.get(ref), traffic.observe(body)
        if known is not None and found.version <= known.version:
            return False
        if known is not None and found[1:] == known[1:]:
            self._known[ref] = found
            return False
        self._forget(ref, keep=found.uid)
        self._known[ref] = found
        self._inside[ref.namespace].add(ref)
        for label in _labels(found):
            self._naming[label].add(ref)
        return True

    def drop(self, ref: Ref, version: int) -> bool:
        """Forget one that was deleted at that version; tell whether it was known."""
        known = self._known.get(ref)
        if known is None or known.version > version:
            return False
        self._forget(ref)
        return True

    def refs(self, _: str) -> list[Ref]:
        """Return every one that is known."""
        return list(self._known)

    def concerned(self, ref: Ref) -> set[str]:
        """Return the tenants in whose namespace one is, and whose namespaces it names."""
        known = self._known.get(ref)
        found = {self._store.owner_of(ref.namespace)}
        for key, value in _labels(known) if known is not None else ():
            found.add(value if key == names.TENANT_LABEL else self._store.owner_of(value))
        return found - {""}

    def tenants_naming(self, namespace: str) -> set[str]:
        """Return the tenants in whose namespaces this one is named."""
        naming = self._naming.get((names.NAMESPACE_NAME_LABEL, namespace), ())
        return {self._store.owner_of(ref.namespace) for ref in naming} - {""}

    async def close(self, namespace: str, tenant: str) -> list[Closed]:
        """Delete those that name a namespace, in namespaces of other tenants.

        ``tenant`` is whose the namespace is, or is about to be; an empty string where it is about
        to be nobody's. Raises a :class:`ClusterError`.
        """
        closed = []
        for ref in self._in_others((names.NAMESPACE_NAME_LABEL, namespace), tenant):
            closed += await self._delete(ref, (f"namespace {namespace}",))
        return closed

    async def expel(self, reach: Reach, namespaces: Collection[str]) -> list[Closed]:
        """Delete what reaches beyond a tenant from namespaces of its own, or into them.

        Raises a :class:`ClusterError`.
        """
        closed = []
        for namespace in sorted(namespaces):
            for ref, found in self._beyond(reach, namespace):
                closed += await self._delete(ref, found)
            closed += await self.close(namespace, reach.tenant)
        for ref in self._in_others((names.TENANT_LABEL, reach.tenant), reach.tenant):
            closed += await self._delete(ref, (f"namespaces of tenant {reach.tenant}",))
        return closed

    def is_open(self, reach: Reach) -> bool:
        """Tell whether a deletion was refused, so that it has to be tried again."""
        own = self._store.owned_by(reach.tenant)
        return any(
            self._known[ref].uid in self._refused
            for each in own
            for ref, _ in self._beyond(reach, each)
        )

    def findings(self, reach: Reach, *, is_suspended: bool) -> tuple[Finding, ...]:
        """Return what is still in force and reaches beyond a tenant."""
        told = []
        for namespace in sorted(self._store.owned_by(reach.tenant)):
            for ref, found in self._beyond(reach, namespace):
                known = self._known[ref]
                if known.uid in self._deleted and not known.held:
                    continue
                why = self._refused.get(known.uid, "")
                if known.held:
                    why = f"it is being deleted and has the finalizers {', '.join(known.held)}"
                elif is_suspended:
                    why = "the operator is suspended and does not delete it"
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

    def _beyond(self, reach: Reach, namespace: str) -> Iterator[tuple[Ref, tuple[str, ...]]]:
        """Yield the NetworkPolicies of a namespace that reach too far, and what they reach."""
        for ref in sorted(self._inside.get(namespace, ())):
            if found := traffic.beyond(self._known[ref], namespace, reach):
                yield ref, found

    def _in_others(self, label: _Label, tenant: str) -> list[Ref]:
        return [
            ref
            for ref in sorted(self._naming.get(label, ()))
            if self._store.owner_of(ref.namespace) not in ("", tenant)
        ]

    async def _delete(self, ref: Ref, found: tuple[str, ...]) -> list[Closed]:
        uid = self._known[ref].uid
        if uid in self._deleted:
            return []
        try:
            await self._worker.delete(ref, uid)
        except RefusedError as error:
            self._refused[uid] = f"the API server refused to delete it: {error}"
            return []
        self._refused.pop(uid, None)
        self._deleted.add(uid)
        note = (
            f"{ref} reached beyond its tenant ({', '.join(found)}), and was deleted. To allow the"
            " rest again, make it without that; other traffic is declared in spec.network"
        )
        return [Closed(ref, note)]

    def _forget(self, ref: Ref, keep: str = "") -> None:
        """Forget one; ``keep`` is its uid if it is only about to be known anew."""
        known = self._known.pop(ref, None)
        if known is None:
            return
        if known.uid != keep:
            self._deleted.discard(known.uid)
            self._refused.pop(known.uid, None)
        self._inside[ref.namespace].discard(ref)
        if not self._inside[ref.namespace]:
            del self._inside[ref.namespace]
        for label in _labels(known):
            self._naming[label].discard(ref)
            if not self._naming[label]:
                del self._naming[label]


def _labels(policy: ForeignPolicy) -> set[_Label]:
    """Return the labels of namespaces that it asks for; a tenant comes before a name."""
    found: set[_Label] = set()
    for peer in policy.peers:
        if peer.tenants is not None:
            found |= {(names.TENANT_LABEL, each) for each in peer.tenants}
        else:
            found |= {(names.NAMESPACE_NAME_LABEL, each) for each in peer.namespaces or ()}
    return found
