"""The engine has company in its loop: probes, the Lease, watches."""

import asyncio
from typing import Any

import pytest

from fleet import Fleet

_TENANTS = 30


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every look at something that the operator ended since the list was emptied last."""
    ended: list[str] = []
    monkeypatch.setattr("silent.Silent.reconciled", lambda _, work, *__: ended.append(work))
    return ended


def test_after_a_restart_others_have_a_turn_between_looks_that_write_nothing(
    looked: list[str],
) -> None:
    """In one piece, ten thousand namespaces would leave a probe without an answer for seconds."""
    between: list[int] = []

    async def take_turns() -> None:
        while True:
            between.append(len(looked))
            looked.clear()
            await asyncio.sleep(0)

    async def restart() -> Any:
        fleet = Fleet()
        await fleet.set()
        for number in range(_TENANTS):
            await fleet.add(f"t{number}")
        looked.clear()
        other = asyncio.create_task(take_turns())
        await fleet.restart()
        other.cancel()
        await fleet.stop()
        return fleet.made

    assert asyncio.run(restart()) == []
    assert sum(between) >= _TENANTS
    assert max(between) == 1
