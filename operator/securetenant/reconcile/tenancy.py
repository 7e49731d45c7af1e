"""What becomes of a SecureTenant: it is read, its namespaces get work or go, its status says so."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from securetenant.api import names, status
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.reconcile import keys, statuses
from securetenant.reconcile.concern import Concern, Work
from securetenant.reconcile.departures import Delay, Departures
from securetenant.reconcile.errors import ClusterError
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.reconcile.turns import Turns
from securetenant.status.outcome import Finding
from securetenant.status.statements import Remark, Statement

_SLICE_SECONDS = 0.01
"""How long namespaces of a tenant are looked at before other work gets its turn."""


class Tenancy:
    """Works on one tenant at a time."""

    def __init__(
        self,
        machine: Machine,
        concerns: Sequence[Concern],
        departures: Departures,
        turns: Turns,
    ) -> None:
        self._machine = machine
        self._concerns = concerns
        self._departures = departures
        self._turns = turns

    def works(self) -> Mapping[str, Work]:
        """Look at a tenant; let go of one of its namespaces."""
        return {"Tenant": self._look, "Leftover": self._let_go}

    def writes(self) -> frozenset[str]:
        """To let go is nothing but writing."""
        return frozenset(("Leftover",))

    async def _look(self, key: Key) -> bool:
        again = await self._reconcile(key)
        self._turns.note(key.line)
        return again

    async def _reconcile(self, key: Key) -> bool:
        machine, name = self._machine, key.line
        record, settings = machine.tenants.get(name), machine.settings
        if record is None:
            return False
        if settings is None:
            await self._write_status(name, record, self._without_settings(name, record))
            return False
        was_stale, changed = record.stale, set[str]()
        if was_stale:
            changed = self._read(name, record, settings)
        if record.is_deleted:
            return await self._tear_down(name, record, settings)
        if record.spec is not None and not record.is_suspended:
            try:
                if (held := await self._departures.hold(name, record)) is not None:
                    machine.tenants.see(name, held)
            except ClusterError:
                # What was read is not started yet: the next try has to.
                if was_stale:
                    machine.tenants.outdate(name)
                raise
        is_open = await self._prepare(name, record)
        if was_stale:
            await self._start(name, record, changed)
        delay = self._departures.delay(name, record, settings)
        self._queue_leftovers(name, record, delay)
        is_learning = any(concern.is_learning(name) for concern in self._concerns)
        wait = machine.statuses.wait(record, learns=is_learning)
        if wait and not record.is_suspended:
            machine.queue.add_after(key, wait)
            return is_open
        stuck, again = self._departures.stuck(name, record)
        if again:
            machine.queue.add_after(key, again)
        unstored = self._turns.unstored(machine.store.owned_by(name) - record.units.keys())
        delayed = None if delay is None else delay.finding
        left = (*filter(None, (delayed, unstored)), *stuck)
        said = tuple(self._statements(name, record, left))
        if record.is_deleted:
            # Seen during the work above, which put the key into the queue again.
            return False
        await self._write_status(name, record, said)
        return is_open

    def _read(self, name: str, record: Record, settings: SettingsSpec) -> set[str]:
        """Read a tenant by the settings that it follows now; return the namespaces that changed."""
        machine, rollout = self._machine, self._machine.rollout
        if rollout.is_asked(name, record) and rollout.left(name):
            machine.tell_settings()
        followed = rollout.take_turn(name, record)
        changed = machine.tenants.read(name, settings, machine.store, followed=followed)
        rollout.follow(record, followed)
        for concern in self._concerns:
            concern.tenant_read(name, record)
        for peer in machine.tenants.redeclare(name):
            machine.read_again(peer)
        return set(changed)

    async def _prepare(self, name: str, record: Record) -> bool:
        """Do what comes before namespaces; return whether something has to be tried again."""
        concerns = () if record.is_suspended else self._concerns
        found = [await concern.prepare(name, record) for concern in concerns]
        record.missing = tuple(each.finding for each in found if each.finding is not None)
        return any(each.is_open for each in found)

    async def _start(self, name: str, record: Record, changed: set[str]) -> None:
        """Look at the namespaces whose expectation changed; queue all that are not ready.

        All at once, so that each comes to its first turn before any comes to its second.
        """
        unready = []
        began = time.monotonic()
        for namespace, unit in list(record.units.items()):
            if namespace in changed and not unit.is_moving:
                unit.outcome = self._machine.writer.judge(unit.scope, unit.wanted)
            if not unit.outcome.ready or unit.is_moving:
                unready.append(keys.unit(name, namespace))
            if time.monotonic() - began > _SLICE_SECONDS:
                await asyncio.sleep(0)
                began = time.monotonic()
        if record.awaits_turn:
            self._turns.compare(name, record)
            return
        for key in unready:
            self._machine.queue.add(key)

    # --- letting go -------------------------------------------------------------------------

    def _queue_leftovers(self, name: str, record: Record, delay: Delay | None) -> None:
        """Queue the namespaces that the spec does not name any more, each when its turn is."""
        machine = self._machine
        if record.spec is None or record.is_suspended:
            return
        left = machine.store.owned_by(name) - record.units.keys()
        if machine.resting.leave(left) or machine.resting.take(record):
            machine.tell_settings()
        for namespace in self._departures.leftovers(name, record):
            leftover = keys.leftover(name, namespace)
            if delay is not None and namespace in delay.namespaces:
                machine.queue.add_after(leftover, delay.wait)
            else:
                machine.queue.add(leftover)

    async def _let_go(self, key: Key) -> bool:
        machine, (_, name, namespace) = self._machine, key
        record, settings = machine.tenants.get(name), machine.settings
        if record is None or settings is None:
            return False
        if namespace in record.units and not record.is_deleted:
            return False
        if self._departures.is_let_go(namespace):
            await self._departures.withdraw(namespace)
            return False
        found = await self._departures.let_go(name, record, namespace, settings)
        if found.is_unsaved:
            machine.tell_settings()
        elif found.wait:
            machine.queue.add_after(key, found.wait)
            machine.queue.add(keys.tenant(name))
        else:
            machine.read_again(name)
        return False

    async def _tear_down(self, name: str, record: Record, settings: SettingsSpec) -> bool:
        finalizers = record.body["metadata"].get("finalizers", ())
        if names.FINALIZER not in finalizers:
            if finalizers:
                message = f"Waiting for the finalizers of others: {', '.join(finalizers)}"
                await self._write_status(name, record, (_deletion(status.TERMINATING, message),))
            return False
        if record.is_suspended:
            message = (
                "The SecureTenant is being deleted, and the operator is suspended, so its"
                " namespaces are neither retained nor deleted. To go on: kubectl patch securetenant"
                f' {name} --type merge -p \'{{"spec":{{"reconciliation":"Active"}}}}\''
            )
            await self._write_status(name, record, (_deletion(status.SUSPENDED, message),))
            return False
        step = await self._departures.tear_down(name, record, settings)
        for namespace in step.leftovers:
            self._machine.queue.add(keys.leftover(name, namespace))
        if step.is_unsaved:
            self._machine.tell_settings()
            unstored = self._turns.unstored(self._machine.store.owned_by(name))
            if unstored is not None:
                message = unstored.message
                await self._write_status(name, record, (_deletion(status.REFUSED, message),))
        if step.wait:
            self._machine.queue.add_after(keys.tenant(name), step.wait)
        if step.finding is not None:
            await self._write_status(name, record, (step.finding,))
        return False

    # --- telling ----------------------------------------------------------------------------

    def _statements(
        self, name: str, record: Record, left: Sequence[Finding]
    ) -> Sequence[Statement]:
        """Return all that is said of a tenant, by the machine and by every concern."""
        remark = (Remark(type=status.POLICIES_IN_FORCE, message=record.remark),)
        return (
            *record.findings,
            *left,
            *(remark if record.remark else ()),
            *(said for concern in self._concerns for said in concern.statements(name, record)),
            *_turn_findings(record),
        )

    def _without_settings(self, name: str, record: Record) -> Sequence[Statement]:
        """Say why there are no settings to go by: what is found otherwise is of before."""
        platform = self._machine.platform
        if not platform.crds_problem:
            problem = platform.settings_problem
            return (Finding(type=status.READY, reason=status.SETTINGS_MISSING, message=problem),)
        problems = (
            Finding(type=type, reason=status.CRDS_CHANGED, message=platform.crds_problem)
            for type in (status.READY, status.POLICIES_IN_FORCE)
        )
        said = self._statements(name, record, ())
        return (*problems, *(each for each in said if not isinstance(each, Finding)))

    async def _write_status(
        self, name: str, record: Record, statements: Sequence[Statement]
    ) -> None:
        """Write the status if it says something else, and announce when Ready changed."""
        subject = statuses.subject(record, statements)
        lacks_fields = bool(self._machine.platform.crds_problem)
        await self._machine.statuses.write(name, record, subject, lacks_fields=lacks_fields)
        for concern in self._concerns:
            concern.tenant_told(name)


def _deletion(reason: str, message: str) -> Finding:
    """Return what the deletion of a tenant waits for."""
    return Finding(type=status.READY, reason=reason, message=message)


def _turn_findings(record: Record) -> tuple[Finding, ...]:
    """Say that differences are seen and not touched yet."""
    if not record.awaits_turn:
        return ()
    message = (
        "What differs here from TenancySettings is not touched before its turn comes. See how far"
        f" they are: kubectl describe tenancysettings {names.SETTINGS_NAME}"
    )
    return (Finding(type=status.NAMESPACES_READY, reason=status.AWAITING_TURN, message=message),)
