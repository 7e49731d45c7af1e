"""How many requests at once: more while it goes well, half as many when it does not."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from securetenant.kube.throttle import Throttle


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_answers_raise_the_limit_up_to_a_bound() -> None:
    throttle = Throttle()
    for _ in range(10_000):
        throttle.went_well()
    assert throttle.limit == 64


def test_one_overload_halves_the_limit_once_however_many_answers_tell_of_it() -> None:
    throttle = Throttle()
    throttle.limit = 32
    for _ in range(20):
        throttle.was_refused(0)
    assert throttle.limit == 16


def test_no_more_than_the_limit_are_in_flight() -> None:
    async def work() -> None:
        throttle = Throttle()
        throttle.limit = 3
        active = most = 0

        async def request() -> None:
            nonlocal active, most
            async with throttle.slot():
                active += 1
                most = max(most, active)
                await asyncio.sleep(0)
                active -= 1

        await asyncio.gather(*(request() for _ in range(50)))
        assert most == 3

    run(work())


def test_a_request_that_gives_up_waiting_does_not_lose_a_slot() -> None:
    async def work() -> None:
        throttle = Throttle()
        throttle.limit = 1
        async with throttle.slot():
            waiting = asyncio.create_task(throttle.slot().__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(1), throttle.slot():
            pass

    run(work())


def test_nothing_is_sent_before_the_time_that_was_asked_for() -> None:
    async def work() -> None:
        throttle = Throttle()
        throttle.was_refused(0.2)
        began = asyncio.get_running_loop().time()
        async with throttle.slot():
            assert asyncio.get_running_loop().time() - began >= 0.19

    run(work())
