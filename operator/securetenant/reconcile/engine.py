"""The engine: takes what is seen, decides what to work on, works, and writes the status."""

import asyncio
import datetime
import random
import time
from collections.abc import Callable

from securetenant.api import kinds
from securetenant.api.objects import Body, Ref
from securetenant.plan import expected
from securetenant.plan.ownership import Observed
from securetenant.reconcile import keys
from securetenant.reconcile.errors import ClusterError, UnavailableError
from securetenant.reconcile.keys import Key
from securetenant.reconcile.ports import Cluster, Meter
from securetenant.reconcile.queue import Queue
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Record, Tenants, Unit
from securetenant.reconcile.unit import Worker
from securetenant.status import summary
from securetenant.status.summary import Subject

_PROGRESS_SECONDS = 2.0
"""How often the status tells of progress while namespaces are still to be worked on."""
_YIELD_EVERY = 50
"""Namespaces read before other work gets its turn."""


class Engine:
    """Level-triggered: ``seen`` calls only say where to look."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        meter: Meter,
        now: Callable[[], datetime.datetime],
        store: Store,
        workers: int = 32,
    ) -> None:
        self.store = store
        self.tenants = Tenants()
        self.queue = Queue(clock=time.monotonic, chance=random.Random())  # noqa: S311 - jitter.
        self._cluster = cluster
        self._meter = meter
        self._now = now
        self._workers = workers
        self._worker = Worker(cluster=cluster, store=store, meter=meter)

    # --- what is seen -----------------------------------------------------------------------

    def tenant_seen(self, name: str, body: Body) -> None:
        """Take a SecureTenant as it now is."""
        if self.tenants.see(name, body):
            self.queue.add(keys.Tenant(name))

    def tenant_gone(self, name: str) -> None:
        """Take note that a SecureTenant is gone: its walls stay, nobody keeps them any more."""
        record = self.tenants.get(name)
        if record is None:
            return
        claimed = list(record.units)
        self.tenants.forget(name)
        self.queue.forget(keys.Tenant(name))
        for namespace in claimed:
            self.queue.forget(keys.Unit(name, namespace))
            self._wake(Ref(kinds.NAMESPACE.name, "", namespace))

    def object_seen(self, ref: Ref, observed: Observed) -> None:
        """Take an object as it now is."""
        if self.store.put(ref, observed):
            self._wake(ref, observed)

    def object_gone(self, ref: Ref, version: int) -> None:
        """Take note that an object was deleted."""
        if self.store.drop(ref, version):
            self._wake(ref)

    def _wake(self, ref: Ref, observed: Observed | None = None) -> None:
        """Queue the units that this object concerns, unless it is as it should be there."""
        home = ref.name if ref.kind == kinds.NAMESPACE.name else ref.namespace
        for key in keys.wakes(ref, self.tenants.claimants(home)):
            unit = self._unit(key)
            if unit is None:
                continue
            differs = expected.differs(unit.wanted, ref, observed)
            if differs and unit.outcome.ready:
                self._meter.drifted(ref.kind)
            if differs or not unit.outcome.ready:
                self.queue.add(key)

    # --- work -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"worker {number}")

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            began = time.monotonic()
            failed, retry_after = True, 0.0
            try:
                failed, retry_after = await self._reconcile(key)
            finally:
                self.queue.done(key, failed=failed, retry_after=retry_after)
                self._meter.reconciled(type(key).__name__, time.monotonic() - began, failed=failed)

    async def _reconcile(self, key: Key) -> tuple[bool, float]:
        """Do one piece of work; return whether to try again, and not before how long."""
        match key:
            case keys.Unit():
                return await self._reconcile_unit(key), 0.0
            case keys.Tenant():
                return await self._reconcile_tenant(key)

    async def _reconcile_unit(self, key: keys.Unit) -> bool:
        unit = self._unit(key)
        if unit is None:
            return False
        outcome = await self._worker.converge(unit.scope, unit.wanted)
        # The spec may have changed meanwhile; then the newer unit has its own work queued.
        if self._unit(key) is unit and (outcome != unit.outcome or not unit.attempted):
            unit.outcome, unit.attempted = outcome, True
            self.queue.add(keys.Tenant(key.tenant))
        return not outcome.ready

    async def _reconcile_tenant(self, key: keys.Tenant) -> tuple[bool, float]:
        record = self.tenants.get(key.tenant)
        if record is None:
            return False, 0.0
        for count, namespace in enumerate(self.tenants.read(key.tenant), start=1):
            unit = record.units[namespace]
            unit.outcome = self._worker.judge(unit.scope, unit.wanted)
            if not unit.outcome.ready:
                self.queue.add(keys.Unit(key.tenant, namespace))
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        if wait := self._unfinished(record):
            self.queue.add_after(key, wait)
            return False, 0.0
        try:
            await self._write_status(key.tenant, record)
        except UnavailableError as error:
            return True, error.retry_after
        except ClusterError:
            return True, 0.0
        return False, 0.0

    def _unfinished(self, record: Record) -> float:
        """Return how long to hold the status back, since most of it is about to change.

        While namespaces were not worked on yet, the status is written now and then only: a
        new generation is in progress by its number alone (kstatus), and a restart must not
        call unfinished what it has not looked at.
        """
        now = time.monotonic()
        if all(unit.attempted or unit.outcome.ready for unit in record.units.values()):
            record.told_at = float("-inf")
            return 0.0
        if record.told_at == float("-inf"):
            record.told_at = now
        wait = record.told_at + _PROGRESS_SECONDS - now
        if wait <= 0:
            record.told_at = now
        return max(wait, 0.0)

    async def _write_status(self, name: str, record: Record) -> None:
        """Write the status if it says something new."""
        document = summary.summarize(subject(record), record.status, self._now())
        if document == record.status:
            return
        ref = Ref(kinds.SECURE_TENANT.name, "", name)
        # Set before the write, so that its echo is no news; put back when it fails.
        previous, record.status = record.status, document
        try:
            body = await self._cluster.apply_status(ref, document)
        except ClusterError:
            record.status = previous
            raise
        self._meter.wrote("status", ref.kind)
        record.version = max(record.version, int(body["metadata"]["resourceVersion"]))

    def _unit(self, key: Key) -> Unit | None:
        record = self.tenants.get(key.tenant)
        if record is None or not isinstance(key, keys.Unit):
            return None
        return record.units.get(key.namespace)


def subject(record: Record) -> Subject:
    """Return what the status of a tenant is about."""
    exception = ""
    if record.spec is not None and record.spec.effective_pod_security.level == "baseline":
        exception = record.spec.effective_pod_security.exception_reason or ""
    return Subject(
        generation=int((record.read or record.body)["metadata"].get("generation", 0)),
        outcomes=[unit.outcome for _, unit in sorted(record.units.items())],
        refusal=record.refusal,
        exception_reason=exception,
    )
