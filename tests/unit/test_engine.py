"""Whose turn it is: the engine's work, what else is in its loop, and what cannot wait."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from factory import tenant
from fleet import Fleet
from securetenant.api import kinds, names
from securetenant.api.objects import Ref

_TENANTS = 30
_DNS = Ref(kinds.NETWORK_POLICY.name, "old-a", names.DNS)


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


async def freeze(fleet: Fleet) -> None:
    """Have people change the spec of a tenant that stands."""
    fleet.engine.tenant_seen("old", fleet.cluster.put(frozen()))


async def lose(fleet: Fleet) -> None:
    """Have somebody take a wall away."""
    fleet.lose(_DNS)


def frozen() -> Any:
    body = tenant("old", namespaces=[{"name": "old-a"}], lockdown="Frozen")
    return {**body, "metadata": {**body["metadata"], "finalizers": [names.FINALIZER]}}


@pytest.mark.parametrize(
    ("happens", "first"),
    [
        pytest.param(lose, _DNS, id="drift"),
        pytest.param(
            freeze, Ref(kinds.TENANT_POLICY.name, "old-a", names.POLICY_NAME), id="a freeze"
        ),
    ],
)
def test_what_stands_does_not_wait_until_many_new_tenants_are_made(
    happens: Callable[[Fleet], Coroutine[Any, Any, None]], first: Ref
) -> None:
    """It waited for a turn of each: 80 seconds where a thousand tenants came at once."""

    async def change() -> list[Ref]:
        fleet = Fleet()
        await fleet.set()
        await fleet.add("old")
        fleet.cluster.writes.clear()
        for number in range(_TENANTS):
            body = tenant(f"t{number}", namespaces=[{"name": f"t{number}-a"}])
            fleet.engine.tenant_seen(f"t{number}", fleet.cluster.put(body))
        await happens(fleet)
        await fleet.rest()
        await fleet.stop()
        return fleet.made

    made = asyncio.run(change())
    before = made[: made.index(first)]
    assert len({ref.namespace or ref.name for ref in before}) <= 5
    assert len({ref.namespace for ref in made}) > _TENANTS
