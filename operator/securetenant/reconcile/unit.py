"""Make one namespace of one tenant what it should be: the smallest piece of work."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from securetenant.api import kinds, lockdown, names, status
from securetenant.api.lockdown import Lockdown
from securetenant.api.objects import Body, Manifest, Ref
from securetenant.desired import namespaces, unit
from securetenant.desired import quota as desired_quota
from securetenant.desired.scope import Scope
from securetenant.plan import aside, claim, drift, expected, ownership, steps, termination
from securetenant.plan.claim import Claim, Verdict
from securetenant.plan.expected import Expected, Inside
from securetenant.plan.ownership import NamespaceFacts, Observed, PolicyFacts, Proof, QuotaFacts
from securetenant.plan.resting import Gives, given
from securetenant.reconcile.errors import (
    ClusterError,
    ConflictError,
    HeldError,
    MissingError,
    RefusedError,
    UnavailableError,
)
from securetenant.reconcile.failures import Failures
from securetenant.reconcile.ports import Announcement, Announcer, Cluster, Meter
from securetenant.reconcile.store import Store
from securetenant.status import conditions, namespace
from securetenant.status.outcome import Finding, Outcome

_log = logging.getLogger(__name__)

_REASONS = {
    Claim.FOREIGN: status.CONFLICT,
    Claim.RETAINED: status.CONSENT_NEEDED,
    Claim.TERMINATING: status.PROGRESSING,
    Claim.RESTING: status.NAME_RESTING,
}


Prove = Callable[[PolicyFacts], tuple[Proof | None, tuple[Finding, ...]]]
"""Says what was seen of the isolation of the namespace with this TenantPolicy, and what else was
found there."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one namespace needs, and what is known from before."""

    scope: Scope
    wanted: Expected
    settled: bool
    """Whether the share is the one that it will stay; if not, it waits for others to shrink."""
    was_ready: bool
    """Whether the namespace was ready: then what differs is somebody else's doing."""
    lost: set[Ref] = field(default_factory=set)
    """What somebody else changed or deleted since then, and is not put back yet. The unit keeps it
    from one task to the next: a repair that works at the second attempt is announced too."""


