"""The heartbeat: how it joins the work of the machine."""

from collections.abc import Mapping

from securetenant.concerns.heartbeat.heartbeat import Heartbeat
from securetenant.reconcile import keys
from securetenant.reconcile.concern import Concern, Work
from securetenant.reconcile.keys import Key
from securetenant.reconcile.queue import Queue

BEAT = keys.shared("Beat")


def ask(heartbeat: Heartbeat, queue: Queue[Key]) -> None:
    """Have the next worker that is free show that it comes.

    Behind a thousand tenants that are being made it would look as if none came, and the lead would
    be given up in the middle of the work.
    """
    heartbeat.ask()
    queue.prefer(BEAT.line)
    queue.add(BEAT)


class Beating(Concern):
    """Has a worker show that it comes to its work: the Lease is not renewed otherwise."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat

    def works(self) -> Mapping[str, Work]:
        """Show it."""
        return {BEAT.work: self._beat}

    async def _beat(self, _: Key) -> bool:
        self._heartbeat.beat()
        return False
