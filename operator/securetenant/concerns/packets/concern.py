"""The packet probe: how what it came to joins what is said of tenants and of the platform."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from dataclasses import replace

from securetenant.api import kinds, names
from securetenant.plan import packets
from securetenant.plan.packets import Packets, ProbePod
from securetenant.reconcile.concern import Concern
from securetenant.reconcile.errors import ClusterError
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status import packets as told
from securetenant.status.outcome import Finding
from securetenant.status.settings import Report
from securetenant.status.statements import Statement

_SECONDS = 30.0
"""How often the pods of the probe are looked at."""

_log = logging.getLogger(__name__)


class PacketProbe(Concern):
    """Lists the pods of the probe now and then: few lists, and no right to follow pods."""

    def __init__(self, machine: Machine, seconds: float = _SECONDS) -> None:
        self._machine = machine
        self._seconds = seconds
        self._found: Packets | None = None
        """Nothing before the first look."""
        self._end = asyncio.Event()

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say whether packets are filtered, or that nobody tried."""
        if self._machine.verify_seconds:
            yield told.statement(self._found, record.status.get("conditions") or ())

    def doubts(self, tenant: str, namespace: str) -> Iterable[Finding]:
        """Say so of every namespace where something arrives that is refused."""
        found = told.finding(self._found) if self._machine.verify_seconds else None
        return () if found is None else (found,)

    def report(self, report: Report) -> Report:
        """Add on which nodes they are."""
        return replace(report, packets=self._found)

    async def run(self) -> None:
        """Look until cancelled, or until :meth:`stop`."""
        while not self._end.is_set():
            try:
                await self._look()
            except ClusterError as error:
                # What was seen still counts: nothing can be said now in any case.
                _log.debug("the pods of the packet probe are not listed: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._end.wait()

    def stop(self) -> None:
        """Look no more."""
        self._end.set()

    async def _look(self) -> None:
        senders, receivers = await self._pods(names.SENDERS), await self._pods(names.RECEIVERS)
        found = packets.judge(senders, receivers, self._machine.now())
        if found != self._found:
            self._found = found
            self._machine.meter.probed(
                filtered=len(found.filtered),
                unfiltered=len(found.unfiltered),
                silent=len(found.silent),
            )
            self._machine.tell_all()

    async def _pods(self, namespace: str) -> list[ProbePod]:
        if self._machine.store.owner_of(namespace):
            # Its pods are a tenant's, who could say anything.
            return []
        return [
            pod
            async for page in self._machine.cluster.pages(
                kinds.POD, take=packets.observe, namespace=namespace
            )
            for pod in page.items
            if pod is not None
        ]
