"""Takes, renews and lets go of the Lease by which one of several operators leads.

:mod:`securetenant.plan.lead` decides; here are the requests, on a connection of their own: no
other request is in their way. Each write is of the very Lease that was read (resourceVersion).
"""

import asyncio
import random
import socket
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref
from securetenant.kube.client import Client
from securetenant.plan import lead
from securetenant.plan.lead import Action, Claim, Timing, View
from securetenant.reconcile.errors import ClusterError, UnavailableError

REF = Ref(kinds.LEASE.name, names.OPERATOR_NAMESPACE, names.OPERATOR)
SILENCE_SECONDS = 40.0
"""For how long the Lease may be out of reach, or not be renewed, until a probe says so."""

# It goes on while the machine sleeps, where the system has such a clock.
_clock: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic
)

_log = structlog.get_logger(__name__)


class Elector:
    """Whether this process leads, and until when."""

    def __init__(
        self,
        client: Client,
        *,
        seconds: int,
        unfit: Callable[[], str],
        clock: Callable[[], float] = _clock,
    ) -> None:
        """``seconds``: how long the Lease counts; ``unfit`` says why this process must not lead."""
        self._client = client
        self._timing = Timing(seconds)
        self._unfit = unfit
        self._clock = clock
        # A container that is started again has the name of its pod and is another process.
        self._view = View(me=f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}")
        self._body: Body = {}
        """The Lease as it was last read: what others wrote into it stays there."""
        self._well_at = clock()
        self._failure = "it was not looked at yet"
        self._hurry = asyncio.Event()
        self._has_lead = asyncio.Event()
        self.displaced = asyncio.Event()
        """Set when somebody else may have led since this process did."""

    @property
    def me(self) -> str:
        """Return the name by which this process holds the Lease."""
        return self._view.me

    def left(self) -> float:
        """Return for how many seconds this process may write; 0 or less: not at all."""
        return self._view.deadline - self._clock()

    def problem(self) -> str:
        """Say that the Lease was not renewed for long, and why, or nothing."""
        if self._clock() - self._well_at <= SILENCE_SECONDS:
            return ""
        return f"Lease {REF.namespace}/{REF.name} is not renewed: {self._failure}"

    def hurry(self) -> None:
        """Look at the Lease now."""
        self._hurry.set()

    def rejoin(self) -> None:
        """Take part again: everything that was remembered of a former lead is forgotten."""
        self._view = lead.rejoin(self._view)
        self.displaced.clear()
        self._has_lead.clear()

    async def lead(self) -> None:
        """Wait until this process leads."""
        while self.left() <= 0:
            self._has_lead.clear()
            await self._has_lead.wait()

    async def end_of_lead(self) -> None:
        """Wait until this process does not lead any more."""
        while True:
            left = self.left()
            if left <= 0:
                return
            await asyncio.sleep(left)

    async def run(self) -> None:
        """Take part until cancelled."""
        chance = random.Random()  # noqa: S311 - jitter.
        while True:
            await self.turn()
            self._hurry.clear()
            try:
                async with asyncio.timeout(self.pause(chance)):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    def pause(self, chance: random.Random) -> float:
        """Return for how many seconds to wait: no longer than until the Lease runs out."""
        wait = self._timing.retry * chance.uniform(0.8, 1.0)
        left = lead.runs_out(self._view, self._timing) - self._clock()
        # Not all at the same moment.
        return left + chance.uniform(0.0, 0.1) if 0 < left < wait else wait

    async def turn(self) -> None:
        """Look at the Lease, and write it if that is due; what goes wrong, the next turn sees."""
        try:
            # A request that takes longer is a lost one, and leaves time for another.
            async with asyncio.timeout(self._timing.deadline / 2):
                await self._turn()
        except TimeoutError:
            self._fail("the API server did not answer in time")
        except ClusterError as error:
            self._fail(str(error))

    def _fail(self, failure: str) -> None:
        if failure != self._failure:
            _log.warning("The Lease cannot be kept", error=failure)
        self._failure = failure
        # Whatever came of a write: the next turn looks.
        self._body = {}

    async def _turn(self) -> None:
        if reason := self._unfit():
            self._failure = reason
            return
        if not (self._body and self._view.is_mine):
            await self._look()
        action = lead.step(self._view, self._clock(), self._timing)
        if action is Action.WAIT:
            self._well_at = self._clock()
            return
        led = self.left() > 0
        self._view, claim = lead.write(self._view, action, _stamp(), self._timing)
        began = self._clock()
        await self._write(claim)
        now = self._well_at = self._clock()
        self._failure = "it was renewed"
        self._view = lead.won(self._view, claim, began=began, now=now, timing=self._timing)
        if not led:
            _log.info("Leading", holder=self.me, transitions=claim.transitions)
        self._has_lead.set()

    async def release(self) -> None:
        """Write nothing from now on, and let another process lead at once."""
        self._view, claim = lead.leave(self._view, _stamp())
        if claim is None or not self._body:
            return
        try:
            async with asyncio.timeout(self._timing.retry):
                await self._write(claim)
        except (ClusterError, TimeoutError) as error:
            _log.warning("The Lease was not let go of; it runs out", error=str(error))

    async def _look(self) -> None:
        found = await self._client.read(REF)
        self._body = found or {}
        claim = None if found is None else lead.read(found.get("spec") or {})
        led = self.left() > 0
        before, self._view = self._view, lead.see(self._view, claim, self._clock())
        if led and self.left() <= 0:
            _log.warning("The Lease is somebody else's", holder=claim and claim.holder)
        if self._view.is_displaced and not before.is_displaced:
            self.displaced.set()

    async def _write(self, claim: Claim) -> None:
        metadata: dict[str, Any] = {
            **(self._body.get("metadata") or {}),
            "name": REF.name,
            "namespace": REF.namespace,
        }
        body = {
            "apiVersion": kinds.LEASE.api_version,
            "kind": kinds.LEASE.name,
            "metadata": metadata,
            "spec": {**(self._body.get("spec") or {}), **claim.spec()},
        }
        # Without a resourceVersion it makes a Lease, and is refused where there is one.
        answer = await self._client.replace(REF, body)
        if not answer.get("metadata", {}).get("resourceVersion"):
            raise UnavailableError("the answer holds no Lease")
        self._body = answer


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
