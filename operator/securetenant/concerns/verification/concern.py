"""The verification: how it joins the work of the machine."""

import asyncio
import bisect
import contextlib
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from securetenant.api import kinds, names, status
from securetenant.api.access import Grant, Subject
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks.attacks.objects import Other
from securetenant.checks.attacks.verdicts import Verdict
from securetenant.concerns.verification import trials
from securetenant.concerns.verification.trials import Case
from securetenant.desired import policy
from securetenant.plan.ownership import PolicyFacts, Proof
from securetenant.reconcile import keys
from securetenant.reconcile.concern import Concern, Presence, Watch
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.ports import Opener
from securetenant.reconcile.queue import Queue
from securetenant.reconcile.tenants import Record, Unit
from securetenant.status import isolation, statements
from securetenant.status.conditions import Condition
from securetenant.status.isolation import Trial
from securetenant.status.statements import Aspect, Statement

_SETTLE_SECONDS = 1.0
"""How long a change is not acted on: more of it may follow, and every API server has to see it."""
_RETRY_SECONDS, _LONGEST_SECONDS = 1.5, 300.0
"""When a namespace is tried again in which something is open or not known: later each time."""
_BUSY = 16
"""How much other work may wait: with more of it, namespaces are tried later."""
_LATER_SECONDS, _PUT_OFF = 2.0, 60
"""For how long, and how often: two minutes at most."""
_REST = 2.0
"""How long nothing is tried after a namespace, as a multiple of what that took: nobody has to feel
it."""
_MOST_ASKED = 20
"""How many tenants are looked at for one with other people."""
_NOBODY = Other("another-tenant", "another-namespace")
"""Who is out of reach where there is no other tenant."""
_WATCHED = (
    (kinds.VALIDATING_POLICY, names.PACK_SELECTOR, Presence.REQUIRED),
    (kinds.VALIDATING_BINDING, names.PACK_SELECTOR, Presence.REQUIRED),
    (kinds.MUTATING_POLICY, names.PACK_SELECTOR, Presence.NEWER),
    (kinds.MUTATING_BINDING, names.PACK_SELECTOR, Presence.NEWER),
    (kinds.CLUSTER_ROLE, "", Presence.REQUIRED),
    (kinds.CLUSTER_ROLE_BINDING, "", Presence.REQUIRED),
)
"""What holds for every tenant: a change of it is a reason to try everything again."""

_log = logging.getLogger(__name__)


@dataclass(kw_only=True, slots=True)
class _Space:
    """A namespace of a tenant."""

    look: int | None = None
    """What it was like when it was queued last."""
    turn: int = 0
    """How often it was verified."""
    failures: int = 0
    """How often in a row not everything was refused as it has to be."""
    put_off: int = 0
    """How often it had to wait since then, for work on tenants."""
    trial: Trial | None = None
    rests: bool = False
    """Whether it waits for its turn because what an earlier process saw still counts."""


