"""The flows of tenants: how they join the work of the machine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref
from securetenant.concerns.fairness.flows import Flows
from securetenant.plan import pack
from securetenant.plan.pack import Level
from securetenant.reconcile.concern import Concern, Presence, Watch, Work
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status.settings import Report
from securetenant.status.statements import Statement

_WORK = "Flow"
_GATHER_SECONDS = 1.0
"""How long a flow waits for more tenants to change, since many may share it."""


class Fairness(Concern):
    """Keeps FlowSchemas, and says whether the priority level lets tenants queue apart."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._flows = Flows(machine.store, machine.tenants)
        self._level = Level.MISSING

    def watches(self) -> Sequence[Watch]:
        """Follow the FlowSchemas with our label, and the priority level of tenants."""
        return (
            Watch(
                kind=kinds.FLOW_SCHEMA,
                selector=names.MANAGED_SELECTOR,
                seen=self._seen,
                gone=self._gone,
                known=self._machine.store.refs,
                presence=Presence.LATE,
                served=self._begin,
            ),
            Watch(
                kind=kinds.PRIORITY_LEVEL,
                selector=names.PACK_SELECTOR,
                seen=lambda ref, body: self._take_level(ref, pack.level(body)),
                gone=lambda ref, _: self._take_level(ref, Level.MISSING),
                known=lambda kind: [Ref(kind, "", names.PRIORITY_LEVEL)],
                presence=Presence.LATE,
            ),
        )

    def works(self) -> Mapping[str, Work]:
        """Make one flow what it should be."""
        return {_WORK: self._converge}

    def _begin(self) -> None:
        """Keep flows from now on: all FlowSchemas were seen."""
        self._flows.begin()
        self._look_at_all()
        self._machine.tell_settings()

    def _seen(self, ref: Ref, body: Body) -> None:
        if self._machine.store.see(ref, body):
            self._machine.queue.add(_key(ref.name))

    def _gone(self, ref: Ref, version: int) -> None:
        if self._machine.store.drop(ref, version):
            self._machine.queue.add(_key(ref.name))

    def _take_level(self, ref: Ref, level: Level) -> None:
        if ref.name == names.PRIORITY_LEVEL and level is not self._level:
            self._level = level
            self._machine.tell_settings()

    def settings_changed(self) -> None:
        """Look at every flow again."""
        self._look_at_all()

    def tenant_read(self, name: str, record: Record) -> None:
        """Look at the flow that the tenant is in: its people may be others."""
        self._look_at(name)

    def tenant_gone(self, name: str) -> None:
        """Look at the flow that the tenant was in."""
        self._look_at(name)

    def tenant_moved(self, name: str) -> None:
        """Look at the flow that the tenant is in, or was: its namespaces are others."""
        self._look_at(name)

    def _look_at(self, tenant: str) -> None:
        name = self._flows.look(tenant)
        if name:
            self._machine.queue.add_after(_key(name), _GATHER_SECONDS)

    def _look_at_all(self) -> None:
        known = [ref.name for ref in self._machine.store.refs(kinds.FLOW_SCHEMA.name)]
        for name in {*known, *self._flows.names()}:
            self._machine.queue.add(_key(name))

    async def _converge(self, key: Key) -> bool:
        newest, machine = self._machine.settings, self._machine
        if newest is None:
            return False
        news, again = await self._flows.converge(key.name, newest, machine.writer, machine.meter)
        machine.tell(news)
        return again

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say what keeps the tenant's flow from being as it should be."""
        return self._flows.findings(name)

    def report(self, report: Report) -> Report:
        """Add what keeps tenants from queueing apart."""
        return replace(report, fairness=self._flows.shortcoming(self._level))


def _key(name: str) -> Key:
    # A line of its own for each, since tenants share it.
    return Key(_WORK, f"{_WORK}/{name}", name)
