"""The work queue: each key once, tenants in turn, failures later."""

import asyncio
import itertools
import random
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securetenant.reconcile import keys
from securetenant.reconcile.keys import Key, tenant, unit
from securetenant.reconcile.queue import Queue


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(
    test: Callable[[Queue[Key], Clock], Coroutine[Any, Any, None]], most: int = sys.maxsize
) -> None:
    async def body() -> None:
        clock = Clock()
        await test(Queue[Key](clock=clock, chance=random.Random(1), most=most), clock)

    asyncio.run(body())


async def take(queue: Queue[Key]) -> Key:
    async with asyncio.timeout(1):
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
        queue.add(tenant("a"))
        queue.add(tenant("a"))
        assert await drain(queue) == [tenant("a")]

    run(test)


def test_a_key_that_is_added_during_its_work_is_worked_on_again() -> None:
    async def test(queue: Queue[Key], _: Clock) -> None:
        queue.add(tenant("a"))
        key = await take(queue)
        queue.add(key)
        assert len(queue) == 1, "nobody else may work on it meanwhile"
        queue.done(key, failed=False)
        assert await drain(queue) == [key]

    run(test)


def test_a_tenant_with_many_namespaces_does_not_delay_another() -> None:
    async def test(queue: Queue[Key], _: Clock) -> None:
        for number in range(1000):
            queue.add(unit("large", f"n{number}"))
        queue.add(unit("small", "n"))
        assert [await take(queue) for _ in range(2)] == [unit("large", "n0"), unit("small", "n")]

    run(test)


@pytest.mark.parametrize(
    "many",
    [
        pytest.param(lambda name: keys.shared("Node", name), id="nodes"),
        pytest.param(lambda name: keys.shared("Limits", name), id="limits of nodes"),
        pytest.param(lambda name: Key("Flow", f"Flow/{name}", name), id="flows"),
        pytest.param(lambda name: Key("Stray", name, name), id="strays"),
    ],
)
@pytest.mark.parametrize(
    "one",
    [
        pytest.param(keys.SETTINGS, id="the settings"),
        pytest.param(keys.shared("DaemonSets"), id="DaemonSets"),
        pytest.param(tenant("acme"), id="a tenant"),
    ],
)
def test_what_is_nobodys_does_not_wait_behind_another_kind(
    many: Callable[[str], Key], one: Key
) -> None:
    """S14: everything without a tenant waited in one line: the settings behind 5,000 nodes."""

    async def test(queue: Queue[Key], _: Clock) -> None:
        kept = [many(f"n{number}") for number in range(5000)]
        lines = len({each.line for each in kept})
        for each in kept:
            queue.add(each)
        queue.add(one)
        # Each line is served once before any is served twice.
        assert one in [await take(queue) for _ in range(lines + 1)]

    run(test)


def test_what_is_preferred_does_not_wait_behind_everything_and_holds_up_nothing() -> None:
    """10,000 namespaces take hours to verify: one that is new must not wait for that."""

    async def test(queue: Queue[Key], clock: Clock) -> None:
        for number in range(100):
            queue.add(unit(f"t{number}", "x"))
        queue.prefer("t90")
        for number in range(3):
            queue.prefer("new")
            queue.add_after(unit("new", str(number)), 1)
        clock.now = 2
        order = [key.line for key in await drain(queue)]
        assert order[:8] == ["t90", "t0", "new", "t1", "new", "t2", "new", "t3"]
        assert len(order) == 103
        # It was preferred once, and not for ever.
        queue.add(unit("t1", "x"))
        queue.add(unit("new", "0"))
        assert [key.line for key in await drain(queue)] == ["t1", "new"]

    run(test)


def test_a_line_that_never_comes_is_not_preferred_later() -> None:
    async def test(queue: Queue[Key], _: Clock) -> None:
        queue.prefer("gone")
        queue.forget(unit("gone", "x"))
        queue.add(unit("a", "x"))
        queue.add(unit("gone", "x"))
        assert [key.line for key in await drain(queue)] == ["a", "gone"]

    run(test)


def test_no_tenant_can_have_the_name_of_a_line_that_is_nobodys() -> None:
    """S14: else its work would wait there, and the other way round."""
    for each in (keys.SETTINGS, keys.shared("DaemonSets"), keys.shared("Node", "n")):
        assert "/" in each.line


def test_a_tenant_never_holds_every_worker() -> None:
    """The first to end lets the next begin; what is asked for again meanwhile waits its turn."""

    async def test(queue: Queue[Key], _: Clock) -> None:
        for number in range(4):
            queue.add(unit("large", f"n{number}"))
        first, second = await take(queue), await take(queue)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await queue.take()
        queue.add(unit("small", "n"))
        assert await take(queue) == unit("small", "n")
        queue.add(first)
        queue.done(first, failed=False)
        third = await take(queue)
        queue.done(second, failed=False)
        queue.done(third, failed=False)
        assert third == unit("large", "n2")
        assert [await take(queue) for _ in range(2)] == [unit("large", "n3"), first]

    run(test, most=2)


_UNITS = st.builds(unit, st.sampled_from("ab"), st.sampled_from("uvwxyz"))


@given(st.lists(st.one_of(_UNITS, st.sampled_from(("take", "done"))), max_size=60))
def test_every_key_comes_to_its_turn_and_no_tenant_holds_more_than_it_may(
    steps: list[Key | str],
) -> None:
    async def test(queue: Queue[Key], _: Clock) -> None:
        at_work: list[Key] = []
        worked_on: set[Key] = set()
        for step in (*steps, *["take", "done"] * 2 * len(steps)):
            if isinstance(step, Key):
                queue.add(step)
            elif step == "take" and queue._turn:
                at_work.append(await take(queue))
            elif step == "done" and at_work:
                worked_on.add(at_work[0])
                queue.done(at_work.pop(0), failed=False)
            assert len({*at_work}) == len(at_work)
            busy = Counter(key.line for key in at_work)
            assert all(count <= 3 for count in busy.values())
            assert set(queue._turn) == {each for each in queue._lines if busy[each] < 3}
        assert not len(queue)
        assert worked_on == {step for step in steps if isinstance(step, Key)}

    run(test, most=3)


def test_failures_wait_longer_each_time_and_success_forgets_them() -> None:
    async def test(queue: Queue[Key], clock: Clock) -> None:
        key = tenant("a")
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
        queue.add(tenant("a"))
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
        queue.add_after(tenant("a"), 60)
        queue.add(tenant("a"))
        assert await drain(queue) == [tenant("a")]
        clock.now += 61
        queue._ripen()
        assert not len(queue), "the delay was used up"

    run(test)


def test_a_closed_queue_hands_out_nothing_more() -> None:
    async def test(queue: Queue[Key], _: Clock) -> None:
        queue.add(tenant("a"))
        queue.close()
        assert await queue.take() is None

    run(test)


def test_while_it_is_held_nothing_is_handed_out_and_failures_are_not_waited_for_afterwards() -> (
    None
):
    """A replica that leads again does not wait for what failed because it did not lead."""

    async def test(queue: Queue[Key], _clock: Clock) -> None:
        queue.add(tenant("failed"))
        for _ in range(5):
            queue.add(tenant("failed"))
            queue.done(await take(queue), failed=True)
        queue.hold()
        queue.add(tenant("a"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await queue.take()
        queue.go_on()
        assert set(await drain(queue)) == {tenant("a"), tenant("failed")}

    run(test)
