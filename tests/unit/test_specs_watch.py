"""The watch on SecureTenants and settings: kopf in a thread, which is started again and again."""

import asyncio
from typing import Any

import kopf
import pytest

from securetenant.app import specs_watch
from securetenant.app.specs_watch import SpecsWatch

DEADLINE_SECONDS = 20.0


async def deaf() -> None:
    """Take the first cancellation for something else, as a watch of kopf's does."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


async def dies() -> None:
    raise RuntimeError("410")


def test_kopf_is_started_again_although_one_of_its_watches_does_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It waited for that watch without end, and the operator led on, and saw no spec any more."""
    kept: list[asyncio.Task[None]] = []

    async def spawn_tasks(**_: Any) -> list[asyncio.Task[None]]:
        kept.append(asyncio.create_task(deaf()))
        return [asyncio.create_task(dies())]

    monkeypatch.setattr(kopf, "spawn_tasks", spawn_tasks)
    monkeypatch.setattr(specs_watch, "_EXIT_SECONDS", 0.1)

    async def restarts(times: int) -> None:
        started = asyncio.Queue[None]()
        login: Any = None
        watch = SpecsWatch(login, sources={}, restarted=lambda: started.put_nowait(None))
        watch.start()
        try:
            for _ in range(times):
                await asyncio.wait_for(started.get(), DEADLINE_SECONDS)
        finally:
            await watch.stop()

    asyncio.run(restarts(2))
