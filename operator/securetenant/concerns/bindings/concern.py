"""RoleBindings that others made: how they join the work of the machine."""

from collections.abc import Iterable, Sequence

from securetenant.api import kinds, names, status
from securetenant.api.objects import Ref
from securetenant.concerns.bindings.bindings import Bindings, removed
from securetenant.reconcile import foreign
from securetenant.reconcile.concern import Concern, Prepared, Watch
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status import conditions
from securetenant.status.statements import Statement


class ForeignBindings(Concern):
    """Deletes those that would let one tenant into another; names what else they give."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._bindings = Bindings(store=machine.store, writer=machine.writer)

    def watches(self) -> Sequence[Watch]:
        """Follow those without our label."""
        return (
            foreign.watch(
                self._machine, self._bindings, kinds.ROLE_BINDING, names.FOREIGN_SELECTOR
            ),
        )

    def namespace_changed(self, namespace: str) -> None:
        """Its ServiceAccounts may be somebody else's now."""
        self._machine.tell(self._bindings.tenants_naming(namespace))

    async def prepare(self, name: str, record: Record) -> Prepared:
        """Delete those that name ServiceAccounts of other tenants."""
        self._removed(await self._bindings.expel(name))
        return Prepared(is_open=self._bindings.is_open(name))

    async def preflight(
        self, namespace: str, tenant: str, record: Record
    ) -> tuple[str, str] | None:
        """Name those elsewhere that give rights to its ServiceAccounts, and stay."""
        unit = record.units[namespace]
        found = self._bindings.outside(namespace)
        if not found or unit.scope.enforcement != "Enforce":
            return None
        told = (
            f"Namespace {namespace} is not taken, and nothing in it was touched:"
            f" {conditions.listed(map(str, found))} give rights to its ServiceAccounts, and anyone"
            " who may run pods there may use them. Delete what is named; with spec.enforcement:"
            " Audit it is taken nevertheless"
        )
        if unit.outcome.message != told:
            self._machine.announce(tenant, status.ADOPTION_BLOCKED, "Adopt", told, is_warning=True)
        return status.ADOPTION_BLOCKED, told

    async def admit(self, namespace: str, tenant: str, record: Record) -> None:
        """Take from its ServiceAccounts what they had elsewhere."""
        self._removed(await self._bindings.close(namespace, tenant))

    def opening(self, namespace: str, tenant: str) -> tuple[str, str] | None:
        """Name no object: it is another tenant's to read which it is."""
        if not self._bindings.is_named(namespace, tenant):
            return None
        message = (
            f"Namespace {namespace} is not created yet. A RoleBinding of another tenant names it"
            " and could not be deleted. The condition AccessScoped of that tenant says why"
        )
        return status.FOREIGN_BINDINGS, message

    async def release(self, namespace: str, tenant: str) -> None:
        """Somebody else may make a namespace of that name afterwards."""
        for ref in await self._bindings.close(namespace, ""):
            self._announce(tenant, ref)
        self._tell_troubled()

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say what a tenant's namespaces give to others."""
        return self._bindings.findings(name, record.own, is_suspended=record.is_suspended)

    def _removed(self, refs: Iterable[Ref]) -> None:
        """Tell the tenants in whose namespaces they were."""
        for ref in refs:
            owner = self._machine.store.owner_of(ref.namespace)
            self._announce(owner, ref)
            self._machine.tell((owner,))
        self._tell_troubled()

    def _tell_troubled(self) -> None:
        self._machine.tell(map(self._machine.store.owner_of, self._bindings.troubled()))

    def _announce(self, tenant: str, ref: Ref) -> None:
        self._machine.announce(
            tenant, "RoleBindingRemoved", "Remove", removed(ref), is_warning=True
        )
