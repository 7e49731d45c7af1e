"""What a spec takes away where nothing is repaired: how it joins the work of the machine."""

from collections.abc import Mapping

from securetenant.concerns.unkept.unkept import Unkept
from securetenant.reconcile.concern import Concern, Work
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record

_WORK = "Unkept"


class Restrictions(Concern):
    """Applies a lockdown and withdrawn grants in namespaces that nobody keeps."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._unkept = Unkept(
            cluster=machine.cluster,
            meter=machine.meter,
            store=machine.store,
            writer=machine.writer,
            stray=machine.tenants.stray,
        )

    def works(self) -> Mapping[str, Work]:
        """Restrict one namespace."""
        return {_WORK: self._restrict}

    def writes(self) -> frozenset[str]:
        """All of it."""
        return frozenset((_WORK,))

    def tenant_read(self, name: str, record: Record) -> None:
        """Look at each such namespace of the tenant."""
        for namespace in self._unkept.namespaces(name, record):
            self._machine.queue.add(Key(_WORK, name, namespace))

    async def _restrict(self, key: Key) -> bool:
        record, settings = self._machine.tenants.get(key.line), self._machine.settings
        if record is not None and settings is not None:
            await self._unkept.restrict(key.line, record, key.name, settings)
        return False
