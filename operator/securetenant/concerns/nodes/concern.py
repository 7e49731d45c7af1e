"""Nodes of tenants: how they join the work of the machine."""

import dataclasses
from collections.abc import Iterable, Mapping

from securetenant.api import names, workloads
from securetenant.api.nodes import TenantNodes
from securetenant.concerns.nodes import census
from securetenant.concerns.nodes.census import Census
from securetenant.concerns.nodes.nodes import Nodes, Surroundings
from securetenant.reconcile import keys
from securetenant.reconcile.concern import Concern, Work
from securetenant.reconcile.errors import ConflictError
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status import placement, user_namespaces
from securetenant.status.outcome import Finding
from securetenant.status.statements import Aspect, Statement

_NODE, _PODS, _CENSUS = "Node", "Pods", "Census"
_DAEMON_SETS = keys.shared("DaemonSets")
_CONFLICT_SECONDS = 0.2
"""How soon a node is looked at again that somebody else wrote to at the same moment."""
_GATHER_SECONDS = 0.2
"""How long changes are gathered before tenants hear of them: many nodes may change at once."""
_DAEMON_SETS_SECONDS = 600.0
"""How often DaemonSets are looked at while tenants have nodes of their own."""


class DedicatedNodes(Concern):
    """Gives nodes to tenants once all tenants were read: any of them may ask for the same."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._census = Census(
            machine.nodes,
            lambda owner: machine.queue.add_after(keys.shared(_CENSUS, owner), _GATHER_SECONDS),
        )
        self._nodes = Nodes(
            cluster=machine.cluster,
            meter=machine.meter,
            around=Surroundings(
                owner_of=machine.store.owner_of,
                is_retained=self._is_retained,
                is_held=self._is_held,
            ),
            book=machine.nodes,
            woken=lambda name: self._wake((name,)),
            news=machine.tell,
        )
        self._postponed: set[str] = set()
        """Nodes that wait until every tenant was read."""

    def works(self) -> Mapping[str, Work]:
        """Look at a node, at the pods of a tenant, at all DaemonSets, and at who has which."""
        return {
            _NODE: self._converge,
            _PODS: self._look_at_pods,
            _DAEMON_SETS.work: self._look_at_daemons,
            _CENSUS: self._tell_of_census,
        }

    def settings_changed(self) -> None:
        """Look at every node again."""
        self._wake(self._nodes.names())

    def tenant_read(self, name: str, record: Record) -> None:
        """Look at the nodes that a tenant asks for, or no longer asks for."""
        self._resume()
        if record.spec is None:
            return
        self._wake(self._nodes.ask(name, record.spec.nodes))
        if self._nodes.has(name):
            self._machine.queue.add(Key(_PODS, name))

    def tenant_gone(self, name: str) -> None:
        """Look at the nodes that it had."""
        self._resume()
        self._wake(self._nodes.ask(name, None) | self._nodes.of(name))

    def namespace_gone(self, tenant: str) -> None:
        """What is retained goes with the last namespace."""
        self._wake(self._nodes.of(tenant))

    def _wake(self, nodes: Iterable[str]) -> None:
        for name in nodes:
            self._machine.queue.add(keys.shared(_NODE, name))

    def _resume(self) -> None:
        """Queue the nodes that waited until every tenant was read."""
        if not self._machine.tenants.unread:
            waiting, self._postponed = self._postponed, set()
            self._wake(waiting)

    def _is_retained(self, name: str) -> bool:
        """Tell whether a tenant who asks for no node keeps what it has.

        Its walls outlive it with its namespaces; and while its spec cannot be read, what was in
        place stays in place.
        """
        record = self._machine.tenants.get(name)
        return bool(self._machine.store.owned_by(name)) if record is None else record.spec is None

    def _is_held(self, name: str) -> bool:
        record = self._machine.tenants.get(name)
        return record is not None and record.is_held

    async def _converge(self, key: Key) -> bool:
        settings = self._machine.settings
        if settings is None:
            return False
        if self._machine.tenants.unread:
            # Who has not been read may ask for it too.
            self._postponed.add(key.name)
            return False
        try:
            again, news, repair = await self._nodes.converge(key.name, settings.nodes)
        except ConflictError:
            # Somebody changed it at the same moment: nothing of theirs is lost, and it is seen.
            self._machine.queue.add_after(key, _CONFLICT_SECONDS)
            return False
        if again:
            self._machine.queue.add_after(key, again)
        self._machine.tell(news)
        if news:
            self._machine.queue.add(_DAEMON_SETS)
        if repair is not None:
            self._machine.announce(
                repair.tenant, "DriftRepaired", "Repair", repair.note, is_warning=True
            )
        return False

    async def _look_at_pods(self, key: Key) -> bool:
        tenants = self._machine.tenants
        record = tenants.get(key.line)
        if record is None or not self._nodes.has(key.line):
            return False
        asking = filter(None, map(tenants.get, self._nodes.asking()))
        total = sum(len(each.units) for each in asking)
        again, news = await self._nodes.look_at_pods(key.line, record.own, total)
        if news:
            self._machine.tell((key.line,))
        self._machine.queue.add_after(key, again)
        return False

    async def _look_at_daemons(self, key: Key) -> bool:
        asking = self._nodes.asking()
        if not asking:
            return False
        if await self._nodes.look_at_daemons():
            self._machine.tell(asking)
        self._machine.queue.add_after(key, _DAEMON_SETS_SECONDS)
        return False

    async def _tell_of_census(self, key: Key) -> bool:
        is_shared = key.name in (names.SHARED, "")
        self._machine.tell(self._machine.tenants.names() if is_shared else (key.name,))
        return False

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say how the tenant's nodes stand, where anybody says something of nodes."""
        newest = self._machine.settings
        settings = newest.nodes if newest else None
        asked = record.spec.nodes if record.spec else None
        if settings is not None or (asked is not None and asked.is_dedicated):
            found = self._nodes.placement(name, asked or TenantNodes(), settings)
            without = not found.dedicated and not self._census.has_any(names.SHARED)
            yield Aspect(verdict=placement.judge(dataclasses.replace(found, without=without)))
        yield from self._without_user_namespaces(name, record)

    def _without_user_namespaces(self, name: str, record: Record) -> Iterable[Finding]:
        spec, settings = record.spec, record.follows or self._machine.settings
        if spec is None or settings is None:
            return
        if workloads.effective(spec.workloads, settings.workloads).user_namespaces != "Required":
            return
        owner = census.owner_of_nodes(
            name,
            is_dedicated=spec.nodes is not None and spec.nodes.is_dedicated,
            is_settled=settings.nodes is not None,
        )
        if lacking := self._census.lacking(owner):
            everywhere = self._census.lacks_everywhere(owner)
            yield user_namespaces.judge(lacking, everywhere=everywhere)
