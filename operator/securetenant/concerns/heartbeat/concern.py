"""The heartbeat: how it joins the work of the machine."""

from collections.abc import Mapping

from securetenant.concerns.heartbeat.heartbeat import Heartbeat
from securetenant.reconcile import keys
from securetenant.reconcile.concern import Concern, Work
from securetenant.reconcile.keys import Key

BEAT = keys.shared("Beat")


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
