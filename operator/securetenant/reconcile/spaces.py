"""The namespaces of tenants: makes each what it should be, and knows how it stands."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from securetenant.api import kinds
from securetenant.api.objects import Ref
from securetenant.plan import expected
from securetenant.plan.ownership import PolicyFacts, Proof
from securetenant.reconcile import keys
from securetenant.reconcile.concern import Concern, Work
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record, Unit
from securetenant.reconcile.unit import Task
from securetenant.status import conditions
from securetenant.status.outcome import Finding, Outcome


class Spaces:
    """Works on one namespace at a time."""

    def __init__(self, machine: Machine, concerns: Sequence[Concern]) -> None:
        self._machine = machine
        self._concerns = concerns

    def works(self) -> Mapping[str, Work]:
        """Make one namespace what it should be."""
        return {"Unit": self._reconcile}

    def wake(self, ref: Ref) -> None:
        """Queue what an object concerns, unless it is as it should be there."""
        machine = self._machine
        home = ref.name if ref.kind == kinds.NAMESPACE.name else ref.namespace
        inside = machine.store.inside(home)
        owner = machine.store.owner_of(home)
        for name in machine.tenants.claimants(home) | {owner}:
            record = machine.tenants.get(name)
            if record is None:
                continue
            unit = record.units.get(home)
            if unit is None or record.is_deleted:
                machine.read_again(name)
                continue
            if ref.kind == kinds.RESOURCE_QUOTA.name and record.is_waiting:
                machine.read_again(name)
            if machine.tenants.has_moved(name, home, machine.store):
                # Lists of the tenant's own namespaces change in all of them.
                machine.read_again(name)
            differs = expected.differs(unit.wanted, ref, inside)
            if differs and unit.outcome.ready and not unit.is_moving:
                machine.meter.drifted(ref.kind)
                # What stood is repaired before more is made.
                machine.queue.prefer(name)
            if differs or not unit.outcome.ready or not expected.is_counted(unit.wanted, inside):
                machine.queue.add(keys.unit(name, home))
        if ref.kind == kinds.NAMESPACE.name:
            for concern in self._concerns:
                concern.namespace_changed(home)

    async def _reconcile(self, key: Key) -> bool:
        machine = self._machine
        record = machine.tenants.get(key.line)
        unit = record.units.get(key.name) if record else None
        if record is None or unit is None or machine.settings is None or record.is_deleted:
            return False
        if record.is_held:
            self._look(key, unit)
            return False
        task = Task(
            scope=unit.scope,
            wanted=unit.wanted,
            settled=unit.settled,
            was_ready=unit.outcome.ready and not unit.is_moving,
            lost=unit.lost,
        )
        record.writing.add(key.name)
        try:
            if machine.writer.can_take(task) and not await self._admit(key, task, record, unit):
                return True
            if not unit.has_revoked:
                # Once: who adds something again and again must not keep the rest from being right.
                unit.has_revoked = True
                if await machine.writer.revoke(task):
                    # What is withdrawn closes in every namespace before anything else is written.
                    machine.queue.add(key)
                    return False
            outcome = await machine.writer.converge(task)
        finally:
            record.writing.discard(key.name)
            machine.tenants.settle(key.line, machine.store)
        if record.units.get(key.name) is not unit or unit.scope is not task.scope:
            # The spec changed meanwhile, or the share; that has its own work queued.
            return False
        unit.is_moving = False
        self._take_outcome(key, unit, outcome)
        if machine.tenants.has_moved(key.line, key.name, machine.store):
            # Somebody made it a moment earlier, which is known by the answer to our own write.
            machine.read_again(key.line)
        if outcome.ready and unit.given != unit.share:
            # What was given before is no longer in force: others may grow.
            machine.read_again(key.line)
        if machine.statuses.is_due(unit):
            prove = functools.partial(self._prove, key.name)
            await machine.writer.tell(task, outcome, prove)
        return not outcome.ready

    def _prove(
        self, namespace: str, facts: PolicyFacts
    ) -> tuple[Proof | None, tuple[Finding, ...]]:
        """Return what the first concern says that says anything, and what any has found."""
        said = (concern.proof(namespace, facts) for concern in self._concerns)
        found = (concern.doubts(facts.tenant, namespace) for concern in self._concerns)
        return next(filter(None, said), None), tuple(each for some in found for each in some)

    def _look(self, key: Key, unit: Unit) -> None:
        """Judge a namespace to which nothing is written now."""
        outcome = self._machine.writer.judge(unit.scope, unit.wanted)
        if outcome.pending and not outcome.message:
            # Nobody is at work on it, so it is named.
            listed = conditions.listed(map(str, outcome.pending))
            outcome = replace(outcome, message=f"Not as it should be: {listed}")
        self._take_outcome(key, unit, outcome)

    async def _admit(self, key: Key, task: Task, record: Record, unit: Unit) -> bool:
        """Close what others have open to a namespace; tell whether it may become the tenant's."""
        if self._machine.writer.is_adopted(task):
            for concern in self._concerns:
                if blocked := await concern.preflight(key.name, key.line, record):
                    judged = self._machine.writer.judge(unit.scope, unit.wanted, *blocked)
                    self._take_outcome(key, unit, judged)
                    return False
        for concern in self._concerns:
            await concern.admit(key.name, key.line, record)
        if not self._machine.writer.is_new(task):
            return True
        openings = (concern.opening(key.name, key.line) for concern in self._concerns)
        found = next(filter(None, openings), None)
        if found is None:
            return True
        self._take_outcome(key, unit, self._machine.writer.judge(unit.scope, unit.wanted, *found))
        return False

    def _take_outcome(self, key: Key, unit: Unit, outcome: Outcome) -> None:
        """Remember how a namespace stands; let the tenant tell if that changed."""
        changed = outcome != unit.outcome or not unit.attempted
        unit.outcome, unit.attempted = outcome, True
        if changed:
            self._machine.queue.add(keys.tenant(key.line))