class _WaitError(Exception):
    """Nothing to do now; what is waited for wakes this again."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Carries the adapters from one piece of work to the next; keeps no state of its own."""

    cluster: Cluster
    store: Store
    meter: Meter
    announcer: Announcer
    now: Callable[[], datetime]
    gives: Gives = given

    async def converge(self, task: Task) -> Outcome:
        """Write what differs, in order, and say how the namespace stands. Raises nothing."""
        reason, message = status.PROGRESSING, ""
        try:
            await self._converge(task)
        except _WaitError as wait:
            reason, message = wait.reason, str(wait)
        except RefusedError as error:
            reason, message = status.REFUSED, f"The API server refused a write: {error}"
        except UnavailableError as error:
            reason, message = status.UNAVAILABLE, f"The API server is unavailable: {error}"
        except ClusterError as error:
            # A conflict or a missing object: somebody changed it meanwhile. It is seen again.
            message = str(error)
        return self.judge(task.scope, task.wanted, reason, message)

    def judge(
        self,
        scope: Scope,
        wanted: Expected,
        reason: str = status.PROGRESSING,
        message: str = "",
    ) -> Outcome:
        """Say how the namespace stands, by what is known of the cluster."""
        name = scope.namespace.name
        every = (wanted.namespace, *wanted.digests)
        verdict = self._claim(scope, wanted)
        if self._is_protected(scope, verdict):
            return Outcome(
                namespace=name,
                pending=every,
                unproved=expected.NONE_PROVED,
                reason=status.PROTECTED_NAME,
                message=claim.kept_name(name),
            )
        if verdict.claim in _REASONS:
            # Nothing of such a namespace is the operator's to judge: all of it is pending.
            reason, message = _REASONS[verdict.claim], verdict.message
            if verdict.claim is Claim.TERMINATING and self._is_stuck(wanted):
                reason, message = status.NAMESPACE_STUCK, f"{message} {termination.ADVICE}."
            return Outcome(
                namespace=name,
                pending=every,
                unproved=expected.NONE_PROVED,
                reason=reason,
                message=message,
            )
        if verdict.claim is Claim.ADOPTABLE:
            return Outcome(
                namespace=name,
                pending=every,
                unproved=expected.NONE_PROVED,
                reason=reason,
                message=message or f"Namespace {name} is looked through before it is taken",
            )
        inside = self.store.inside(name)
        pending = expected.pending(wanted, inside)
        unproved = expected.unproved(wanted, inside, pending)
        if not pending and not unproved:
            return Outcome(namespace=name)
        if not pending and not message:
            reason, message = status.WAITING_FOR_QUOTA, _uncounted(wanted)
        return Outcome(
            namespace=name, pending=pending, unproved=unproved, reason=reason, message=message
        )

    def can_take(self, task: Task) -> bool:
        """Tell whether the namespace is the tenant's, or is about to be."""
        verdict = self._claim(task.scope, task.wanted)
        ours = verdict.claim in (Claim.ABSENT, Claim.ADOPTABLE, Claim.OWN)
        return ours and not self._is_protected(task.scope, verdict)

    def is_adopted(self, task: Task) -> bool:
        """Tell whether the namespace is not the tenant's, and is to be taken with consent."""
        return self._claim(task.scope, task.wanted).claim is Claim.ADOPTABLE

    def is_new(self, task: Task) -> bool:
        """Tell whether the namespace does not exist yet."""
        return self._claim(task.scope, task.wanted).claim is Claim.ABSENT

    async def revoke(self, task: Task) -> bool:
        """Delete or put aside what is not wanted; tell whether there was anything.

        Raises nothing: what fails is met again, and told, when the rest is done.
        """
        if self._claim(task.scope, task.wanted).claim is not Claim.OWN:
            return False
        failures = Failures()
        was_aside = await self._put_aside(task, failures)
        return await self._revoke(task.wanted, failures) or was_aside

    async def tell(self, task: Task, outcome: Outcome, proof: Prove) -> None:
        """Write the namespace's own status if it says something new.

        Raises a :class:`ClusterError`.
        """
        facts = expected.policy_facts(task.wanted, self._inside(task.wanted))
        if facts is None or self._claim(task.scope, task.wanted).claim is not Claim.OWN:
            return
        document = namespace.summarize(outcome, facts, self.now(), *proof(facts))
        if ownership.status_digest(document) == facts.status:
            return
        self._remember(await self.cluster.apply_status(task.wanted.policy, document))
        self.meter.wrote("status", kinds.TENANT_POLICY.name)

    # --- steps ------------------------------------------------------------------------------

    async def _converge(self, task: Task) -> None:
        scope, wanted = task.scope, task.wanted
        verdict = self._claim(scope, wanted)
        if self._is_protected(scope, verdict):
            return
        if verdict.claim is Claim.ABSENT:
            await self._create(scope, wanted.namespace)
        if verdict.claim is Claim.ADOPTABLE:
            await self._take(scope, wanted)
        if self._claim(scope, wanted).claim is not Claim.OWN:
            return
        manifests = {each.ref: each for each in unit.build(scope)}
        facts = expected.policy_facts(wanted, self._inside(wanted))
        if facts is not None and facts.tenant_uid != scope.tenant_uid:
            # Consent is used up by what follows; from here on the namespace is known as this
            # SecureTenant's without it.
            await self._apply(manifests[wanted.policy], task)
        if task.was_ready:
            pending = expected.pending(wanted, self._inside(wanted))
            task.lost.update(each for each in pending if each in wanted.digests)
        # One object that stays keeps neither others from going nor the walls from being right.
        failures = Failures()
        await self._revoke(wanted, failures)
        if not expected.is_claimed(wanted, self._inside(wanted)):
            await self._apply(self._namespace(scope, wanted), task)
        try:
            await self._build_walls(task, manifests)
        except (ClusterError, _WaitError):
            await self._shut(task)
            raise
        if not expected.is_counted(wanted, self._inside(wanted)):
            await self._shut(task)
            raise _WaitError(status.WAITING_FOR_QUOTA, _uncounted(wanted))
        for ref in steps.grants(wanted, self._inside(wanted)):
            try:
                await self._apply(manifests[ref], task)
            except RefusedError as error:
                await self._make_room(error, ref, manifests[wanted.quota], task)
                raise
        failures.throw()
        if not task.settled and not expected.is_ready_for(wanted, self._inside(wanted)):
            raise _WaitError(
                status.WAITING_FOR_SHARE,
                f"The share of {scope.namespace.name} waits for other namespaces to shrink",
            )
        if expected.differs(wanted, wanted.namespace, self._inside(wanted)):
            uid = expected.policy_uid(wanted, self._inside(wanted))
            await self._apply(namespaces.build_ready(scope, uid), task)

    async def _revoke(self, wanted: Expected, failures: Failures) -> bool:
        """Delete what is not wanted, first: a withdrawn opening or grant closes at once."""
        found = False
        for ref in steps.withdrawals(wanted, self._inside(wanted)):
            known = self.store.get(ref)
            if known is not None:
                with failures.collect(ref):
                    await self.withdraw(ref, known.uid)
                    found = True
        return found

    async def _put_aside(self, task: Task, failures: Failures) -> bool:
        """Put aside what the operator made, where the tenant is quarantined: traffic first."""
        if task.scope.lockdown != lockdown.QUARANTINED:
            return False
        inside = self._inside(task.wanted)
        late = [
            each
            for each in unit.build(task.scope)
            if each.ref in inside
            and aside.is_own_aside(each.body)
            and expected.differs(task.wanted, each.ref, inside)
        ]

        async def put(manifest: Manifest) -> None:
            with failures.collect(manifest.ref):
                await self._apply(manifest, task)

        for kind in (kinds.NETWORK_POLICY, kinds.ROLE_BINDING):
            await asyncio.gather(*(put(each) for each in late if each.ref.kind == kind.name))
        return bool(late)

    async def _build_walls(self, task: Task, manifests: dict[Ref, Manifest]) -> None:
        """Apply the TenantPolicy and the walls, and grants that exist and differ.

        One object that is refused does not keep the others from being right: the first
        refusal is raised at the end. New grants come only after all walls.
        """
        refusal: tuple[RefusedError, Ref] | None = None
        quota = manifests[task.wanted.quota]
        is_lifted = (
            self._quota_facts(quota.ref).hard == desired_quota.lifted(quota).body["spec"]["hard"]
        )
        for ref in steps.walls(task.wanted, self._inside(task.wanted), is_lifted=is_lifted):
            if refusal and steps.is_new_grant(ref, self._inside(task.wanted)):
                continue
            if ref == quota.ref and is_lifted and refusal and _is_crowded(refusal[0]):
                continue
            try:
                await self._apply(manifests[ref], task)
            except RefusedError as error:
                refusal = refusal or (error, ref)
        if refusal is not None:
            await self._make_room(*refusal, quota, task)
            raise refusal[0]

    async def _make_room(self, error: RefusedError, ref: Ref, quota: Manifest, task: Task) -> None:
        """Lift the limit that the tenant's own objects reached, if it keeps out the operator's.

        Raises :class:`_WaitError` then. Adding room would not do: the tenant's next object could
        take it first.
        """
        if not _is_crowded(error):
            return
        lifted = desired_quota.lifted(quota)
        if self._quota_facts(quota.ref).hard != lifted.body["spec"]["hard"]:
            await self.apply(lifted, task.scope.tenant, task.scope.tenant_uid, stood=False)
        raise _WaitError(
            status.PROGRESSING,
            f"{ref} is missing, and objects of the tenant fill the quota that counts it. The limit"
            " is lifted until it is there; the kube-controller-manager has to see that",
        ) from error

    def _quota_facts(self, ref: Ref) -> QuotaFacts:
        known = self.store.get(ref)
        facts = None if known is None else known.facts
        return facts if isinstance(facts, QuotaFacts) else QuotaFacts({}, {})

    async def _shut(self, task: Task) -> None:
        """Take the label ready-for off, where something is missing that pods must not run without.

        What is put back at once needs no such write; this is for what could not be put back.
        """
        inside = self._inside(task.wanted)
        if expected.is_ready_for(task.wanted, inside) and not expected.is_guarded(
            task.wanted, inside
        ):
            scope = task.scope
            await self.apply(namespaces.build(scope), scope.tenant, scope.tenant_uid, stood=False)

    def _namespace(self, scope: Scope, wanted: Expected) -> Manifest:
        """Return the namespace with its marks; ready stays only if it was rightly so."""
        if expected.is_ready_for(wanted, self._inside(wanted)):
            uid = expected.policy_uid(wanted, self._inside(wanted))
            return namespaces.build_ready(scope, uid)
        return namespaces.build(scope)

    def _inside(self, wanted: Expected) -> Inside:
        return self.store.inside(wanted.namespace.name)

    def _claim(self, scope: Scope, wanted: Expected) -> Verdict:
        """Decide whose namespace it is, by what is known of it."""
        return claim.judge(
            scope.tenant,
            scope.tenant_uid,
            scope.namespace.name,
            self.store.get(wanted.namespace),
            expected.policy_facts(wanted, self._inside(wanted)),
            self.gives(scope.tenant, scope.tenant_uid, scope.namespace.name),
        )

    def _is_stuck(self, wanted: Expected) -> bool:
        known = self.store.get(wanted.namespace)
        return (
            known is not None
            and isinstance(known.facts, NamespaceFacts)
            and not termination.stuck_in(known.facts, self.now())
        )

    def _is_protected(self, scope: Scope, verdict: Verdict) -> bool:
        """Tell whether the platform keeps the name; what is the tenant's already stays so."""
        return verdict.claim is not Claim.OWN and scope.settings.protects(scope.namespace.name)

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
            _log.info("Namespace %s of tenant %s is created", ref.name, scope.tenant)
        self._remember(body)

    async def _take(self, scope: Scope, wanted: Expected) -> None:
        """Make a namespace the tenant's with consent: former access goes first.

        The consent stays until the TenantPolicy says whose it is; no pod is admitted meanwhile.
        """
        failures = Failures()
        for ref, known in list(self._inside(wanted).items()):
            if ref.kind == kinds.ROLE_BINDING.name:
                with failures.collect(ref):
                    await self.withdraw(ref, known.uid)
        failures.throw()
        self._remember(await self.cluster.apply(namespaces.build(scope)))
        self.meter.wrote("apply", wanted.namespace.kind)
        _log.info("Namespace %s is taken for tenant %s", scope.namespace.name, scope.tenant)

    async def _apply(self, manifest: Manifest, task: Task) -> None:
        stood = task.was_ready or manifest.ref in task.lost
        scope, digest = task.scope, task.wanted.digests.get(manifest.ref)
        await self.apply(manifest, scope.tenant, scope.tenant_uid, stood=stood, digest=digest)
        task.lost.discard(manifest.ref)

    async def apply(
        self, manifest: Manifest, tenant: str, uid: str, *, stood: bool, digest: bytes | None = None
    ) -> None:
        """Make one object what it should be; read the answer, and insist.

        ``stood`` says that it was right before, so that its repair is announced. ``digest`` is that
        of the manifest, for those who have it: it is dear, and compared with the answer's.
        """
        ref = manifest.ref
        if not stood and await self._turn(manifest):
            return
        before = await self.cluster.read(ref) if stood else None
        if before is not None and drift.is_fixed(manifest.body, before):
            await self.withdraw(ref, before["metadata"]["uid"])
        try:
            body = await self.cluster.apply(manifest)
        except RefusedError:
            existing = await self.cluster.read(ref)
            if existing is None or not drift.is_fixed(manifest.body, existing):
                raise
            # What differs cannot be changed by anybody: make the object again.
            await self.withdraw(ref, existing["metadata"]["uid"])
            body = await self.cluster.apply(manifest)
        self.meter.wrote("apply", ref.kind)
        if patch := drift.surplus(manifest.body, body):
            body = await self.cluster.amend(ref, patch)
            self.meter.wrote("amend", ref.kind)
        observed = self._remember(body)
        if ref.kind != kinds.NAMESPACE.name and observed.digest != (
            digest or ownership.digest(manifest.body)
        ):
            paths = ", ".join(drift.differences(manifest.body, body))
            raise RefusedError(f"{ref} was accepted and came back with another {paths}")
        if stood:
            self._announce_repair(tenant, uid, manifest, before)

    async def _turn(self, manifest: Manifest) -> bool:
        """Put a NetworkPolicy aside, or bring it back, where nothing else of it differs.

        A patch costs the API server half of what an apply does, and a quarantine writes many.
        """
        known = self.store.get(manifest.ref)
        patch = [] if known is None else aside.of_own(manifest.body, known.digest)
        if known is None or not patch:
            return False
        try:
            body = await self.patch(manifest.ref, known.version, patch)
        except (ConflictError, MissingError):
            return False
        return self._remember(body).digest == ownership.digest(manifest.body)

    def _announce_repair(
        self, tenant: str, uid: str, manifest: Manifest, before: Body | None
    ) -> None:
        if before is None:
            note = f"{manifest.ref} was deleted; it is back"
        else:
            paths = drift.differences(manifest.body, before)
            if not paths:
                return
            note = f"{manifest.ref} was changed ({', '.join(paths)}); it is put back"
            if author := drift.last_author(before):
                note = (
                    f"{manifest.ref} was changed by {author} ({', '.join(paths)}); it is put back"
                )
        self.announcer.announce(
            Announcement(
                tenant,
                uid,
                "Warning",
                "DriftRepaired",
                "Repair",
                note,
            )
        )

    # --- letting go -------------------------------------------------------------------------

    async def retain(self, name: str) -> None:
        """Mark a namespace as retained; it and all its walls stay as they are."""
        ref = Ref(kinds.NAMESPACE.name, "", name)
        body = await self.cluster.read(ref)
        if body is None or body["metadata"]["labels"].get(names.STATE_LABEL) == names.RETAINED:
            return
        await self._mark(ref, body, "add", names.STATE_LABEL, names.RETAINED)
        _log.info("Namespace %s is retained", name)

    async def remove(self, name: str) -> Failures:
        """Delete a namespace: no new pods, no access, then everything, pods before walls.

        Since Kubernetes 1.34 the namespace controller deletes pods first and the rest only when
        none is left (KEP-5080), so the walls outlive what they hold. Access that cannot be taken
        away first does not keep the namespace: what failed is returned, to be tried again.
        """
        ref = Ref(kinds.NAMESPACE.name, "", name)
        body = await self.cluster.read(ref)
        failures = Failures()
        if body is None:
            return failures
        is_terminating = "deletionTimestamp" in body["metadata"]
        if not is_terminating and names.READY_FOR_LABEL in body["metadata"]["labels"]:
            with failures.collect(ref):
                await self._mark(ref, body, "remove", names.READY_FOR_LABEL)
        for inner, known in list(self.store.inside(name).items()):
            if inner.kind == kinds.ROLE_BINDING.name:
                with failures.collect(inner):
                    await self.withdraw(inner, known.uid)
        if not is_terminating:
            await self.cluster.delete(ref, body["metadata"]["uid"])
            self.meter.wrote("delete", ref.kind)
            _log.info("Namespace %s is deleted", name)
        return failures

    async def lock(self, name: str, asked: Lockdown) -> None:
        """Lock down a namespace that is not kept, or not: its label, and what people read of it."""
        ref = Ref(kinds.NAMESPACE.name, "", name)
        known = self.store.get(ref)
        wanted = None if asked == lockdown.NONE else asked
        if (
            known is not None
            and isinstance(known.facts, NamespaceFacts)
            and known.facts.labels.get(names.LOCKDOWN_LABEL) != wanted
        ):
            body = await self.cluster.read(ref)
            if body is None or "deletionTimestamp" in body["metadata"]:
                return
            is_there = names.LOCKDOWN_LABEL in body["metadata"]["labels"]
            if wanted is not None or is_there:
                verb = "add" if wanted is not None else "remove"
                await self._mark(ref, body, verb, names.LOCKDOWN_LABEL, wanted)
        policy = Ref(kinds.TENANT_POLICY.name, name, names.POLICY_NAME)
        told = self.store.get(policy)
        if (
            told is not None
            and isinstance(told.facts, PolicyFacts)
            and told.facts.lockdown != asked
            and (body := await self.cluster.read(policy)) is not None
        ):
            await self.replace(policy, body, "/spec/lockdown", asked)

    async def replace(self, ref: Ref, body: Body, path: str, value: Any) -> None:
        """Replace one field of one of our objects, if it is still the one that was read."""
        await self.amend(ref, body, [{"op": "replace", "path": path, "value": value}])

    async def amend(self, ref: Ref, body: Body, patch: list[dict[str, Any]]) -> None:
        """Apply a JSON Patch to one of our objects, if it is still the one that was read."""
        self._remember(await self.change(ref, body, patch))

    async def change(self, ref: Ref, body: Body, patch: list[dict[str, Any]]) -> Body:
        """Apply a JSON Patch to an object of anybody, if it is still the one that was read."""
        return await self.patch(ref, int(body["metadata"]["resourceVersion"]), patch)

    async def patch(self, ref: Ref, version: int, patch: list[dict[str, Any]]) -> Body:
        """Apply a JSON Patch to an object of anybody, if it still has the version."""
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": str(version)}
        found = await self.cluster.amend(ref, [test, *patch])
        self.meter.wrote("amend", ref.kind)
        return found

    async def _mark(
        self, ref: Ref, body: Body, verb: str, label: str, value: str | None = None
    ) -> None:
        """Set or remove one label of a namespace, if it is still the one that was read."""
        change = {"op": verb, "path": drift.pointer(["metadata", "labels", label])}
        if value is not None:
            change["value"] = value
        await self.amend(ref, body, [change])

    async def withdraw(self, ref: Ref, uid: str) -> None:
        """Delete one object of the operator that must not be there any more.

        A RoleBinding that stays gives no rights: its subjects are taken out. Raises a
        :class:`ClusterError` while the object is there.
        """
        try:
            left = await self.delete(ref, uid)
        except ClusterError:
            await self._empty(ref, uid)
            raise
        if left is not None:
            told = f"it is being deleted and has the finalizers {_finalizers(left)}"
            if await self._empty(ref, uid):
                told += ", so its subjects were taken out"
            raise HeldError(told)

    async def _empty(self, ref: Ref, uid: str) -> bool:
        """Take the subjects out of a RoleBinding that stays; tell whether it has none now."""
        if ref.kind != kinds.ROLE_BINDING.name:
            return False
        try:
            body = await self.cluster.read(ref)
            if body is None or body["metadata"]["uid"] != uid:
                return False
            if body.get("subjects"):
                await self.replace(ref, body, "/subjects", [])
        except ClusterError:
            return False
        return True

    async def delete(self, ref: Ref, uid: str) -> Body | None:
        """Delete one object; return it while finalizers keep it."""
        left = await self.cluster.delete(ref, uid)
        self.meter.wrote("delete", ref.kind)
        known = self.store.get(ref)
        if known is not None and known.uid == uid:
            if left is None:
                self.store.drop(ref, known.version)
            else:
                self._remember(left)
        return left

    def _remember(self, body: Body) -> Observed:
        observed = ownership.observe(body)
        self.store.put(ownership.ref_of(body), observed)
        return observed


def _finalizers(body: Body) -> str:
    return ", ".join(body["metadata"].get("finalizers", ()))


def _is_crowded(error: RefusedError) -> bool:
    """Tell whether the API server refused an object because our quota is used up."""
    return f"exceeded quota: {names.QUOTA}," in str(error)


def _uncounted(wanted: Expected) -> str:
    return (
        f"status.hard of {wanted.quota} is not what its spec says, so the API server does not"
        " enforce all of it; the kube-controller-manager writes it, look whether that runs"
    )


def is_worth_telling(outcome: Outcome) -> bool:
    """Tell whether an outcome should be shown at once, and is not about to change by itself."""
    return outcome.ready or conditions.is_stalled(outcome.reason)
