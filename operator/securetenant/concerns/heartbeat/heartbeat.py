"""A Lease that says that the operator is at work; a worker renews it every few seconds.

It elects nobody. By it people, and tools that watch Leases, see in the cluster that the operator is
away.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from securetenant.api import kinds, names
from securetenant.api.objects import Manifest, Ref
from securetenant.reconcile.errors import ClusterError
from securetenant.reconcile.ports import Cluster

SECONDS = 10.0
"""How often it is renewed."""
LEASE_SECONDS = 40
"""How long it counts: a few renewals may be late or lost."""
REF = Ref(kinds.LEASE.name, names.OPERATOR_NAMESPACE, names.OPERATOR)


class Heartbeat:
    """Renews the Lease and knows when that was."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        holder: str,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``holder`` is who we are: the name of the pod, or of the host."""
        self._cluster = cluster
        self._holder = holder
        self._now = now
        self._clock = clock
        self._acquired = _stamp(now())
        self._renewed_at = clock()
        self._failure = "it was not written yet"

    async def beat(self) -> None:
        """Renew the Lease; that it does not work is said by :meth:`problem`."""
        spec: dict[str, Any] = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": self._acquired,
            "renewTime": _stamp(self._now()),
        }
        body = {
            "apiVersion": kinds.LEASE.api_version,
            "kind": kinds.LEASE.name,
            "metadata": {"name": REF.name, "namespace": REF.namespace},
            "spec": spec,
        }
        try:
            # Watches that were opened before go on for minutes when the right to open them is gone.
            async for _ in self._cluster.pages(kinds.TENANCY_SETTINGS, take=lambda _: None, size=1):
                break
            await self._cluster.apply(Manifest(REF, body))
        except ClusterError as error:
            self._failure = str(error)
        else:
            self._renewed_at = self._clock()
            self._failure = "no worker came to it"

    def begin(self) -> None:
        """Count from now how long the Lease was not renewed."""
        self._renewed_at = self._clock()

    def problem(self) -> str:
        """Say that the Lease is not renewed and why, or nothing."""
        if self._clock() - self._renewed_at <= LEASE_SECONDS:
            return ""
        return f"Lease {REF.namespace}/{REF.name} is not renewed: {self._failure}"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
