"""Ingresses from before: how they join the work of the machine."""

from collections.abc import Collection, Iterable, Sequence

from securetenant.api import kinds
from securetenant.concerns.ingresses.ingresses import Ingresses
from securetenant.reconcile import foreign
from securetenant.reconcile.concern import Concern, Watch
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status.statements import Statement


class ForeignIngresses(Concern):
    """Names those that serve host names which their tenant may not have."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ingresses = Ingresses(store=machine.store, holders=machine.tenants.holders)

    def watches(self) -> Sequence[Watch]:
        """Follow all of them."""
        return (foreign.watch(self._machine, self._ingresses, kinds.INGRESS),)

    def hostnames_moved(self, tenants: Collection[str]) -> None:
        """Ingresses of these may serve names that are not theirs any more.

        And what was said of others may name another holder now, or none.
        """
        self._machine.tell(self._ingresses.named() | {*tenants})

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say what serves names that the tenant may not have; an event says so once."""
        found = self._ingresses.findings(name)
        if self._ingresses.is_news(name, found):
            (first,) = found
            self._machine.announce(name, first.reason, "Judge", first.message, is_warning=True)
        return found
