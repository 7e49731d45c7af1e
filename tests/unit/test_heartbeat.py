"""The Lease of the operator: written while it is at work, and missed when it is not."""

import asyncio
import datetime
from collections.abc import AsyncIterator
from typing import Any, cast

from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Manifest, Page
from securetenant.reconcile.errors import RefusedError
from securetenant.reconcile.heartbeat import LEASE_SECONDS, REF, Heartbeat


class Cluster:
    def __init__(self) -> None:
        self.written: list[Body] = []
        self.refuses = ""

    async def pages(self, kind: Kind, **_: Any) -> AsyncIterator[Page[Any]]:
        if self.refuses == kind.name:
            raise RefusedError(f"{kind.plural} is forbidden (403)")
        yield Page("1", [])

    async def apply(self, manifest: Manifest) -> Body:
        assert manifest.ref == REF
        if self.refuses == manifest.ref.kind:
            raise RefusedError("leases is forbidden (403)")
        self.written.append(manifest.body["spec"])
        return manifest.body


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def heartbeat(cluster: Cluster, clock: Clock) -> Heartbeat:
    def now() -> datetime.datetime:
        start = datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)
        return start + datetime.timedelta(seconds=clock.now)

    return Heartbeat(cluster=cast(Any, cluster), holder="pod-1", now=now, clock=clock)


def test_it_says_who_and_when() -> None:
    """T9: an operator that is away was seen by nobody who asks the cluster."""
    cluster, clock = Cluster(), Clock()
    beats = heartbeat(cluster, clock)
    clock.now = 10
    asyncio.run(beats.beat())
    assert cluster.written == [
        {
            "holderIdentity": "pod-1",
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": "2026-11-28T00:00:00.000000Z",
            "renewTime": "2026-11-28T00:00:10.000000Z",
        }
    ]


def test_without_rights_it_is_not_written_and_the_problem_is_told() -> None:
    """T9: with its rights removed the operator was ready all the same."""
    for refused in ("TenancySettings", "Lease"):
        cluster, clock = Cluster(), Clock()
        beats = heartbeat(cluster, clock)
        cluster.refuses = refused
        asyncio.run(beats.beat())
        assert cluster.written == []
        assert beats.problem() == "", "one that is late is no problem yet"
        clock.now = LEASE_SECONDS + 1
        assert beats.problem().startswith(
            "Lease securetenant-system/securetenant-operator is not renewed: "
        )
        assert "is forbidden (403)" in beats.problem()
        cluster.refuses = ""
        asyncio.run(beats.beat())
        assert beats.problem() == ""


def test_a_queue_that_stands_still_is_told() -> None:
    """T9: a worker renews the Lease, so that workers that hang are seen."""
    cluster, clock = Cluster(), Clock()
    beats = heartbeat(cluster, clock)
    asyncio.run(beats.beat())
    clock.now = LEASE_SECONDS + 1
    assert "no worker came to it" in beats.problem()
