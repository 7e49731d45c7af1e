"""The Lease of the operator: written while it is at work, and missed when it is not."""

import asyncio
import datetime
from collections.abc import Callable
from typing import Any

from memory_cluster import MemoryCluster
from securetenant.api import kinds
from securetenant.api.objects import Ref
from securetenant.concerns.heartbeat.heartbeat import LEASE_SECONDS, REF, Heartbeat
from securetenant.reconcile.errors import RefusedError


def refusing(refused: str) -> Callable[[str, Ref, Any], None]:
    """Refuse what is asked of one kind, as without the right to it."""

    def fault(_verb: str, ref: Ref, _sent: Any) -> None:
        if ref.kind == refused:
            raise RefusedError(f"{kinds.BY_NAME[refused].plural} is forbidden (403)")

    return fault


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def heartbeat(cluster: MemoryCluster, clock: Clock) -> Heartbeat:
    def now() -> datetime.datetime:
        start = datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)
        return start + datetime.timedelta(seconds=clock.now)

    return Heartbeat(cluster=cluster, holder="pod-1", now=now, clock=clock)


def test_it_says_who_and_when() -> None:
    """T9: an operator that is away was seen by nobody who asks the cluster."""
    cluster, clock = MemoryCluster(REF.namespace), Clock()
    beats = heartbeat(cluster, clock)
    clock.now = 10
    asyncio.run(beats.beat())
    assert [each.ref for each in cluster.writes] == [REF]
    assert cluster.objects[REF]["spec"] == {
        "holderIdentity": "pod-1",
        "leaseDurationSeconds": LEASE_SECONDS,
        "acquireTime": "2026-11-28T00:00:00.000000Z",
        "renewTime": "2026-11-28T00:00:10.000000Z",
    }


def test_without_rights_it_is_not_written_and_the_problem_is_told() -> None:
    """T9: with its rights removed the operator was ready all the same."""
    for refused in ("TenancySettings", "Lease"):
        cluster, clock = MemoryCluster(REF.namespace), Clock()
        beats = heartbeat(cluster, clock)
        cluster.fault = refusing(refused)
        asyncio.run(beats.beat())
        assert cluster.writes == []
        assert beats.problem() == "", "one that is late is no problem yet"
        clock.now = LEASE_SECONDS + 1
        assert beats.problem().startswith(
            "Lease securetenant-system/securetenant-operator is not renewed: "
        )
        assert "is forbidden (403)" in beats.problem()
        cluster.fault = refusing("")
        asyncio.run(beats.beat())
        assert beats.problem() == ""


def test_a_queue_that_stands_still_is_told() -> None:
    """T9: a worker renews the Lease, so that workers that hang are seen."""
    cluster, clock = MemoryCluster(REF.namespace), Clock()
    beats = heartbeat(cluster, clock)
    asyncio.run(beats.beat())
    clock.now = LEASE_SECONDS + 1
    assert "no worker came to it" in beats.problem()
