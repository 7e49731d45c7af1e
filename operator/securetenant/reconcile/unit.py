"""Make one namespace of one tenant what it should be: the smallest piece of work."""

from dataclasses import dataclass

from securetenant.api import kinds, names, status
from securetenant.api.objects import Body, Manifest, Ref
from securetenant.desired import namespaces, unit
from securetenant.desired.scope import Scope
from securetenant.plan import claim, drift, expected, ownership
from securetenant.plan.claim import Claim, Verdict
from securetenant.plan.expected import Expected
from securetenant.reconcile.errors import (
    ClusterError,
    ConflictError,
    RefusedError,
    UnavailableError,
)
from securetenant.reconcile.ports import Cluster, Meter
from securetenant.reconcile.store import Store
from securetenant.status.outcome import Outcome


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
        verdict = self._claim(scope, wanted)
        if verdict.claim is Claim.FOREIGN:
            # Nothing of a foreign namespace is ours to judge: all of it is pending.
            every = (wanted.namespace, *wanted.digests)
            return Outcome(
                namespace=name, pending=every, reason=status.CONFLICT, message=verdict.message
            )
        pending = expected.pending(wanted, self.store.inside(name))
        if not pending:
            return Outcome(namespace=name, reason=status.AS_SPECIFIED)
        return Outcome(
            namespace=name, pending=pending, reason=reason, message=message or verdict.message
        )

    async def _converge(self, scope: Scope, wanted: Expected) -> None:
        if self._claim(scope, wanted).claim is Claim.ABSENT:
            await self._create(scope, wanted.namespace)
        if self._claim(scope, wanted).claim is not Claim.OWN:
            return
        manifests: dict[Ref, Manifest] = {}
        for ref in expected.pending(wanted, self.store.inside(scope.namespace.name)):
            if not manifests:
                manifests = {each.ref: each for each in unit.build(scope)}
            known = self.store.get(ref)
            if ref in manifests:
                await self._apply(manifests[ref])
            elif known is not None:
                await self._delete(ref, known.uid)

    def _claim(self, scope: Scope, wanted: Expected) -> Verdict:
        """Decide whose namespace it is, by what is known of it."""
        namespace = wanted.namespace.name
        policy = Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME)
        ours = self.store.get(policy)
        # The digest covers the tenant's name.
        was_ours = ours is not None and ours.digest == wanted.digests[policy]
        known = self.store.get(wanted.namespace)
        return claim.judge(scope.tenant, namespace, known, was_ours=was_ours)

    async def _create(self, scope: Scope, ref: Ref) -> None:
        """Create the namespace, or learn of the one that somebody made a moment earlier."""
        try:
            body = await self.cluster.create(namespaces.build_initial(scope))
        except ConflictError:
            existing = await self.cluster.read(ref)
            if existing is None:
                raise
            body = existing
        else:
            self.meter.wrote("create", ref.kind)
        self._remember(body)

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
