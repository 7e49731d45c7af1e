"""Whether the operator can do its work: only then it takes, or renews, the Lease.

By the Lease people, and tools that watch Leases, see in the cluster that no operator is at work.
"""

import time
from collections.abc import Callable

from securetenant.api import kinds
from securetenant.reconcile.errors import ClusterError
from securetenant.reconcile.ports import Cluster

SECONDS = 10.0
"""How often it is looked at."""
RETRY_SECONDS = 2.0
"""How soon after it did not go well."""
WORK_SECONDS = 30.0
"""How long the workers may be busy with other work."""


class Heartbeat:
    """What the last look at our rights and at our workers showed."""

    def __init__(self, *, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._failure = ""
        self._asked_at: float | None = None

    async def look(self) -> bool:
        """See whether we may still read; that it does not work is said by :meth:`problem`.

        Watches that were opened before go on for minutes when the right to open them is gone.
        """
        try:
            async for _ in self._cluster.pages(kinds.TENANCY_SETTINGS, take=lambda _: None, size=1):
                break
        except ClusterError as error:
            self._failure = str(error)
        else:
            self._failure = ""
        return not self._failure

    def ask(self) -> None:
        """Count from now how long no worker comes: work for one was just queued."""
        if self._asked_at is None:
            self._asked_at = self._clock()

    def beat(self) -> None:
        """Take that a worker came: one that comes to this comes to other work too."""
        self._asked_at = None

    def problem(self) -> str:
        """Say why this process must not lead, or nothing."""
        if self._failure:
            return self._failure
        if self._asked_at is not None and self._clock() - self._asked_at > WORK_SECONDS:
            return "no worker came to it"
        return ""
