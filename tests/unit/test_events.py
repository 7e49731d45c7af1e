"""Events: in order for each tenant, and no tenant waits for all others."""

import asyncio
from typing import Any

from securetenant.kube.events import Events
from securetenant.reconcile.ports import Announcement


class Slow:
    """A cluster that is slow to take events, a few at a time."""

    def __init__(self, expected: int) -> None:
        self.noted: list[tuple[str, str]] = []
        self.at_once = 0
        self.most = 0
        self.expected = expected
        self.complete = asyncio.Event()

    async def request(self, _: str, __: str, *, body: Any, content_type: str) -> dict[str, Any]:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        self.noted.append((body["regarding"]["name"], body["note"]))
        if len(self.noted) == self.expected:
            self.complete.set()
        return {"metadata": {"name": content_type}}


def announced(tenants: int, each: int) -> Slow:
    """Return what came of announcements about many tenants at one moment."""
    cluster = Slow(tenants * each)

    async def tell() -> None:
        events = Events(cluster)  # type: ignore[arg-type]  # It needs nothing else of a client.
        for number in range(each):
            for tenant in range(tenants):
                name, note = f"tenant-{tenant}", f"note {number}"
                events.announce(
                    Announcement(name, f"uid-of-{name}", "Normal", "Told", "Tell", note)
                )
        posting = asyncio.create_task(events.run())
        async with asyncio.timeout(30):
            await cluster.complete.wait()
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)

    asyncio.run(tell())
    return cluster


def test_what_is_about_one_tenant_is_posted_in_order() -> None:
    noted = announced(tenants=20, each=5).noted
    for tenant in range(20):
        about = [note for name, note in noted if name == f"tenant-{tenant}"]
        assert about == [f"note {number}" for number in range(5)]


def test_several_tenants_are_told_of_at_a_time() -> None:
    """A change of the platform is about all of them: one after the other takes a minute."""
    assert announced(tenants=50, each=1).most > 1
