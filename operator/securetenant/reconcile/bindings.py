"""RoleBindings in tenants' namespaces that the operator did not make.

They are the tenant's, or the platform's, and stay as they are, with one exception: one that names
ServiceAccounts of a namespace that belongs to another tenant now would let that tenant in.
"""

from collections.abc import Collection

from securetenant.api import status
from securetenant.api.objects import Body, Ref
from securetenant.plan import bindings
from securetenant.plan.bindings import ForeignBinding
from securetenant.reconcile.foreign import Foreign
from securetenant.reconcile.store import Store
from securetenant.reconcile.unit import Worker
from securetenant.status.outcome import Finding

_TOLD = 3


class Bindings:
    """Who is named where, by what is seen."""

    def __init__(self, *, store: Store, worker: Worker) -> None:
        self._store = store
        self._worker = worker
        self._found = Foreign[ForeignBinding, str](lambda each: each.accounts)
        """By the namespaces whose ServiceAccounts they name."""

    def seen(self, ref: Ref, body: Body) -> set[str]:
        """Take one as it now is; return the tenant whose conditions it may change."""
        changed = self._found.put(ref, bindings.observe(body))
        return {self._store.owner_of(ref.namespace)} if changed else set()

    def gone(self, ref: Ref, version: int) -> set[str]:
        """Forget one that was deleted at that version; return the tenant that had it."""
        known = self._found.drop(ref, version)
        return {self._store.owner_of(ref.namespace)} if known is not None else set()

    def refs(self, _: str) -> list[Ref]:
        """Return every one that is known."""
        return self._found.refs()

    def tenants_naming(self, namespace: str) -> set[str]:
        """Return the tenants in whose namespaces ServiceAccounts of this one are named."""
        naming = self._found.naming(namespace)
        return {self._store.owner_of(ref.namespace) for ref in naming} - {""}

    async def close(self, namespace: str, tenant: str) -> list[Ref]:
        """Delete those that name ServiceAccounts of a namespace, in namespaces of other tenants.

        ``tenant`` is whose the namespace is, or is about to be; an empty string where it is about
        to be nobody's. Raises a :class:`ClusterError`.
        """
        found = [
            ref
            for ref in self._found.naming(namespace)
            if self._store.owner_of(ref.namespace) not in ("", tenant)
        ]
        return await self._delete(found)

    async def expel(self, tenant: str) -> list[Ref]:
        """Delete those in a tenant's namespaces that name ServiceAccounts of another tenant.

        Raises a :class:`ClusterError`.
        """
        found = [
            ref
            for ref, known in self._of(tenant)
            if any(self._store.owner_of(each) not in ("", tenant) for each in known.accounts)
        ]
        return await self._delete(found)

    def findings(self, tenant: str, own: Collection[str]) -> tuple[Finding, ...]:
        """Return what a tenant's namespaces give to others; ``own`` are those of its spec."""
        told, others = [], []
        for ref, known in self._of(tenant):
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
            # The member who made them may have lost a grant since then.
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

    def _of(self, tenant: str) -> list[tuple[Ref, ForeignBinding]]:
        return self._found.inside(self._store.owned_by(tenant))

    async def _delete(self, refs: list[Ref]) -> list[Ref]:
        for ref in refs:
            if (known := self._found.get(ref)) is not None:
                await self._worker.delete(ref, known.uid)
                self._found.forget(ref)
        return refs


def _listed(told: list[str], between: str) -> str:
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return f"{between.join(told[:_TOLD])}{more}"


def removed(ref: Ref) -> str:
    """Return what is told of one that was deleted."""
    return (
        f"{ref} named ServiceAccounts of a namespace that left its tenant, and was deleted. To"
        " grant the others again, make it without them"
    )
