"""The pool: when the shares of a tenant are to be decided again."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from securetenant.api import kinds, names, quantities, quotas
from securetenant.api.objects import Body, Ref
from securetenant.plan import demand, pool
from securetenant.reconcile.concern import Concern, Presence, Watch, Work
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record, Unit
from securetenant.status import quota, statements
from securetenant.status.quota import Held
from securetenant.status.statements import Statement

_WORK = "Pool"
_SETTLE = "PoolSettle"
_TELL = "QuotaUse"
_TOLD_SECONDS = 30.0
"""How often a status tells how much is used, at most."""
_GATHER_SECONDS = 0.02
"""How long more of the kind is gathered: a Deployment is refused a few pods at once."""
_GATHER_SECONDS_EACH = 0.0005
"""The same, for each namespace: all of them are looked at."""
_EXHAUSTED_SECONDS = 0.5
"""The same, where the total is used up: refusals go on all the time then, and change nothing."""
_EXHAUSTED_SECONDS_EACH = 0.002
"""The same, for each namespace: who makes refusals on purpose must not keep the operator busy."""
_LOOK_AGAIN_SECONDS = 10.0
"""How often wishes without room are looked at, since they are forgotten some time."""
_REFUSED = "reason=FailedCreate"


class Pool(Concern):
    """Follows what is counted in namespaces, and what controllers were refused."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._low: dict[str, dict[str, int]] = {}
        """By namespace: of what little is left, and at which share that was seen."""
        self._told: dict[str, Mapping[str, Any]] = {}
        """By tenant: what its status says."""
        self._told_at: dict[str, float] = {}

    def watches(self) -> Sequence[Watch]:
        """Follow the ResourceQuotas, and events about what could not be made."""
        return (
            Watch(
                kind=kinds.RESOURCE_QUOTA,
                selector=names.MANAGED_SELECTOR,
                seen=self._counted,
                gone=lambda ref, _: self._forget(ref),
                known=self._machine.store.refs,
            ),
            Watch(
                kind=kinds.EVENT,
                fields=_REFUSED,
                seen=self._refused,
                gone=lambda _, __: None,
                known=lambda _: [],
                presence=Presence.LATE,
            ),
        )

    def works(self) -> Mapping[str, Work]:
        """Have the shares of one tenant decided again; tell how much it uses."""
        return {_WORK: self._decide, _SETTLE: self._decide, _TELL: self._tell}

    def tenant_read(self, name: str, record: Record) -> None:
        """Look again at what has no room."""
        if record.unmet:
            self._machine.queue.add_after(_key(name), _LOOK_AGAIN_SECONDS)

    def tenant_gone(self, name: str) -> None:
        """Forget a tenant."""
        self._told.pop(name, None)
        self._told_at.pop(name, None)
        for work in (_WORK, _SETTLE, _TELL):
            self._machine.queue.forget(Key(work, name))

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say how much of the quota is used, as the status said it last."""
        told = self._told.get(name) or record.status.get("quota")
        if record.spec is None or record.is_deleted:
            return
        held = map(self._held, record.units.values())
        found = quota.summarize(record.total, record.reserved, held)
        now = time.monotonic()
        if told is None or quota.is_news(told, found):
            # After a restart, which is no reason to write, what the status says counts as new.
            wait = self._told_at.setdefault(name, now) + _TOLD_SECONDS - now
            if told is not None and wait > 0:
                self._machine.queue.add_after(Key(_TELL, name), wait)
            else:
                told = found
                self._told_at[name] = now
        self._told[name] = told
        yield statements.Record(field="quota", value=told)

    def _held(self, unit: Unit) -> Held:
        asked = unit.scope.namespace.quota
        kept = {**((asked and asked.guaranteed) or {}), **((asked and asked.hard) or {})}
        return Held(
            used=self._used(unit),
            kept={key: quantities.units(key, value) for key, value in kept.items()},
        )

    def _used(self, unit: Unit) -> Mapping[str, int]:
        settings = unit.scope.settings
        bounded = (settings.bounds and settings.bounds.quota) or {}
        used = self._machine.tenants.demand.used(unit.scope.namespace.name)
        return quotas.without_surplus(used, bounded)

    async def _tell(self, key: Key) -> bool:
        self._machine.tell((key.line,))
        return False

    async def _decide(self, key: Key) -> bool:
        self._machine.read_again(key.line)
        return False

    def _forget(self, ref: Ref) -> None:
        if ref.name == names.QUOTA:
            self._machine.tenants.demand.forget(ref.namespace)
            self._low.pop(ref.namespace, None)

    def _counted(self, ref: Ref, body: Body) -> None:
        """Take what the API server counts in a namespace."""
        if ref.name != names.QUOTA:
            return
        machine, namespace = self._machine, ref.namespace
        counted = body.get("status") or {}
        used, enforced = counted.get("used") or {}, counted.get("hard") or {}
        before = machine.tenants.demand.used(namespace)
        if not machine.tenants.demand.observe(namespace, used, enforced):
            return
        after = machine.tenants.demand.used(namespace)
        changed = [
            key for key in before.keys() | after.keys() if before.get(key, 0) != after.get(key, 0)
        ]
        tenant = machine.store.owner_of(namespace)
        if tenant:
            machine.queue.add_after(Key(_TELL, tenant), _TOLD_SECONDS)
        record, unit = self._pooled(tenant, namespace)
        if record is None or unit is None:
            return
        is_low = self._is_newly_low(record, unit, changed)
        has_left = any(after.get(key, 0) < before.get(key, 0) for key in changed)
        if is_low or (has_left and record.unmet):
            self._ask(tenant, record)

    def _is_newly_low(self, record: Record, unit: Unit, changed: Iterable[str]) -> bool:
        used = self._used(unit)
        known = self._low.setdefault(unit.scope.namespace.name, {})
        found = False
        for key in unit.share.keys() & set(changed):
            share = unit.share[key]
            if not pool.is_low(share, used.get(key, 0), record.needs.get(key, 1)):
                known.pop(key, None)
            elif known.get(key) != share:
                known[key] = share
                found = True
        return found

    def _refused(self, ref: Ref, body: Body) -> None:
        """Take that a controller could not make an object."""
        refusal = demand.read(str(body.get("note") or ""))
        if refusal is None:
            return
        tenant = self._machine.store.owner_of(ref.namespace)
        record, _ = self._pooled(tenant, ref.namespace)
        age = (self._machine.now() - _seen_at(body, self._machine.now())).total_seconds()
        if record is not None and self._machine.tenants.demand.refuse(ref.namespace, refusal, age):
            self._ask(tenant, record)
            # What was given and not used gives the others some room again.
            self._machine.queue.add_after(Key(_SETTLE, tenant), demand.MET_SECONDS + 1)

    def _pooled(self, tenant: str, namespace: str) -> tuple[Record | None, Unit | None]:
        """Return the tenant and its namespace, if its quota is a pool."""
        record = self._machine.tenants.get(tenant)
        if record is None or record.spec is None or not record.spec.has_pool:
            return None, None
        return record, record.units.get(namespace)

    def _ask(self, tenant: str, record: Record) -> None:
        wait = _GATHER_SECONDS + _GATHER_SECONDS_EACH * len(record.units)
        if record.unmet:
            wait = max(wait, _EXHAUSTED_SECONDS, _EXHAUSTED_SECONDS_EACH * len(record.units))
        self._machine.queue.add_after(_key(tenant), wait)


def _seen_at(event: Body, now: datetime) -> datetime:
    """Return when an event happened last; now, where it does not say."""
    series = event.get("series") or {}
    for stamp in (
        series.get("lastObservedTime"),
        event.get("deprecatedLastTimestamp"),
        event.get("eventTime"),
        event["metadata"].get("creationTimestamp"),
    ):
        if stamp:
            return datetime.fromisoformat(stamp)
    return now


def _key(tenant: str) -> Key:
    return Key(_WORK, tenant)
