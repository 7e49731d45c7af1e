"""The flows: which tenant is in which, and how each stands."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from securetenant.api import kinds, names, status
from securetenant.api.objects import Manifest, Ref
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired import fairness
from securetenant.plan import flows, ownership
from securetenant.plan.ownership import FlowFacts, Observed
from securetenant.plan.pack import Level
from securetenant.reconcile.errors import ClusterError, RefusedError, UnavailableError
from securetenant.reconcile.ports import Meter
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants
from securetenant.reconcile.unit import Writer
from securetenant.status.outcome import Finding


class Flows:
    """Flows by the names of their FlowSchemas.

    A tenant is in one for as long as a namespace carries its label, whether a SecureTenant is left
    or not: what is retained goes on running, and its ServiceAccounts go on asking.
    """

    def __init__(self, store: Store, tenants: Tenants) -> None:
        self._store = store
        self._tenants = tenants
        self._placed: dict[str, int] = {}
        self._members: defaultdict[int, set[str]] = defaultdict(set)
        self._right: dict[str, bytes] = {}
        """What each was when it was last seen as it should be."""
        self._problems: dict[str, Finding] = {}
        self.has_begun = False
        """Whether all FlowSchemas were seen: before that a tenant's own would not be found."""

    def begin(self) -> None:
        """Find every tenant again in the flow that it was in."""
        self.has_begun = True
        self._place(self._store.owners(), self._seen())
        self._store.moved()

    def names(self) -> list[str]:
        """Return the names of all flows that a tenant is in."""
        return [names.flow(number) for number, members in self._members.items() if members]

    def look(self, tenant: str) -> str:
        """Take a tenant in or let it go; return the name of its flow, or nothing."""
        if not self.has_begun:
            return ""
        if self._store.owned_by(tenant):
            if tenant not in self._placed:
                # Who comes later was in none.
                self._place((tenant,), {})
            return names.flow(self._placed[tenant])
        number = self._placed.pop(tenant, None)
        if number is None:
            return ""
        self._members[number].discard(tenant)
        return names.flow(number)

    async def converge(
        self, name: str, settings: SettingsSpec, writer: Writer, meter: Meter
    ) -> tuple[set[str], bool]:
        """Make a FlowSchema what it should be.

        Returns the tenants whose status it may change, and whether to try again. Raises a
        :class:`ClusterError` when one that nobody is in cannot be deleted.
        """
        if not self.has_begun or self.is_left_alone(name):
            return set(), False
        ref = Ref(kinds.FLOW_SCHEMA.name, "", name)
        known, manifest = self._store.get(ref), self.build(name, settings)
        if manifest is None:
            self.forget(name)
            if known is not None:
                await writer.delete(ref, known.uid)
            return set(), False
        wanted = ownership.digest(manifest.body)
        reason, message = "", ""
        if known is None or known.digest != wanted:
            stood = self.is_changed_by_others(name, known)
            if stood:
                meter.drifted(ref.kind)
            tenant, uid = self.spokesman(name)
            try:
                await writer.apply(manifest, tenant, uid, stood=bool(stood and tenant))
            except RefusedError as error:
                reason, message = status.REFUSED, f"the API server refused a write: {error}"
            except UnavailableError as error:
                reason, message = status.UNAVAILABLE, f"the API server is unavailable: {error}"
            except ClusterError as error:
                # Somebody changed it meanwhile: it is seen again.
                reason, message = status.PROGRESSING, str(error)
        return self.note(name, wanted, reason, message), bool(reason)

    def shortcoming(self, level: Level) -> Finding | None:
        """Say what keeps tenants from queueing apart, or nothing."""
        if not self.has_begun:
            reason = status.UNAVAILABLE
            message = (
                "FlowSchemas or PriorityLevelConfigurations cannot be watched. Give the operator"
                " its rights: apply the manifests of this version again"
            )
        elif level in (Level.UNLIMITED, Level.REFUSING):
            reason = status.PRIORITY_LEVEL_CHANGED
            what = "type Exempt" if level is Level.UNLIMITED else "limitResponse Reject"
            message = (
                f"PriorityLevelConfiguration {names.PRIORITY_LEVEL} has {what}, so requests of"
                " tenants do not queue apart. Set type Limited and limitResponse Queue, or restore"
                " it: kubectl apply -k manifests/fairness"
            )
        elif level is Level.MISSING:
            reason = status.PRIORITY_LEVEL_MISSING
            message = (
                f"There is no PriorityLevelConfiguration {names.PRIORITY_LEVEL}, so requests of"
                " tenants queue with those of all other ServiceAccounts. Install it: kubectl apply"
                " -k manifests/fairness"
            )
        else:
            return None
        return Finding(type=status.FAIRNESS_IN_FORCE, reason=reason, message=message)

    def findings(self, tenant: str) -> tuple[Finding, ...]:
        """Say what keeps the tenant's flow from being as it should be, or nothing."""
        number = self._placed.get(tenant)
        problem = None if number is None else self._problems.get(names.flow(number))
        return () if problem is None else (problem,)

    def is_left_alone(self, name: str) -> bool:
        """Tell whether a flow is not to be touched now.

        While a tenant in it was not read yet, nobody knows its people; and where all are suspended,
        nothing is changed.
        """
        records = [self._tenants.get(tenant) for tenant in self._members_of(name)]
        unread = any(
            each is not None and each.stale and each.spec is None and not each.is_refused
            for each in records
        )
        return unread or (
            bool(records) and all(each is not None and each.is_suspended for each in records)
        )

    def build(self, name: str, settings: SettingsSpec) -> Manifest | None:
        """Return the FlowSchema for those who are in the flow; nothing if nobody is."""
        number, members = names.number_of_flow(name), self._members_of(name)
        spaces = flows.accounts(
            space for tenant in members for space in self._store.owned_by(tenant)
        )
        if number is None or not spaces:
            return None
        records = filter(None, map(self._tenants.get, members))
        subjects = {
            subject
            for record in records
            for unit in record.units.values()
            for _, granted in unit.scope.grants
            for subject in granted
        }
        return fairness.build(number, spaces, flows.people(subjects, settings.bounds))

    def is_changed_by_others(self, name: str, known: Observed | None) -> bool:
        """Tell whether a flow that was right is now another, by somebody else's doing."""
        right = self._right.get(name)
        return right is not None and (known is None or known.digest != right)

    def spokesman(self, name: str) -> tuple[str, str]:
        """Return name and uid of the SecureTenant whose events report a repair, or nothing."""
        for tenant in sorted(self._members_of(name)):
            record = self._tenants.get(tenant)
            if record is not None:
                return tenant, record.uid
        return "", ""

    def note(self, name: str, wanted: bytes, reason: str, message: str) -> set[str]:
        """Remember how a flow stands after work; return the tenants whose status that changes."""
        problem = None
        if reason:
            told = f"{Ref(kinds.FLOW_SCHEMA.name, '', name)} is not as it should be: {message}"
            problem = Finding(type=status.READY, reason=reason, message=told)
            before = self._problems.get(name)
            self._problems[name] = problem
        else:
            self._right[name] = wanted
            before = self._problems.pop(name, None)
        return self._members_of(name) if problem != before else set()

    def forget(self, name: str) -> None:
        """Drop what is known of a flow that nobody is in."""
        self._right.pop(name, None)
        self._problems.pop(name, None)

    def _members_of(self, name: str) -> set[str]:
        number = names.number_of_flow(name)
        return set() if number is None else self._members[number]

    def _seen(self) -> dict[int, Collection[str]]:
        """Return the namespaces in each flow, as the API server has it."""
        found: dict[int, Collection[str]] = {}
        for number in range(names.FLOWS):
            known = self._store.get(Ref(kinds.FLOW_SCHEMA.name, "", names.flow(number)))
            if known is not None and isinstance(known.facts, FlowFacts):
                found[number] = known.facts.namespaces
        return found

    def _place(self, tenants: Iterable[str], seen: Mapping[int, Collection[str]]) -> None:
        newcomers = {each: self._store.owned_by(each) for each in tenants}
        crowd = {number: len(members) for number, members in self._members.items()}
        for tenant, number in flows.place(newcomers, seen, crowd).items():
            self._placed[tenant] = number
            self._members[number].add(tenant)
