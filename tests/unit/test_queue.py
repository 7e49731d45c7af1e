"""The work queue: each key once, tenants in turn, failures later."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine
from typing import Any

from securetenant.reconcile.keys import Key, Tenant, Unit
from securetenant.reconcile.queue import Queue


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(test: Callable[[Queue[Key], Clock], Coroutine[Any, Any, None]]) -> None:
    async def body() -> None:
        clock = Clock()
        await test(Queue[Key](clock=clock, chance=random.Random(1)), clock)

    asyncio.run(body())


async def take(queue: Queue[Key]) -> Key:
    key = await queue.take()
    assert key is not None
    return key


async def drain(queue: Queue[Key]) -> list[Key]:
    taken = []
    while len(queue):
        key = await take(queue)
        queue.done(key, failed=False)
        taken.append(key)
    return taken


def test_a_key_that_is_added_twice_is_worked_on_once() -> None:
    async def test(queue: Queue[Key], _: Clock) -> None:
        queue.add(Tenant("a"))
        queue.add(Tenant("a"))
        assert await drain(queue) == [Tenant("a")]

    run(test)


def test_a_key_that_is_added_during_its_work_is_worked_on_again() -> None:
    async def test(queue: Queue[Key], _: Clock) -> None:
        queue.add(Tenant("a"))
        key = await take(queue)
        queue.add(key)
        assert len(queue) == 1, "nobody else may work on it meanwhile"
        queue.done(key, failed=False)
        assert await drain(queue) == [key]

    run(test)


def test_a_tenant_with_many_namespaces_does_not_delay_another() -> None:
    async def test(queue: Queue[Key], _: Clock) -> None:
        for number in range(1000):
            queue.add(Unit("large", f"n{number}"))
        queue.add(Unit("small", "n"))
        assert [await take(queue) for _ in range(2)] == [Unit("large", "n0"), Unit("small", "n")]

    run(test)


def test_failures_wait_longer_each_time_and_success_forgets_them() -> None:
    async def test(queue: Queue[Key], clock: Clock) -> None:
        key = Tenant("a")
        waits = []
        queue.add(key)
        for _ in range(12):
            assert await take(queue) == key
            queue.done(key, failed=True)
            began = clock.now
            while not queue._turn:
                clock.now += 0.05
                queue._ripen()
            waits.append(clock.now - began)
        assert all(later > earlier for earlier, later in itertools.pairwise(waits[:8]))
        assert max(waits) < 150
        queue.done(await take(queue), failed=False)
        assert key not in queue._failures

    run(test)


def test_the_api_servers_wish_to_be_left_alone_is_respected() -> None:
    async def test(queue: Queue[Key], clock: Clock) -> None:
        queue.add(Tenant("a"))
        queue.done(await take(queue), failed=True, retry_after=30)
        clock.now += 29
        queue._ripen()
        assert not queue._turn
        clock.now += 2
        queue._ripen()
        assert queue._turn

    run(test)


def test_what_is_asked_for_now_does_not_wait_for_its_delay() -> None:
    async def test(queue: Queue[Key], clock: Clock) -> None:
        queue.add_after(Tenant("a"), 60)
        queue.add(Tenant("a"))
        assert await drain(queue) == [Tenant("a")]
        clock.now += 61
        queue._ripen()
        assert not len(queue), "the delay was used up"

    run(test)


def test_a_closed_queue_hands_out_nothing_more() -> None:
    async def test(queue: Queue[Key], _: Clock) -> None:
        queue.add(Tenant("a"))
        queue.close()
        assert await queue.take() is None

    run(test)
