"""The engine: what is seen is kept and wakes work; workers take work in turn.

It is level-triggered: that something was seen only says where to look. It knows no concern by name.
"""

import asyncio
import datetime
import logging
import time
from collections.abc import Callable, Sequence

from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.plan.brake import Brake
from securetenant.plan.resting import Book, Owner
from securetenant.reconcile import keys, machine
from securetenant.reconcile.concern import Concern, Watch
from securetenant.reconcile.departures import Departures
from securetenant.reconcile.errors import ClusterError, UnavailableError
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.ports import Announcer, Cluster, Meter, Result
from securetenant.reconcile.spaces import Spaces
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenancy import Tenancy
from securetenant.reconcile.turns import Turns

_MANAGED = (
    kinds.TENANT_POLICY,
    kinds.NETWORK_POLICY,
    kinds.LIMIT_RANGE,
    kinds.RESOURCE_QUOTA,
    kinds.ROLE_BINDING,
)
"""What we make in a namespace; a stripped label arrives as a deletion, which is drift."""

_log = logging.getLogger(__name__)


class Engine:
    """Everything that is remembered of a cluster, and the work on it."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        meter: Meter,
        announcer: Announcer,
        now: Callable[[], datetime.datetime],
        store: Store,
        concerns: Callable[[Machine], Sequence[Concern]],
        workers: int = 32,
        book: Book | None = None,
        brake: Brake | None = None,
    ) -> None:
        """``book`` and ``brake`` are what an earlier engine of this process remembered."""
        self.machine = machine.assemble(
            cluster=cluster,
            meter=meter,
            announcer=announcer,
            now=now,
            store=store,
            # A namespace with much to write takes a while: some workers are for other tenants.
            most=max(1, workers // 2),
            book=book or Book(),
        )
        self.concerns = tuple(concerns(self.machine))
        self._workers = workers
        self._beginning = asyncio.Lock()
        departures = Departures(self.machine, self.concerns, brake or Brake())
        self._turns = Turns(self.machine, self.concerns, departures)
        self._spaces = Spaces(self.machine, self.concerns)
        tenancy = Tenancy(self.machine, self.concerns, departures, self._turns)
        self._works = {**tenancy.works(), **self._spaces.works(), **self._turns.works()}
        self._writes = tenancy.writes()
        for concern in self.concerns:
            self._works |= concern.works()
            self._writes |= concern.writes()

    # --- what is seen -----------------------------------------------------------------------

    def watches(self) -> list[Watch]:
        """Return everything that is followed, apart from what people write and from CRDs."""
        selected = ((kinds.NAMESPACE, ""), *((kind, names.MANAGED_SELECTOR) for kind in _MANAGED))
        nodes = self.machine.nodes
        return [
            *(self._watch(kind, selector) for kind, selector in selected),
            Watch(
                kind=kinds.NODE,
                seen=lambda _, body: nodes.put(body),
                gone=lambda ref, version: nodes.drop(ref.name, version),
                known=nodes.refs,
            ),
            *(watch for concern in self.concerns for watch in concern.watches()),
        ]

    def _watch(self, kind: Kind, selector: str) -> Watch:
        return Watch(
            kind=kind,
            selector=selector,
            seen=self.object_seen,
            gone=self.object_gone,
            known=self.machine.store.refs,
        )

    def tenant_seen(self, name: str, body: Body) -> None:
        """Take a SecureTenant as it now is."""
        tenants = self.machine.tenants
        if tenants.is_of_another(name, body):
            # The watch hands over only the latest state: a deletion before it was not seen.
            self.tenant_gone(name)
        is_new = tenants.get(name) is None
        has_changed = tenants.see(name, body)
        if is_new:
            self.machine.rollout.arrived(name, tenants.records[name])
        if has_changed:
            if not is_new:
                # A freeze or a withdrawal does not wait until a thousand new tenants are made.
                self.machine.queue.prefer(name)
            self.machine.queue.add(keys.tenant(name))
        self._follow_hostnames()

    def tenant_gone(self, name: str) -> None:
        """Take that a SecureTenant is gone: its walls stay, nobody keeps them any more."""
        parts = self.machine
        concerned = parts.tenants.concerned(name)
        owned = parts.store.owned_by(name)
        if parts.tenants.get(name) is not None and parts.resting.leave(owned):
            # It went without waiting for us.
            parts.tell_settings()
        record = parts.tenants.forget(name)
        if record is None:
            return
        parts.meter.forgot(name)
        if parts.rollout.left(name):
            parts.tell_settings()
        for other in concerned:
            parts.read_again(other)
        self._follow_hostnames()
        parts.queue.forget(keys.tenant(name))
        for namespace in record.units:
            parts.queue.forget(keys.unit(name, namespace))
            # Another tenant may have been waiting for the name.
            self._spaces.wake(Ref(kinds.NAMESPACE.name, "", namespace))
        for concern in self.concerns:
            concern.tenant_gone(name)

    def settings_seen(self, body: Body) -> None:
        """Take the TenancySettings as they now are."""
        self._turns.seen(body)

    def settings_gone(self, ref: Ref) -> None:
        """Take that the TenancySettings are gone."""
        self._turns.gone(ref)

    def crd_seen(self, name: str, body: Body | None) -> None:
        """Take one of our CRDs as it now is, or that it is gone."""
        self._turns.crd_seen(name, body)

    def object_seen(self, ref: Ref, body: Body) -> None:
        """Take one of our objects, or a Namespace, as it now is."""
        whose = self._whose(ref)
        if self.machine.store.see(ref, body):
            self._follow(ref, whose)

    def object_gone(self, ref: Ref, version: int) -> None:
        """Take that such an object was deleted."""
        whose = self._whose(ref)
        if self.machine.store.drop(ref, version):
            self._follow(ref, whose)
            if whose is not None:
                self.machine.read_again(whose.tenant)
                for concern in self.concerns:
                    concern.namespace_gone(whose.tenant)

    def _whose(self, ref: Ref) -> Owner | None:
        return self.machine.resting.whose(ref.name) if ref.kind == kinds.NAMESPACE.name else None

    def _follow(self, ref: Ref, before: Owner | None) -> None:
        """Look at everything that a change of an object concerns; ``before`` had the namespace."""
        is_namespace = ref.kind == kinds.NAMESPACE.name
        if is_namespace and self.machine.resting.follow(ref.name, before):
            self.machine.tell_settings()
        self._spaces.wake(ref)
        self._follow_moves()
        self._follow_hostnames()

    def _follow_moves(self) -> None:
        """Look at what concerns tenants that gained or lost a namespace."""
        for tenant in self.machine.store.moved():
            for concern in self.concerns:
                concern.tenant_moved(tenant)

    def _follow_hostnames(self) -> None:
        """Read the tenants again who gained or lost host names by what others have or ask for."""
        tenants = self.machine.tenants
        tenants.follow(self.machine.store)
        for rival in tenants.displaced():
            self.machine.read_again(rival)
        if moved := tenants.names_moved():
            for concern in self.concerns:
                concern.hostnames_moved(moved)

    # --- work -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled, or until :meth:`stop` and what was begun is done."""
        self.machine.resting.begin()
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"worker {number}")
            for concern in self.concerns:
                group.create_task(concern.run(), name=type(concern).__name__)

    def stop(self) -> None:
        """Take no more work; :meth:`run` returns when what was begun is done."""
        self.machine.queue.close()
        for concern in self.concerns:
            concern.stop()

    async def _work(self) -> None:
        queue = self.machine.queue
        while (key := await queue.take()) is not None:
            await self._wait_for_others()
            began = time.monotonic()
            result: Result = "failed"
            retry_after = 0.0
            try:
                again = self._may_begin(key) and await self._works[key.work](key)
                result = "again" if again else "done"
            except UnavailableError as error:
                retry_after = error.retry_after
            except ClusterError as error:
                _log.warning("%s failed and is tried again: %s", key, error)
            except Exception:  # noqa: BLE001 - see below.
                # One tenant's surprise must not stop the work on all others.
                _log.exception("%s failed unexpectedly and is tried again", key)
            finally:
                queue.done(key, failed=result != "done", retry_after=retry_after)
                # What was written is known at once, and its echo changes nothing.
                self._follow_moves()
                self._follow_hostnames()
                took = time.monotonic() - began
                self.machine.meter.reconciled(key.work, took, result)

    async def _wait_for_others(self) -> None:
        """Wait until everything else in the loop had a turn since another worker began.

        Work that writes nothing waits for nothing: after a restart ten thousand namespaces would be
        looked at in one piece, without a probe answered or the Lease renewed.
        """
        async with self._beginning:
            await asyncio.sleep(0)

    def _may_begin(self, key: Key) -> bool:
        """Tell whether work is done now: what only writes waits while its tenant is suspended."""
        record = self.machine.tenants.get(key.line)
        return key.work not in self._writes or record is None or not record.is_suspended
