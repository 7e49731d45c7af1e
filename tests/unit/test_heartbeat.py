"""Whether the operator can do its work: only then it holds the Lease."""

import asyncio
import random
from typing import Any

from memory_cluster import MemoryCluster
from securetenant.api.objects import Ref
from securetenant.concerns.heartbeat.concern import BEAT, ask
from securetenant.concerns.heartbeat.heartbeat import WORK_SECONDS, Heartbeat
from securetenant.reconcile import keys
from securetenant.reconcile.errors import RefusedError
from securetenant.reconcile.keys import Key
from securetenant.reconcile.queue import Queue


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


def test_a_thousand_tenants_that_are_being_made_do_not_look_like_workers_that_hang() -> None:
    """With so many in line the operator gave up its lead every 50 seconds."""
    queue = Queue[Key](clock=Clock(), chance=random.Random(0))
    heartbeat = Heartbeat(cluster=MemoryCluster())
    for number in range(1000):
        queue.add(keys.tenant(f"t{number}"))
    ask(heartbeat, queue)

    async def take() -> list[Key | None]:
        return [await queue.take() for _ in range(2)]

    assert BEAT in asyncio.run(take())
