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
from securetenant.reconcile.removals import Removals
from securetenant.reconcile.store import Store
from securetenant.reconcile.unit import Writer
from securetenant.status.outcome import Finding

_TOLD = 3


class Bindings:
    """Who is named where, by what is seen."""

    def __init__(self, *, store: Store, writer: Writer) -> None:
        self._store = store
        self._found = Foreign[ForeignBinding, str](lambda each: each.accounts)
        """By the namespaces whose ServiceAccounts they name."""
        self._removals = Removals(writer, self.seen)

    def seen(self, ref: Ref, body: Body) -> set[str]:
        """Take one as it now is; return the tenant whose conditions it may change."""
        before = self._found.get(ref)
        if not self._found.put(ref, found := bindings.observe(body)):
            return set()
        if before is not None and (before.uid, before.accounts) != (found.uid, found.accounts):
            self._removals.settle(before.uid)
        return {self._store.owner_of(ref.namespace)}

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
        """Return the tenants in whose namespaces ServiceAccounts of this one are named."""
        naming = self._found.naming(namespace)
        return {self._store.owner_of(ref.namespace) for ref in naming} - {""}

    async def close(self, namespace: str, tenant: str) -> list[Ref]:
        """Delete those that name ServiceAccounts of a namespace, in namespaces of other tenants.

        ``tenant`` is whose the namespace is, or is about to be; an empty string where it is about
        to be nobody's. Returns those that are gone.
        """
        return await self._delete(self._in_others(namespace, tenant))

    def outside(self, namespace: str) -> list[Ref]:
        """Return those that name its ServiceAccounts in namespaces of no tenant.

        Nobody deletes these: they are the platform's.
        """
        naming = self._found.naming(namespace)
        return [
            ref
            for ref in naming
            if ref.namespace != namespace and not self._store.owner_of(ref.namespace)
        ]

    async def expel(self, tenant: str) -> list[Ref]:
        """Delete those in a tenant's namespaces that name ServiceAccounts of another tenant.

        Those that could not be deleted before are tried again. Returns those that are gone.
        """
        return await self._delete([ref for ref, _ in self._doomed(tenant)])

    def is_open(self, tenant: str) -> bool:
        """Tell whether a deletion failed, so that it has to be tried again."""
        return any(self._removals.has_failed(known.uid) for _, known in self._doomed(tenant))

    def is_named(self, namespace: str, tenant: str) -> bool:
        """Tell whether one in a namespace of another tenant names its accounts, and is not gone."""
        return any(
            not self._removals.is_over(known)
            for ref in self._in_others(namespace, tenant)
            if (known := self._found.get(ref)) is not None
        )

    def troubled(self) -> set[str]:
        """Return, once, the namespaces in which one came to stay that has to go."""
        return self._removals.troubled()

    def findings(
        self, tenant: str, own: Collection[str], *, is_suspended: bool
    ) -> tuple[Finding, ...]:
        """Return what a tenant's namespaces give to others; ``own`` are those of its spec."""
        doomed = {ref for ref, _ in self._doomed(tenant)}
        left: list[str] = []
        told: list[str] = []
        others: list[str] = []
        for ref, known in self._of(tenant):
            if self._removals.is_over(known):
                continue
            strangers = [f"ServiceAccounts of {each}" for each in sorted(known.accounts - set(own))]
            if beyond := (*known.beyond, *strangers)[:_TOLD]:
                is_kept = is_suspended and ref in doomed
                why = self._removals.obstacle(known, is_suspended=is_kept)
                line = f"{ref} ({', '.join(beyond)}{f'; {why}' if why else ''})"
                (left if ref in doomed else told).append(line)
            elif known.has_accounts:
                others.append(str(ref))
        if left:
            message = (
                "RoleBindings that SecureTenant did not make give rights to ServiceAccounts of"
                f" namespaces that are not the tenant's: {_listed(left, '; ')}. Delete them, or"
                " take these subjects out of them."
            )
            return (
                Finding(type=status.ACCESS_SCOPED, reason=status.FOREIGN_BINDINGS, message=message),
            )
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

    def _in_others(self, namespace: str, tenant: str) -> list[Ref]:
        return [
            ref
            for ref in self._found.naming(namespace)
            if self._store.owner_of(ref.namespace) not in ("", tenant)
        ]

    def _doomed(self, tenant: str) -> list[tuple[Ref, ForeignBinding]]:
        """Return those that have to go: they name a namespace of another tenant, or one that left.

        One that left is nobody's; the deletion that was asked for then is remembered.
        """
        found = []
        for ref, known in self._of(tenant):
            owners = {self._store.owner_of(each) for each in known.accounts} - {tenant}
            if owners - {""} or (owners and self._removals.is_wanted(known.uid)):
                found.append((ref, known))
        return found

    async def _delete(self, refs: list[Ref]) -> list[Ref]:
        return [
            ref
            for ref in refs
            if (known := self._found.get(ref)) is not None
            and await self._removals.ask(ref, known.uid)
        ]


def _listed(told: list[str], between: str) -> str:
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return f"{between.join(told[:_TOLD])}{more}"


def removed(ref: Ref) -> str:
    """Return what an event says of one that was deleted."""
    return (
        f"{ref} named ServiceAccounts of a namespace that left its tenant, and was deleted. To"
        " grant the others again, make it without them"
    )
