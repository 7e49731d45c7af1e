"""TenancySettings: whose turn it is to follow them, and their status."""

from collections.abc import Iterable, Mapping, Sequence

from securetenant.api import kinds, names, status
from securetenant.api.objects import Body, Ref
from securetenant.plan import expected
from securetenant.reconcile import keys
from securetenant.reconcile.concern import Concern, Work
from securetenant.reconcile.departures import Departures
from securetenant.reconcile.errors import MissingError, RefusedError, UnavailableError
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.ports import Announcement
from securetenant.reconcile.tenants import Record
from securetenant.status import conditions, settings
from securetenant.status.outcome import Finding
from securetenant.status.settings import Report

_KEPT = frozenset({"formerNames", "teardowns"})
"""What of the status of TenancySettings the operator remembers by it."""


_PHASES = (status.RECONCILING, status.STALLED)
"""Conditions that come and go with the others."""


class Turns:
    """Leads the roll-out: :class:`~securetenant.reconcile.rollout.Rollout` remembers it."""

    def __init__(
        self, machine: Machine, concerns: Sequence[Concern], departures: Departures
    ) -> None:
        self._machine = machine
        self._concerns = concerns
        self._departures = departures
        self._trouble = ""
        """Why the status of TenancySettings could not be written, at the last attempt."""

    def works(self) -> Mapping[str, Work]:
        """Go on with the roll-out, and write the status."""
        return {keys.SETTINGS.work: self._tell}

    def seen(self, body: Body) -> None:
        """Take the TenancySettings as they now are.

        Every tenant is judged by them at once; what they shape is rolled out in waves.
        """
        machine = self._machine
        if machine.platform.take_settings(body):
            newest = machine.settings
            if newest is not None:
                machine.rollout.begin(newest, body, machine.tenants.records)
            self._changed()
        if body["metadata"]["name"] == names.SETTINGS_NAME:
            machine.rollout.take_request(body)
            self._departures.brake.load(body.get("status") or {}, machine.now())
            machine.resting.book.load(body.get("status") or {}, machine.now())
        machine.tell_settings()

    def gone(self, ref: Ref) -> None:
        """Take that the TenancySettings are gone."""
        if self._machine.platform.lose_settings(ref):
            self._changed()

    def crd_seen(self, name: str, body: Body | None) -> None:
        """Take one of our CRDs as it now is, or that it is gone."""
        machine = self._machine
        if machine.platform.take_crd(name, body):
            if machine.platform.crds_problem:
                self._announce_settings()
            machine.tell_all()

    def _changed(self) -> None:
        for name in self._machine.tenants.names():
            self._machine.read_again(name)
        self._announce_settings()

    def _announce_settings(self) -> None:
        for concern in self._concerns:
            concern.settings_changed()

    def compare(self, name: str, record: Record) -> None:
        """See whether a tenant that stood before a restart needs a turn at all."""
        machine = self._machine
        stands = all(concern.is_in_place(record) for concern in self._concerns)
        stands &= all(unit.outcome.ready for unit in record.units.values())
        differs = record.is_refused or not stands
        # A namespace of somebody else may be ready, for them.
        owns = record.units.keys() <= record.own
        was_ready = not record.is_refused and all(
            expected.is_ready_for(unit.wanted, machine.store.inside(namespace))
            for namespace, unit in record.units.items()
        )
        machine.rollout.compared(name, record, differs=differs, was_ready=was_ready, owns=owns)
        machine.tell_settings()

    def note(self, name: str) -> None:
        """Let the roll-out know how a tenant stands after a look at it."""
        record = self._machine.tenants.get(name)
        if record is not None and self._machine.rollout.note(name, record):
            self._machine.tell_settings()
        self._measure()

    def _measure(self) -> None:
        rollout = self._machine.rollout
        total = len(self._machine.tenants.records)
        followed = total - len(rollout.waiting)
        self._machine.meter.rolled_out(followed, total, halted=rollout.is_halted)

    def _advance(self) -> None:
        """Wake the tenants whose turn it is."""
        rollout = self._machine.rollout
        if self._machine.settings is None or not rollout.is_under_way:
            return
        turns = rollout.advance(self._machine.tenants.records)
        for name in turns:
            self._machine.read_again(name)
        if turns and not rollout.is_watching:
            # None of them can tell of harm, so there is nothing to wait for.
            self._machine.tell_settings()

    def _report(self) -> Report:
        report = Report(crds_problem=self._machine.platform.crds_problem)
        for concern in self._concerns:
            report = concern.report(report)
        return report

    async def _tell(self, _: Key) -> bool:
        """Let the roll-out go on; write the status if it says something else."""
        machine, platform = self._machine, self._machine.platform
        self._advance()
        self._measure()
        report, body = self._report(), platform.settings_body
        if body is None:
            return False
        previous = body.get("status") or {}
        document = settings.summarize(
            report,
            generation=int(body["metadata"].get("generation", 0)),
            progress=machine.rollout.progress(
                len(machine.tenants.records), platform.settings_problem
            ),
            teardowns=self._departures.brake.stored(),
            former_names=machine.resting.stored(),
            previous=previous,
            now=machine.now(),
        )
        if document != previous:
            try:
                platform.take_status(await self._write(document))
                self._announce(body, previous, document)
            except MissingError:
                pass
            except RefusedError as error:
                self._take_trouble(str(error))
                raise
        self._take_trouble("")
        # The body as it was when this began may be an older one by now.
        stored = (platform.settings_body or {}).get("status") or {}
        waited = self._departures.brake.saved(stored), machine.resting.book.saved(stored)
        for tenant in set().union(*waited):
            machine.read_again(tenant)
        return False

    def _announce(self, body: Body, previous: Body, document: Body) -> None:
        """Tell of each condition that changed, in an event of TenancySettings."""
        before = {each["type"]: each for each in previous.get("conditions") or ()}
        for each in document["conditions"]:
            known = before.get(each["type"])
            same = known is not None and known["status"] == each["status"]
            if known is None or same or each["type"] in _PHASES:
                continue
            self._machine.writer.announcer.announce(
                Announcement(
                    names.SETTINGS_NAME,
                    body["metadata"]["uid"],
                    "Warning" if each["status"] == "False" else "Normal",
                    each["reason"],
                    "Reconcile",
                    f"{each['type']} is {each['status']}: {each['message']}",
                    kinds.TENANCY_SETTINGS.name,
                )
            )

    def _take_trouble(self, trouble: str) -> None:
        """Have the tenants say so that are not let go of before the status is stored."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._machine.tell(self._machine.resting.book.waiting())

    def unstored(self, namespaces: Iterable[str]) -> Finding | None:
        """Say which namespaces are not let go of, since the status cannot be stored."""
        if not self._trouble:
            return None
        book = self._machine.resting.book
        left = sorted(each for each in namespaces if book.is_unsaved(each))
        if not left:
            return None
        message = (
            f"Not let go of yet: {conditions.listed(left)}. Who had a name is stored first, and the"
            f" status of TenancySettings {names.SETTINGS_NAME} is refused: {self._trouble}. See:"
            f" kubectl get tenancysettings {names.SETTINGS_NAME} -o yaml --show-managed-fields"
        )
        return Finding(type=status.NAMESPACES_READY, reason=status.REFUSED, message=message)

    async def _write(self, document: Body) -> Body:
        ref = Ref(kinds.TENANCY_SETTINGS.name, "", names.SETTINGS_NAME)
        try:
            answer = await self._machine.cluster.apply_status(ref, document)
        except (RefusedError, UnavailableError):
            if not self._machine.platform.crds_problem:
                raise
            # A CRD that does not know the lists has every write with them refused.
            rest = {key: each for key, each in document.items() if key not in _KEPT}
            answer = await self._machine.cluster.apply_status(ref, rest)
        self._machine.meter.wrote("status", ref.kind)
        return answer
