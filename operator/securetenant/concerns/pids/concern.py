"""The limits of processes: how they join the work of the machine."""

from collections.abc import Iterable, Mapping

from securetenant.api import names
from securetenant.api.nodes import TenantNodes
from securetenant.concerns.pids.pids import Pids
from securetenant.plan import pids
from securetenant.reconcile import keys
from securetenant.reconcile.concern import Concern, Work
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.ports import Kubelets
from securetenant.reconcile.tenants import Record
from securetenant.status.statements import Aspect, Statement

_LIMITS = "Limits"
_GATHER_SECONDS = 0.2
"""How long changes are gathered before tenants are looked at: many nodes may change at once."""


class ProcessLimits(Concern):
    """Reads kubelets apart from the queue that all share: one may be slow, dead or hostile."""

    def __init__(self, machine: Machine, kubelets: Kubelets) -> None:
        self._machine = machine
        self._pids = Pids(
            kubelets=kubelets,
            cluster=machine.cluster,
            meter=machine.meter,
            book=machine.nodes,
            changed=lambda owner: machine.queue.add_after(
                keys.shared(_LIMITS, owner), _GATHER_SECONDS
            ),
        )
        self._requested: dict[str, str] = {}
        """By tenant, the last time at which somebody asked to look again."""

    def works(self) -> Mapping[str, Work]:
        """Tell those who ask for limits on the nodes of an owner."""
        return {_LIMITS: self._tell}

    def settings_changed(self) -> None:
        """Another authority may make a kubelet readable, or not."""
        self._pids.take_settings(self._machine.settings)

    def tenant_read(self, name: str, record: Record) -> None:
        """Take what a tenant asks for."""
        settings = self._machine.settings
        if record.spec is not None and settings is not None:
            asked = record.spec.nodes or TenantNodes()
            self._pids.ask(name, pids.asked(name, asked, settings.nodes))
        annotations = record.body["metadata"].get("annotations") or {}
        requested = annotations.get(names.REQUESTED_ANNOTATION, "")
        if requested != self._requested.get(name, ""):
            self._requested[name] = requested
            self._pids.look_again(name)

    def tenant_gone(self, name: str) -> None:
        """Nobody asks for it any more."""
        self._pids.ask(name, None)
        self._requested.pop(name, None)

    async def _tell(self, key: Key) -> bool:
        self._machine.tell(self._pids.asking(key.name))
        return False

    def is_learning(self, name: str) -> bool:
        """Tell whether kubelets of its nodes are being read for the first time."""
        return self._pids.is_under_way(name)

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say whether the limit is kept, to a tenant that asks for one."""
        nodes = record.spec.nodes if record.spec else None
        # Its pods land nowhere while no node keeps a bound that it requires.
        is_required = nodes is not None and bool(nodes.required_pids)
        for verdict in self._pids.judge(name):
            yield Aspect(verdict=verdict, holds_ready=is_required)

    async def run(self) -> None:
        """Read kubelets."""
        await self._pids.run()

    def stop(self) -> None:
        """Begin to read no more."""
        self._pids.stop()
