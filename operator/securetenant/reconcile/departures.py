"""Letting go: of namespaces that left a spec, and of tenants that were deleted."""

from collections.abc import Sequence
from dataclasses import dataclass

from securetenant.api import kinds, names, objects, status
from securetenant.api.objects import Body, Manifest, Ref
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.plan import termination
from securetenant.plan.brake import Brake, Decision
from securetenant.plan.ownership import NamespaceFacts, PolicyFacts
from securetenant.reconcile.concern import Concern
from securetenant.reconcile.errors import ConflictError, MissingError
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status import conditions
from securetenant.status.outcome import Finding


@dataclass(frozen=True, kw_only=True)
class Step:
    """How far a tenant's teardown came."""

    leftovers: list[str]
    """Namespaces that are to be let go of."""
    wait: float = 0.0
    """Seconds until it may begin."""
    is_unsaved: bool = False
    """Whether it begins once that is stored in the status of TenancySettings."""
    finding: Finding | None = None
    """What is to be told; nothing when the tenant was released."""


@dataclass(frozen=True, kw_only=True)
class Delay:
    """Namespaces that wait to be deleted."""

    namespaces: frozenset[str]
    wait: float
    """Seconds until there may be room."""
    finding: Finding


class Departures:
    """Retains or deletes as the spec says, no faster than TenancySettings allow."""

    def __init__(self, machine: Machine, concerns: Sequence[Concern], brake: Brake) -> None:
        self._machine = machine
        self._store = machine.store
        self._concerns = concerns
        self.brake = brake

    async def hold(self, name: str, record: Record) -> Body | None:
        """Put our finalizer on the SecureTenant, before anything else is made for it.

        Returns the SecureTenant if that changed it. Raises a :class:`ClusterError`.
        """
        if names.FINALIZER in record.body["metadata"].get("finalizers", ()):
            return None
        ref = Ref(kinds.SECURE_TENANT.name, "", name)
        body = objects.marker(ref, finalizers=[names.FINALIZER])
        made = await self._machine.cluster.apply(Manifest(ref, body))
        self._machine.meter.wrote("apply", ref.kind)
        return made

    def leftovers(self, name: str, record: Record) -> list[str]:
        """Return the namespaces that carry the tenant's label and are not in its spec."""
        return self._unfinished(self._store.owned_by(name) - record.units.keys())

    def is_let_go(self, namespace: str) -> bool:
        """Tell whether nothing is left to do for a namespace that is not the tenant's any more."""
        facts = self._facts(namespace)
        # What was retained once is not deleted by a later change of mind: it needs a person.
        return facts is None or facts.terminating or _is_retained(facts)

    def delay(self, name: str, record: Record, settings: SettingsSpec) -> Delay | None:
        """Return which namespaces that left the spec wait to be deleted, if any."""
        wait = self.brake.wait(record.uid, settings.teardowns_per_hour, self._machine.now())
        if not wait or not _deletes(record):
            return None
        left = self._left(self._store.owned_by(name) - record.units.keys())
        doomed = [each for each in left if self._dooms(record, each)]
        if not doomed:
            return None
        message = (
            f"Namespaces that left spec.namespaces wait to be deleted: {conditions.listed(doomed)}."
            f" {_allowed(settings)} To keep them, add them to spec.namespaces again or set"
            " spec.deletionPolicy: Retain."
        )
        finding = Finding(
            type=status.NAMESPACES_READY, reason=status.TEARDOWN_DELAYED, message=message
        )
        return Delay(namespaces=frozenset(doomed), wait=wait, finding=finding)

    async def let_go(
        self, name: str, record: Record, namespace: str, settings: SettingsSpec
    ) -> Decision:
        """Retain or delete one namespace, unless its deletion waits.

        The one place that deletes a namespace. Its name rests first. Raises a
        :class:`ClusterError`.
        """
        is_doomed = self._dooms(record, namespace)
        unsaved = self._machine.resting.leave((namespace,), must=is_doomed)
        if is_doomed:
            decision = self._decide(name, record, settings)
            if decision != Decision():
                return decision
        if unsaved:
            return Decision(is_unsaved=True)
        if is_doomed:
            # Somebody else may make a namespace of that name afterwards.
            for concern in self._concerns:
                await concern.release(namespace, name)
            failures = await self._machine.writer.remove(namespace)
            note = f"Namespace {namespace} is being deleted, pods before walls"
            if failures:
                note = f"{note}. Access was not taken away first, and is tried again: {failures}"
            self._machine.announce(
                name, "NamespaceDeleted", "Delete", note, is_warning=bool(failures)
            )
            failures.throw()
        else:
            await self._machine.writer.retain(namespace)
            note = f"Namespace {namespace} is retained with all its walls"
            self._machine.announce(name, "NamespaceRetained", "Retain", note)
        return Decision()

    async def withdraw(self, namespace: str) -> None:
        """Try again to take access out of a namespace that is being deleted.

        Raises a :class:`ClusterError` while some of it is there.
        """
        if self._keeps_access(namespace):
            (await self._machine.writer.remove(namespace)).throw()

    async def tear_down(self, name: str, record: Record, bounds: SettingsSpec) -> Step:
        """Let go of every namespace of a deleted SecureTenant, then of the SecureTenant.

        Raises a :class:`ClusterError`.
        """
        owned = self._store.owned_by(name)
        # In one write, with the entry of the brake.
        unsaved = self._machine.resting.leave(owned)
        if any(self._dooms(record, each) for each in self._left(owned)):
            decision = self._decide(name, record, bounds)
            if decision.is_unsaved:
                return Step(leftovers=[], is_unsaved=True)
            if decision.wait:
                message = f"The namespaces of this tenant wait to be deleted. {_allowed(bounds)}"
                finding = Finding(
                    type=status.READY, reason=status.TEARDOWN_DELAYED, message=message
                )
                return Step(leftovers=[], wait=decision.wait, finding=finding)
        # What terminates goes by itself, and is waited for.
        left = sorted(each for each in owned if not self._is_over(each))
        if left:
            return self._waiting(left)
        if unsaved or self._machine.resting.book.waits(name):
            return Step(leftovers=[], is_unsaved=True)
        if not owned:
            # What was retained keeps it: the walls stay.
            for concern in self._concerns:
                await concern.tenant_left(name)
        await self._release(name, record)
        return Step(leftovers=[])

    def stuck(self, name: str, record: Record) -> tuple[tuple[Finding, ...], float]:
        """Return which namespaces that left the spec are still going, and when to look again.

        The tenant is not ready until they are gone: what runs there still runs.
        """
        going = {
            each: facts
            for each in self._store.owned_by(name) - record.units.keys()
            if (facts := self._facts(each)) is not None and facts.terminating
        }
        if not going:
            return (), 0.0
        wait = {
            each: termination.stuck_in(facts, self._machine.now()) for each, facts in going.items()
        }
        late = [each for each in going if not wait[each]]
        told = conditions.listed(
            termination.describe(each, going[each], since=True) for each in late or going
        )
        message = (
            f"Namespaces that left spec.namespaces do not terminate: {told}. {termination.ADVICE}."
            if late
            else f"Namespaces that left spec.namespaces are being deleted: {told}."
        )
        finding = Finding(
            type=status.NAMESPACES_READY,
            reason=status.NAMESPACE_STUCK if late else status.TERMINATING,
            message=message,
        )
        return (finding,), min(filter(None, wait.values()), default=0.0)

    def _waiting(self, left: list[str]) -> Step:
        """Say what the teardown waits for, and whether somebody has to look."""
        going = {
            each: facts
            for each in left
            if (facts := self._facts(each)) is not None and facts.terminating
        }
        rest = [each for each in left if each not in going]
        told = [f"The operator lets go of namespace {conditions.listed(rest)}"] if rest else []
        wait, reason = 0.0, status.TERMINATING
        if going:
            names = [termination.describe(each, facts) for each, facts in going.items()]
            told.append(f"Waiting for these namespaces to terminate: {conditions.listed(names)}")
            wait = min(termination.stuck_in(each, self._machine.now()) for each in going.values())
            if not wait:
                reason = status.NAMESPACE_STUCK
                told.append(termination.ADVICE)
        finding = Finding(type=status.READY, reason=reason, message=". ".join(told))
        return Step(leftovers=self._unfinished(left), wait=wait, finding=finding)

    def _unfinished(self, namespaces: list[str] | set[str]) -> list[str]:
        """Return those in which something is to be done."""
        return [each for each in namespaces if not self.is_let_go(each) or self._keeps_access(each)]

    def _keeps_access(self, namespace: str) -> bool:
        """Return whether a RoleBinding of the operator is left in a terminating namespace."""
        facts = self._facts(namespace)
        return (
            facts is not None
            and facts.terminating
            and any(ref.kind == kinds.ROLE_BINDING.name for ref in self._store.inside(namespace))
        )

    def _left(self, namespaces: list[str] | set[str]) -> list[str]:
        return [each for each in namespaces if not self.is_let_go(each)]

    def _is_over(self, namespace: str) -> bool:
        facts = self._facts(namespace)
        return facts is None or (_is_retained(facts) and not facts.terminating)

    def _facts(self, namespace: str) -> NamespaceFacts | None:
        known = self._store.get(Ref(kinds.NAMESPACE.name, "", namespace))
        facts = None if known is None else known.facts
        return facts if isinstance(facts, NamespaceFacts) else None

    def _was_made_by(self, record: Record, namespace: str) -> bool:
        """Tell whether the namespace is this SecureTenant's, and not an earlier one's."""
        known = self._store.get(Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME))
        return (
            known is not None
            and isinstance(known.facts, PolicyFacts)
            and known.facts.tenant_uid == record.uid
        )

    def _dooms(self, record: Record, namespace: str) -> bool:
        """Tell whether letting go of a namespace means to delete it."""
        return _deletes(record) and self._was_made_by(record, namespace)

    def _decide(self, name: str, record: Record, settings: SettingsSpec) -> Decision:
        return self.brake.decide(record.uid, name, settings.teardowns_per_hour, self._machine.now())

    async def _release(self, name: str, record: Record) -> None:
        """Take our finalizer off: the SecureTenant goes."""
        ref = Ref(kinds.SECURE_TENANT.name, "", name)
        finalizers = record.body["metadata"]["finalizers"]
        path = f"/metadata/finalizers/{finalizers.index(names.FINALIZER)}"
        patch = [
            {"op": "test", "path": path, "value": names.FINALIZER},
            {"op": "remove", "path": path},
        ]
        try:
            await self._machine.cluster.amend(ref, patch)
        except (MissingError, ConflictError):
            return  # It is gone, or changed meanwhile and is seen again.
        self._machine.meter.wrote("amend", ref.kind)


def _is_retained(facts: NamespaceFacts) -> bool:
    return facts.labels.get(names.STATE_LABEL) == names.RETAINED


def _deletes(record: Record) -> bool:
    """Tell whether the tenant's namespaces are deleted when it lets them go."""
    return (
        record.spec is not None
        and not record.is_refused
        and record.spec.deletion_policy == "Delete"
    )


def _allowed(settings: SettingsSpec) -> str:
    """Say what TenancySettings allow, and what to do."""
    most = settings.teardowns_per_hour
    if not most:
        return (
            f"TenancySettings {names.SETTINGS_NAME} stop all deletions of namespaces"
            " (spec.teardownsPerHour: 0)."
        )
    tenants = "1 tenant" if most == 1 else f"{most} tenants"
    return (
        f"TenancySettings {names.SETTINGS_NAME} let {tenants} lose namespaces within an hour"
        f" (spec.teardownsPerHour: {most}), and as many did."
    )
