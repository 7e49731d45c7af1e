"""The Admin tier: each tenant's ClusterNetworkPolicy, where the API server serves the kind."""

from securetenant.api import kinds, names, status
from securetenant.api.objects import Ref
from securetenant.plan import ownership
from securetenant.reconcile.errors import ClusterError, RefusedError, UnavailableError
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Record
from securetenant.reconcile.unit import Worker
from securetenant.status.outcome import Finding

_KIND = kinds.CLUSTER_NETWORK_POLICY.name


class Tiers:
    """ClusterNetworkPolicies as they are, against those that tenants should have."""

    def __init__(self, *, store: Store, worker: Worker) -> None:
        self._store = store
        self._worker = worker
        self.are_served = False
        """Whether the kind is served, and all of them were seen."""

    def served(self) -> None:
        """Take note that they are served, and that all of them were seen."""
        self.are_served = True

    def unserved(self) -> None:
        """Take note that they are not served any more: what was seen is no more."""
        self.are_served = False
        for ref in self.refs():
            known = self._store.get(ref)
            if known is not None:
                self._store.drop(ref, known.version)

    def refs(self) -> list[Ref]:
        """Return all that were seen."""
        return list(self._store.refs(_KIND))

    def is_right(self, record: Record) -> bool:
        """Tell whether a tenant has what it should have; while they are not served, it does."""
        if not self.are_served or record.tier is None:
            return True
        known = self._store.get(record.tier.manifest.ref)
        return known is not None and known.digest == ownership.digest(record.tier.manifest.body)

    def remark(self, record: Record) -> str:
        """Say what the tenant's does, if it has one."""
        if not self.are_served or record.tier is None:
            return ""
        told = (
            "and with a ClusterNetworkPolicy that no NetworkPolicy overrides, against other tenants"
            " and metadata addresses"
        )
        return f"{told}; {record.tier.remark}" if record.tier.remark else told

    async def keep(self, name: str, record: Record) -> None:
        """Make the tenant's what it should be; note in its record how it stands.

        Before its namespaces, and without keeping them from being right when it fails.
        """
        record.tier_finding = None
        if not self.are_served or record.tier is None:
            record.tier_stands = False
            return
        if record.awaits_turn:
            return
        reason, message = status.PROGRESSING, ""
        if not record.is_suspended and not self.is_right(record):
            manifest = record.tier.manifest
            try:
                await self._worker.apply(manifest, name, record.uid, stood=record.tier_stands)
            except RefusedError as error:
                reason, message = status.REFUSED, f": the API server refused a write: {error}"
            except UnavailableError as error:
                reason, message = status.UNAVAILABLE, f": the API server is unavailable: {error}"
            except ClusterError as error:
                # Somebody changed it meanwhile, or the kind goes: it is seen again.
                message = f": {error}"
        if self.is_right(record):
            record.tier_stands = True
        else:
            record.tier_finding = Finding(
                type=status.NETWORK_ISOLATED,
                reason=reason,
                message=f"{ref_of(name)} is not as it should be{message}",
            )

    async def delete(self, tenant: str) -> None:
        """Delete that of a tenant, if there is one. Raises a :class:`ClusterError`."""
        await self._delete(ref_of(tenant))

    async def delete_stray(self, name: str) -> None:
        """Delete one with our label of which no namespace is a subject, by its own name.

        A retained namespace keeps its own; what has another name is no tenant's. Raises a
        :class:`ClusterError`.
        """
        if not self._store.owned_by(names.tenant_of_tier(name)):
            await self._delete(Ref(_KIND, "", name))

    async def _delete(self, ref: Ref) -> None:
        known = self._store.get(ref)
        if known is not None:
            await self._worker.delete(ref, known.uid)


def ref_of(tenant: str) -> Ref:
    """Return how a tenant's ClusterNetworkPolicy is called."""
    return Ref(_KIND, "", names.admin_tier(tenant))
