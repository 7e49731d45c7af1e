"""NetworkPolicies that others made: how they join the work of the machine."""

from collections.abc import Iterable, Sequence

from securetenant.api import kinds, names, status
from securetenant.concerns.traffic.traffic import Closed, Traffic
from securetenant.plan.traffic import Reach
from securetenant.reconcile import foreign
from securetenant.reconcile.concern import Concern, Prepared, Watch
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status.statements import Statement


class ForeignPolicies(Concern):
    """Deletes those that reach beyond their tenant."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._traffic = Traffic(store=machine.store, writer=machine.writer)

    def watches(self) -> Sequence[Watch]:
        """Follow those without our label."""
        return (
            foreign.watch(
                self._machine, self._traffic, kinds.NETWORK_POLICY, names.FOREIGN_SELECTOR
            ),
        )

    def namespace_changed(self, namespace: str) -> None:
        """Its pods may be somebody else's now."""
        self._machine.tell(self._traffic.tenants_naming(namespace))

    async def prepare(self, name: str, record: Record) -> Prepared:
        """Delete those that reach beyond the tenant."""
        reach = self._reach(name, record)
        self._closed(name, await self._traffic.expel(reach, self._machine.store.owned_by(name)))
        return Prepared(is_open=self._traffic.is_open(reach))

    async def admit(self, namespace: str, tenant: str, record: Record) -> None:
        """Delete those of anyone that open it to pods of others."""
        reach = self._reach(tenant, record)
        self._closed(tenant, await self._traffic.expel(reach, (namespace,)))

    def opening(self, namespace: str, tenant: str) -> tuple[str, str] | None:
        """Name no object: it is another tenant's to read which it is."""
        if not self._traffic.is_named(namespace, tenant):
            return None
        message = (
            f"Namespace {namespace} is not created yet. A NetworkPolicy of another tenant names it"
            " and could not be deleted. The condition NetworkIsolated of that tenant says why"
        )
        return status.FOREIGN_POLICIES, message

    async def release(self, namespace: str, tenant: str) -> None:
        """Somebody else may make a namespace of that name afterwards."""
        for closed in await self._traffic.close(namespace, ""):
            self._announce(tenant, closed.note)
        self._tell_troubled()

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say what is still in force and reaches beyond a tenant."""
        reach = self._reach(name, record)
        return self._traffic.findings(reach, is_suspended=record.is_suspended)

    def _reach(self, name: str, record: Record) -> Reach:
        """Return what NetworkPolicies of a tenant's members may name."""
        unread = record.spec is None

        def is_own(namespace: str) -> bool:
            owner = self._machine.store.owner_of(namespace)
            # Until a spec could be read, a name that is free may be one of it.
            return namespace in record.own or owner == name or (unread and not owner)

        network = record.spec.network if record.spec is not None else None
        apart = network is not None and network.same_tenant == "Deny"
        return Reach(name, is_own, apart)

    def _closed(self, name: str, closed: list[Closed]) -> None:
        """Tell the tenant in whose namespace each was, or else this one."""
        for ref, note in closed:
            owner = self._machine.store.owner_of(ref.namespace)
            self._announce(owner if owner in self._machine.tenants.records else name, note)
        self._tell_troubled()

    def _tell_troubled(self) -> None:
        self._machine.tell(map(self._machine.store.owner_of, self._traffic.troubled()))

    def _announce(self, tenant: str, note: str) -> None:
        self._machine.announce(tenant, "NetworkPolicyRemoved", "Remove", note, is_warning=True)
