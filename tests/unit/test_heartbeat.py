"""Whether the operator can do its work: only then it holds the Lease."""

import asyncio
from typing import Any

from memory_cluster import MemoryCluster
from securetenant.api.objects import Ref
from securetenant.concerns.heartbeat.heartbeat import WORK_SECONDS, Heartbeat
from securetenant.reconcile.errors import RefusedError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def refuse(_verb: str, ref: Ref, _sent: Any) -> None:
    """Refuse everything, as without any right."""
    raise RefusedError(f"{ref.kind} is forbidden (403)")


def test_without_rights_there_is_a_problem_until_they_are_back() -> None:
    """T9: with its rights removed the operator was ready all the same."""
    cluster = MemoryCluster()
    heartbeat = Heartbeat(cluster=cluster)
    assert asyncio.run(heartbeat.look())
    assert heartbeat.problem() == ""
    cluster.fault = refuse
    assert not asyncio.run(heartbeat.look())
    assert "is forbidden (403)" in heartbeat.problem()
    cluster.fault = lambda *_: None
    assert asyncio.run(heartbeat.look())
    assert heartbeat.problem() == ""
    assert cluster.writes == []


def test_a_queue_that_stands_still_is_told() -> None:
    """T9: workers that hang are seen, since none of them comes to this work either."""
    clock = Clock()
    heartbeat = Heartbeat(cluster=MemoryCluster(), clock=clock)
    clock.now = 1000
    assert heartbeat.problem() == "", "a standby has no workers to come"
    heartbeat.ask()
    clock.now += WORK_SECONDS - 1
    heartbeat.ask()
    clock.now += 2
    assert heartbeat.problem() == "no worker came to it"
    heartbeat.beat()
    assert heartbeat.problem() == ""
