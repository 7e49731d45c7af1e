"""Make one namespace of one tenant what it should be: the smallest piece of work."""

from dataclasses import dataclass

from securetenant.api import kinds, names, status
from securetenant.api.objects import Body, Manifest, Ref
from securetenant.desired import namespaces, unit
from securetenant.desired.scope import Scope
from securetenant.plan import drift, expected, ownership
from securetenant.plan.expected import Expected
from securetenant.reconcile.errors import (
    ClusterError,
    ConflictError,
    MissingError,
    RefusedError,
    UnavailableError,
)
from securetenant.reconcile.ports import Cluster, Meter
from securetenant.reconcile.store import Store
from securetenant.status.outcome import Outcome


class _ForeignError(Exception):
    """The namespace belongs to somebody else."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Carries the adapters from one piece of work to the next; keeps no state of its own."""

    cluster: Cluster
    store: Store
    meter: Meter

    async def converge(self, scope: Scope, wanted: Expected) -> Outcome:
        """Write what differs, in order, and say how the namespace stands. Raises nothing."""
        reason, message = status.PROGRESSING, ""
        try:
            await self._converge(scope, wanted)
        except _ForeignError as error:
            reason, message = status.CONFLICT, str(error)
        except RefusedError as error:
            reason, message = status.REFUSED, f"The API server refused a write: {error}"
        except UnavailableError as error:
            reason, message = status.UNAVAILABLE, f"The API server is unavailable: {error}"
        except ClusterError as error:
            # A conflict or a missing object: somebody changed it meanwhile. It is seen again.
            message = str(error)
        return self.judge(scope, wanted, reason, message)

    def judge(
        self,
        scope: Scope,
        wanted: Expected,
        reason: str = status.PROGRESSING,
        message: str = "",
    ) -> Outcome:
        """Say how the namespace stands, by what is known of the cluster."""
        name = scope.namespace.name
        pending = expected.pending(wanted, self.store.inside(name))
        if reason == status.CONFLICT:
            # Nothing of a foreign namespace is ours to judge: all of it is pending.
            pending = (wanted.namespace, *wanted.digests)
        if not pending:
            return Outcome(namespace=name, reason=status.AS_SPECIFIED)
        return Outcome(namespace=name, pending=pending, reason=reason, message=message)

    async def _converge(self, scope: Scope, wanted: Expected) -> None:
        await self._claim(scope, wanted.namespace)
        manifests: dict[Ref, Manifest] = {}
        for ref in expected.pending(wanted, self.store.inside(scope.namespace.name)):
            if not manifests:
                manifests = {each.ref: each for each in unit.build(scope)}
            known = self.store.get(ref)
            if ref in manifests:
                await self._apply(manifests[ref])
            elif known is not None:
                await self._delete(ref, known.uid)

    async def _claim(self, scope: Scope, ref: Ref) -> None:
        """Create the namespace, or make sure that the one that is there is the tenant's."""
        if self.store.get(ref) is None:
            try:
                body = await self.cluster.create(namespaces.build_initial(scope))
                self.meter.wrote("create", ref.kind)
            except ConflictError:
                existing = await self.cluster.read(ref)
                if existing is None:
                    raise MissingError(f"{ref} was deleted meanwhile") from None
                body = existing
            self._remember(body)
        known = self.store.get(ref)
        facts = known.facts if known else None
        if facts is None:
            raise MissingError(f"{ref} was deleted meanwhile")
        owner = facts.labels.get(names.TENANT_LABEL)
        if owner is None and self._was_ours(scope, ref.name):
            owner = scope.tenant
        if owner is None:
            raise _ForeignError(
                f"Namespace {ref.name} exists and belongs to no tenant. Choose another name,"
                f" or delete the namespace."
            )
        if owner != scope.tenant:
            raise _ForeignError(
                f"Namespace {ref.name} belongs to tenant {owner}. Choose another name, or"
                f" remove it from SecureTenant {owner} first."
            )
        if facts.terminating:
            raise MissingError(f"Namespace {ref.name} is being deleted; it is made again after")

    def _was_ours(self, scope: Scope, namespace: str) -> bool:
        """Tell whether a namespace without our label lost it: our TenantPolicy is in it.

        The object is written by the operator alone, and its digest names the tenant.
        """
        ref = Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME)
        known = self.store.get(ref)
        return known is not None and known.digest == next(
            ownership.digest(each.body) for each in unit.build(scope) if each.ref == ref
        )

    async def _apply(self, manifest: Manifest) -> None:
        """Make one object what it should be; read the answer, and insist."""
        ref = manifest.ref
        body = await self.cluster.apply(manifest)
        self.meter.wrote("apply", ref.kind)
        if patch := drift.surplus(manifest.body, body):
            body = await self.cluster.amend(ref, patch)
            self.meter.wrote("amend", ref.kind)
        self._remember(body)
        if ref.kind != kinds.NAMESPACE.name and ownership.digest(body) != ownership.digest(
            manifest.body
        ):
            paths = ", ".join(drift.differences(manifest.body, body))
            raise RefusedError(f"{ref} was accepted and came back with another {paths}")

    async def _delete(self, ref: Ref, uid: str) -> None:
        await self.cluster.delete(ref, uid)
        self.meter.wrote("delete", ref.kind)
        known = self.store.get(ref)
        if known is not None:
            self.store.drop(ref, known.version)

    def _remember(self, body: Body) -> None:
        self.store.put(ownership.ref_of(body), ownership.observe(body))
