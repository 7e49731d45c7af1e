"""Each tenant's ClusterNetworkPolicy, where the API server serves the kind."""

from collections.abc import Iterable, Mapping, Sequence

from securetenant.api import kinds, names, status
from securetenant.api.objects import Body, Ref
from securetenant.plan import ownership
from securetenant.reconcile.concern import Concern, Prepared, Presence, Watch, Work
from securetenant.reconcile.errors import ClusterError, RefusedError, UnavailableError
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status.outcome import Finding
from securetenant.status.statements import Remark, Statement

_KIND = kinds.CLUSTER_NETWORK_POLICY.name


class AdminTier(Concern):
    """ClusterNetworkPolicies as they are, against those that tenants should have."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._store = machine.store
        self._are_served = False
        """Whether the kind is served, and all of them were seen."""
        self._stood: set[str] = set()
        """Tenants whose was seen in place: what differs then is somebody else's doing."""
        self._missing: dict[str, Finding] = {}
        """Why a tenant's was not in place after the last attempt."""

    def watches(self) -> Sequence[Watch]:
        """Follow those with our label while the kind is served: its CRD is somebody else's."""
        watch = Watch(
            kind=kinds.CLUSTER_NETWORK_POLICY,
            selector=names.MANAGED_SELECTOR,
            seen=self._seen,
            gone=self._gone,
            known=self._store.refs,
            presence=Presence.OPTIONAL,
            served=self._served,
            unserved=self._unserved,
        )
        return (watch,)

    def works(self) -> Mapping[str, Work]:
        """Delete what is no tenant's."""
        return {"Stray": self._delete_stray}

    def _seen(self, ref: Ref, body: Body) -> None:
        if self._store.see(ref, body):
            self._wake(ref)

    def _gone(self, ref: Ref, version: int) -> None:
        if self._store.drop(ref, version):
            self._wake(ref)

    def _served(self) -> None:
        self._are_served = True
        self._look_at_all()

    def _unserved(self) -> None:
        """There are only NetworkPolicies again: what was seen is no more."""
        self._are_served = False
        for ref in self._refs():
            known = self._store.get(ref)
            if known is not None:
                self._store.drop(ref, known.version)
        self._machine.tell(self._machine.tenants.names())

    def settings_changed(self) -> None:
        """Look at all of them again."""
        self._look_at_all()

    def tenant_gone(self, name: str) -> None:
        """Delete its own, unless namespaces are left."""
        self._stood.discard(name)
        self._missing.pop(name, None)
        self._wake(_ref_of(name))

    def namespace_gone(self, tenant: str) -> None:
        """See whether a tenant's own has to go with its last namespace."""
        self._wake(_ref_of(tenant))

    def _look_at_all(self) -> None:
        self._machine.tell(self._machine.tenants.names())
        for ref in self._refs():
            self._wake(ref)

    def _wake(self, ref: Ref) -> None:
        """Queue whose it is, unless it is as it should be there."""
        if not self._are_served:
            return
        name = names.tenant_of_tier(ref.name)
        record = self._machine.tenants.get(name)
        if record is None:
            self._machine.queue.add(Key("Stray", name or ref.name, ref.name))
        elif not self.is_in_place(record):
            if name in self._stood and name not in self._missing:
                self._machine.meter.drifted(ref.kind)
            self._machine.tell((name,))

    async def prepare(self, name: str, record: Record) -> Prepared:
        """Make the tenant's what it should be; that it fails keeps no namespace from being right.

        Before its namespaces, so that there is no moment without it.
        """
        self._missing.pop(name, None)
        if not self._are_served or record.tier is None:
            self._stood.discard(name)
            return Prepared()
        if record.awaits_turn:
            return Prepared()
        reason, message = status.PROGRESSING, ""
        if not self.is_in_place(record):
            manifest = record.tier.manifest
            try:
                await self._machine.writer.apply(
                    manifest, name, record.uid, stood=name in self._stood
                )
            except RefusedError as error:
                reason, message = status.REFUSED, f": the API server refused a write: {error}"
            except UnavailableError as error:
                reason, message = status.UNAVAILABLE, f": the API server is unavailable: {error}"
            except ClusterError as error:
                # Somebody changed it meanwhile, or the kind goes: it is seen again.
                message = f": {error}"
        if self.is_in_place(record):
            self._stood.add(name)
            return Prepared()
        self._missing[name] = _lacking(name, reason, message)
        return Prepared(self._missing[name], is_open=True)

    def is_in_place(self, record: Record) -> bool:
        """While they are not served, it is."""
        if not self._are_served or record.tier is None:
            return True
        known = self._store.get(record.tier.manifest.ref)
        return known is not None and known.digest == ownership.digest(record.tier.manifest.body)

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say what keeps it from being in place, and what it does where it is."""
        if not self._are_served or record.tier is None:
            return
        if not record.awaits_turn and not self.is_in_place(record):
            yield self._missing.get(name) or _lacking(name, status.PROGRESSING, "")
        told = (
            "and with a ClusterNetworkPolicy that no NetworkPolicy overrides, against other tenants"
            " and metadata addresses"
        )
        told = f"{told}; {record.tier.remark}" if record.tier.remark else told
        yield Remark(type=status.NETWORK_ISOLATED, message=told)

    async def tenant_left(self, name: str) -> None:
        """Delete that of a tenant without namespaces."""
        await self._delete(_ref_of(name))

    async def _delete_stray(self, key: Key) -> bool:
        """Delete one with our label of which no namespace is a subject, by its own name.

        A retained namespace keeps its own; what has another name is no tenant's.
        """
        tenant = names.tenant_of_tier(key.name)
        is_stray = self._machine.tenants.get(tenant) is None and not self._store.owned_by(tenant)
        if self._machine.settings is not None and is_stray:
            await self._delete(Ref(_KIND, "", key.name))
        return False

    async def _delete(self, ref: Ref) -> None:
        known = self._store.get(ref)
        if known is not None:
            await self._machine.writer.delete(ref, known.uid)

    def _refs(self) -> list[Ref]:
        return list(self._store.refs(_KIND))


def _lacking(tenant: str, reason: str, why: str) -> Finding:
    return Finding(
        type=status.NETWORK_ISOLATED,
        reason=reason,
        message=f"{_ref_of(tenant)} is not as it should be{why}",
    )


def _ref_of(tenant: str) -> Ref:
    """Return how a tenant's ClusterNetworkPolicy is called."""
    return Ref(_KIND, "", names.admin_tier(tenant))
