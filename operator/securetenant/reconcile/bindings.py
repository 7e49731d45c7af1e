"""RoleBindings in tenants' namespaces that the operator did not make.

They are the tenant's, or the platform's, and stay as they are, with one exception: one that names
ServiceAccounts of a namespace that belongs to another tenant now would let that tenant in.
"""

from collections import defaultdict
from collections.abc import Collection

from securetenant.api import status
from securetenant.api.objects import Body, Ref
from securetenant.plan import bindings
from securetenant.plan.bindings import ForeignBinding
from securetenant.reconcile.store import Store
from securetenant.reconcile.unit import Worker
from securetenant.status.outcome import Finding

_TOLD = 3


class Bindings:
    """Who is named where, by what is seen."""

    def __init__(self, *, store: Store, worker: Worker) -> None:
        self._store = store
        self._worker = worker
        self._known: dict[Ref, ForeignBinding] = {}
        self._inside: defaultdict[str, set[Ref]] = defaultdict(set)
        """RoleBindings by the namespace that they are in."""
        self._naming: defaultdict[str, set[Ref]] = defaultdict(set)
        """RoleBindings by the namespaces whose ServiceAccounts they name."""

    def put(self, ref: Ref, body: Body) -> bool:
        """Take one as it now is; tell whether what we look at changed."""
        known, found = self._known.get(ref), bindings.observe(body)
        if known is not None and found.version <= known.version:
            return False
        if known is not None and found[1:] == known[1:]:
            self._known[ref] = found
            return False
        self._forget(ref)
        self._known[ref] = found
        self._inside[ref.namespace].add(ref)
        for namespace in found.accounts:
            self._naming[namespace].add(ref)
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

    def accounts(self, ref: Ref) -> Collection[str]:
        """Return the other namespaces whose ServiceAccounts it names."""
        known = self._known.get(ref)
        return () if known is None else known.accounts

    def tenants_naming(self, namespace: str) -> set[str]:
        """Return the tenants in whose namespaces ServiceAccounts of this one are named."""
        naming = self._naming.get(namespace, ())
        return {self._store.owner_of(ref.namespace) for ref in naming} - {""}

    async def close(self, namespace: str, tenant: str) -> list[Ref]:
        """Delete those that name ServiceAccounts of a namespace, in namespaces of other tenants.

        ``tenant`` is whose the namespace is, or is about to be; an empty string where it is about
        to be nobody's. Raises a :class:`ClusterError`.
        """
        found = [
            ref
            for ref in sorted(self._naming.get(namespace, ()))
            if self._store.owner_of(ref.namespace) not in ("", tenant)
        ]
        return await self._delete(found)

    async def expel(self, tenant: str) -> list[Ref]:
        """Delete those in a tenant's namespaces that name ServiceAccounts of another tenant.

        Raises a :class:`ClusterError`.
        """
        found = [
            ref
            for ref in self._of(tenant)
            if any(self._store.owner_of(each) not in ("", tenant) for each in self.accounts(ref))
        ]
        return await self._delete(found)

    def findings(self, tenant: str, own: Collection[str]) -> tuple[Finding, ...]:
        """Return what a tenant's namespaces give to others; ``own`` are those of its spec."""
        told, others = [], []
        for ref in self._of(tenant):
            known = self._known[ref]
            strangers = [f"ServiceAccounts of {each}" for each in sorted(known.accounts - set(own))]
            if beyond := (*known.beyond, *strangers)[:_TOLD]:
                told.append(f"{ref} ({', '.join(beyond)})")
            elif known.has_accounts:
                others.append(str(ref))
        said = []
        if told:
            said.append(
                "RoleBindings that SecureTenant did not make give access beyond spec.access:"
                f" {_listed(told, '; ')}. They stay as they are; delete what nobody needs."
            )
        if others:
            # Whoever made them may have lost a grant since then.
            said.append(
                "RoleBindings of members give rights to ServiceAccounts of this tenant:"
                f" {_listed(others, ', ')}. They stay when the member leaves."
            )
        if not said:
            return ()
        return (
            Finding(
                type=status.ACCESS_SCOPED,
                reason=status.FOREIGN_BINDINGS if told else status.AS_SPECIFIED,
                message=" ".join(said),
                informs=True,
            ),
        )

    def _of(self, tenant: str) -> list[Ref]:
        inside = (self._inside.get(each, set()) for each in self._store.owned_by(tenant))
        return sorted(ref for refs in inside for ref in refs)

    async def _delete(self, refs: list[Ref]) -> list[Ref]:
        for ref in refs:
            await self._worker.delete(ref, self._known[ref].uid)
            self._forget(ref)
        return refs

    def _forget(self, ref: Ref) -> None:
        known = self._known.pop(ref, None)
        if known is None:
            return
        self._inside[ref.namespace].discard(ref)
        if not self._inside[ref.namespace]:
            del self._inside[ref.namespace]
        for namespace in known.accounts:
            self._naming[namespace].discard(ref)
            if not self._naming[namespace]:
                del self._naming[namespace]


def _listed(told: list[str], between: str) -> str:
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return f"{between.join(told[:_TOLD])}{more}"


def removed(ref: Ref) -> str:
    """Return what is told of one that was deleted."""
    return (
        f"{ref} named ServiceAccounts of a namespace that left its tenant, and was deleted. To"
        " grant the others again, make it without them"
    )