class Verification(Concern):
    """Tries to break the isolation, apart from the queue that all share."""

    def __init__(self, machine: Machine, connect: Opener) -> None:
        self._machine = machine
        self._connect = connect
        self._queue = Queue[Key](clock=time.monotonic, chance=random.Random())  # noqa: S311 - jitter.
        self._spaces: dict[str, dict[str, _Space]] = {}
        """By tenant and name."""
        self._versions: dict[Ref, int] = {}
        self._is_running = False
        self._end = asyncio.Event()

    # --- what happens -----------------------------------------------------------------------

    def watches(self) -> Sequence[Watch]:
        """Follow what holds for every tenant."""
        return tuple(self._watch(*each) for each in _WATCHED)

    def _watch(self, kind: Kind, selector: str, presence: Presence) -> Watch:
        return Watch(
            kind=kind,
            selector=selector,
            seen=self._seen,
            gone=self._gone,
            known=lambda name: [ref for ref in self._versions if ref.kind == name],
            presence=presence,
        )

    def _seen(self, ref: Ref, body: Body) -> None:
        version = int(body["metadata"]["resourceVersion"])
        if version > self._versions.get(ref, -1):
            self._versions[ref] = version
            self._everything_changed()

    def _gone(self, ref: Ref, _: int) -> None:
        if self._versions.pop(ref, None) is not None:
            self._everything_changed()

    def _everything_changed(self) -> None:
        if self._is_running:
            for tenant, spaces in self._spaces.items():
                for namespace in spaces:
                    self._queue.add_after(_key(tenant, namespace), _SETTLE_SECONDS)

    def namespace_changed(self, namespace: str) -> None:
        """Try a namespace again that somebody changed."""
        tenant = self._machine.store.owner_of(namespace)
        if namespace in self._spaces.get(tenant, ()):
            self._add_soon(tenant, namespace)

    def tenant_read(self, name: str, record: Record) -> None:
        """Forget the namespaces that the tenant does not name any more."""
        spaces = self._spaces.setdefault(name, {})
        for namespace in spaces.keys() - record.units.keys():
            self._queue.forget(_key(name, namespace))
            del spaces[namespace]

    def tenant_gone(self, name: str) -> None:
        """Forget a tenant."""
        for namespace in self._spaces.pop(name, ()):
            self._queue.forget(_key(name, namespace))

    def _add_soon(self, tenant: str, namespace: str) -> None:
        """What changed comes before what was seen as it is: that may be thousands of namespaces."""
        self._queue.prefer(tenant)
        self._queue.add_after(_key(tenant, namespace), _SETTLE_SECONDS)

    # --- what is said -----------------------------------------------------------------------

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say what came of it; queue what is ready and was not tried as it is now."""
        if not self._machine.verify_seconds:
            return
        spaces = self._spaces.setdefault(name, {})
        before = _before(record)
        for namespace, unit in record.units.items():
            look = _look(unit)
            space = spaces.setdefault(namespace, _Space())
            # What an earlier process saw may have been overtaken by something that was found since.
            is_overtaken = space.rests and not before
            if unit.outcome.ready and (space.look != look or is_overtaken):
                wait = self._rest(record) if space.look is None else 0.0
                space.look, space.rests = look, wait > _SETTLE_SECONDS
                if space.rests:
                    self._queue.add_after(_key(name, namespace), wait)
                else:
                    self._add_soon(name, namespace)
        tried = [each.trial for each in spaces.values() if each.trial is not None]
        if tried:
            yield Aspect(verdict=self._judge(name), holds_ready=False)
            yield statements.Record(field="isolation", value=isolation.record(tried))
        elif before:
            yield from before
        elif spaces:
            yield Aspect(verdict=self._judge(name), holds_ready=False)

    def proof(self, namespace: str, facts: PolicyFacts) -> Proof | None:
        """Say what was seen in one namespace; before that, what an earlier process saw."""
        if not self._machine.verify_seconds:
            return None
        space = self._spaces.get(facts.tenant, {}).get(namespace)
        if space is None or space.trial is None:
            before = facts.proof
            holds = before is not None and (before.status, before.generation) == (
                "True",
                facts.generation,
            )
            return before if holds else None
        verdict = isolation.judge((space.trial,), ())
        counts = isolation.record((space.trial,))
        return Proof(
            facts.generation,
            verdict.status,
            verdict.reason,
            verdict.message,
            counts["verifiedAt"],
            counts["tried"],
            counts["refused"],
            counts["admitted"],
        )

    def _judge(self, name: str) -> Condition:
        spaces = self._spaces.get(name, {})
        tried = [each.trial for each in spaces.values() if each.trial is not None]
        return isolation.judge(
            tried, [each for each, space in spaces.items() if space.trial is None]
        )

    def _rest(self, record: Record) -> float:
        """Return how long what an earlier process tried counts, spread over that time."""
        found = (record.status.get("isolation") or {}).get("verifiedAt")
        if not found or not _before(record):
            return 0.0
        age = (self._machine.now() - datetime.fromisoformat(found)).total_seconds()
        rest = max(0.0, self._machine.verify_seconds - age)
        return rest * random.uniform(0.2, 1.0)  # noqa: S311 - jitter.

    # --- work -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Try what is due until cancelled, or until :meth:`stop`."""
        self._is_running = True
        while (key := await self._queue.take()) is not None:
            began, failed = time.monotonic(), True
            try:
                await self._verify(key.line, key.name)
                failed = False
            except Exception:  # noqa: BLE001 - see below.
                # One namespace's surprise must not stop the work on all others.
                _log.exception("%s failed unexpectedly and is tried again", key)
            finally:
                self._queue.done(key, failed=failed)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout((time.monotonic() - began) * _REST):
                    await self._end.wait()

    def stop(self) -> None:
        """Begin nothing more."""
        self._queue.close()
        self._end.set()

    async def _verify(self, tenant: str, namespace: str) -> None:
        """Try everything in one namespace, and say when it is its turn again."""
        record = self._machine.tenants.get(tenant)
        space = self._spaces.get(tenant, {}).get(namespace)
        unit = record.units.get(namespace) if record else None
        if record is None or unit is None or space is None:
            return
        key, space.rests = _key(tenant, namespace), False
        if record.is_deleted or not unit.outcome.ready or not self._machine.verify_seconds:
            # It is queued again once it is ready, and once anything is verified at all.
            space.look = None
            return
        if len(self._machine.queue) > _BUSY and space.put_off < _PUT_OFF:
            space.put_off += 1
            self._queue.add_after(key, _LATER_SECONDS)
            return
        prober = self._connect()
        try:
            found = await trials.run(
                self._case(tenant, record, unit, space), prober, self._machine.now()
            )
        finally:
            await prober.close()
        if self._spaces.get(tenant, {}).get(namespace) is not space:
            return
        space.turn, space.put_off = space.turn + 1, 0
        self._count(found)
        # That nothing is known, for the same reason, was said: a frozen tenant stays as it is.
        if found.tried or space.trial is None or space.trial._replace(at=found.at) != found:
            space.trial = found
            self._machine.queue.add(keys.unit(tenant, namespace))
            self._machine.tell((tenant,))
        is_good = found.tried and not found.others
        space.failures = 0 if is_good else space.failures + 1
        wait = self._machine.verify_seconds * random.uniform(0.8, 1.0)  # noqa: S311 - jitter.
        soon = min(_RETRY_SECONDS * 2 ** min(space.failures, 10), _LONGEST_SECONDS)
        self._queue.add_after(key, wait if is_good else min(wait, soon))

    def _count(self, found: Trial) -> None:
        counts = Counter(each.verdict for each in found.others)
        counts[Verdict.BLOCKED] = found.refused
        for verdict, count in counts.items():
            self._machine.meter.tried(verdict, count)

    def _case(self, tenant: str, record: Record, unit: Unit, space: _Space) -> Case:
        return Case(
            namespace=unit.scope.namespace.name,
            policy=PolicySpec.model_validate(policy.build(unit.scope).body["spec"]),
            grants=_grants(record),
            other=self._other(tenant, record),
            turn=space.turn,
        )

    def _other(self, tenant: str, record: Record) -> Other:
        """Return another tenant, the next by name, that has no people of this one."""
        own = _subjects(record)
        records = self._machine.tenants.records
        names = sorted(records)
        at = bisect.bisect(names, tenant)
        for name in (*names[at:], *names[:at])[:_MOST_ASKED]:
            other = records[name]
            if name != tenant and other.units and own.isdisjoint(_subjects(other)):
                return Other(name, next(iter(other.units)))
        return _NOBODY


def _grants(record: Record) -> tuple[Grant, ...]:
    return tuple((record.spec.access if record.spec else None) or ())


def _subjects(record: Record) -> set[Subject]:
    return {subject for grant in _grants(record) for subject in grant.subjects}


def _look(unit: Unit) -> int:
    return hash(frozenset(unit.wanted.digests.items()))


def _before(record: Record) -> tuple[Statement, ...]:
    """Return what an earlier process saw of the same spec: a restart takes nothing back."""
    found: Any = record.status.get("isolation")
    conditions = record.status.get("conditions") or ()
    generation = record.body["metadata"].get("generation")
    for each in conditions:
        if (
            found
            and (each["type"], each["status"]) == (status.ISOLATION_VERIFIED, "True")
            and each["observedGeneration"] == generation
        ):
            # What else was said of it, after the first sentence, others say again.
            message = re.split(r"; |\. ", each["message"])[0]
            verdict = Condition(each["type"], each["status"], each["reason"], message)
            return (
                Aspect(verdict=verdict, holds_ready=False),
                statements.Record(field="isolation", value=found),
            )
    return ()


def _key(tenant: str, namespace: str) -> Key:
    return Key("Verify", tenant, namespace)
