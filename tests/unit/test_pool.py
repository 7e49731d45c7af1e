"""The concern of the pool: what makes it decide, and what does not."""

import asyncio
import datetime
from typing import Any

import pytest

from fleet import Fleet
from securetenant.api import kinds, names, quantities, status
from securetenant.api.objects import Body, Ref
from securetenant.plan import demand

SPACES = ("acme-a", "acme-b")
MOVED = [f"ResourceQuota {names.QUOTA} in {each}" for each in ("acme-b", "acme-a")]
"""What is written when room goes from one to the other: who gives comes first."""


class Pooled(Fleet):
    """A fleet whose quotas are counted, and whose controllers are refused."""

    def see(self, kind: kinds.Kind, body: Body) -> None:
        """Let everybody who follows a kind see an object."""
        namespace = body["metadata"]["namespace"]
        ref = Ref(kind.name, namespace, body["metadata"]["name"])
        for watch in self.engine.watches():
            if watch.kind is kind:
                watch.seen(ref, body)

    def quota(self, namespace: str) -> Body:
        """Return the ResourceQuota of a namespace."""
        return self.cluster.objects[Ref(kinds.RESOURCE_QUOTA.name, namespace, names.QUOTA)]

    def hard(self, namespace: str, key: str = "limits.cpu") -> int:
        """Return what the quota says."""
        return quantities.units(key, self.quota(namespace)["spec"]["hard"][key])

    async def count(self, namespace: str, **used: Any) -> None:
        """Count as the kube-controller-manager does: what is written is in force."""
        body = self.quota(namespace)
        hard = body["spec"]["hard"]
        counted = {"hard": hard, "used": {**dict.fromkeys(hard, "0"), **used}}
        self.see(kinds.RESOURCE_QUOTA, {**self.cluster.put(body), "status": counted})
        await self.settle()

    async def refuse_pod(self, namespace: str, asked: str, used: str) -> None:
        """Tell that a ReplicaSet could not make a pod, and wait for what follows."""
        self.fail_pod(namespace, asked, used)
        await self.settle()

    def fail_pod(self, namespace: str, asked: str, used: str) -> None:
        """Tell that a ReplicaSet could not make a pod."""
        limited = self.quota(namespace)["spec"]["hard"]["limits.cpu"]
        note = (
            f'Error creating: pods "web-1" is forbidden: exceeded quota: {names.QUOTA}, requested:'
            f" limits.cpu={asked}, used: limits.cpu={used}, limited: limits.cpu={limited}"
        )
        metadata = {"name": "web.1", "namespace": namespace}
        now = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC).isoformat()
        event = {"metadata": metadata, "note": note, "deprecatedLastTimestamp": now}
        self.see(kinds.EVENT, event)

    async def settle(self) -> None:
        """Let what is gathered be decided, and come to rest."""
        await self.rest()
        records = self.engine.machine.tenants.records.values()
        # It gathers for longer where the total is used up.
        await asyncio.sleep(0.55 if any(each.unmet for each in records) else 0.05)
        await self.rest()


async def pooled(**spec: Any) -> Pooled:
    """Return a tenant with two namespaces that share eight CPUs."""
    fleet = Pooled()
    await fleet.set()
    spaces = [{"name": each} for each in SPACES]
    await fleet.add("acme", namespaces=spaces, **{"quota": {"limits.cpu": 8}, **spec})
    for each in SPACES:
        await fleet.count(each)
    return fleet


def written(fleet: Fleet, since: int) -> list[str]:
    """Return what was written."""
    return [str(each.ref) for each in fleet.cluster.writes[since:]]


async def _counted() -> None:
    fleet = await pooled()
    before = len(fleet.cluster.writes)
    for used in ("1", "2", "1500m"):
        await fleet.count("acme-a", **{"limits.cpu": used})
    assert written(fleet, before) == []
    await fleet.stop()


def test_use_that_leaves_room_writes_nothing() -> None:
    asyncio.run(_counted())


async def _refused() -> None:
    fleet = await pooled()
    await fleet.count("acme-a", **{"limits.cpu": "2"})
    before = len(fleet.cluster.writes)
    await fleet.refuse_pod("acme-a", "3", "2")
    assert (fleet.hard("acme-a"), fleet.hard("acme-b")) == (8000, 0)
    assert written(fleet, before) == MOVED, "no status, and nothing else"
    await fleet.stop()


def test_who_is_refused_gets_room_and_nothing_else_is_written() -> None:
    asyncio.run(_refused())


STORM = 40


async def _stormed() -> None:
    """A tenant of many namespaces is refused in all of them, a small one once."""
    fleet = await pooled()
    many = [{"name": f"many-{number}"} for number in range(STORM)]
    await fleet.add("many", namespaces=many, quota={"limits.cpu": STORM})
    for each in many:
        await fleet.count(each["name"], **{"limits.cpu": "1"})
    before = len(fleet.cluster.writes)
    for _ in range(3):
        for each in many:
            fleet.fail_pod(each["name"], "1", "1")
    fleet.fail_pod("acme-a", "6", "0")
    await fleet.settle()
    assert fleet.hard("acme-a") >= 6000
    found = written(fleet, before)
    assert [each for each in found if "ResourceQuota" in each] == MOVED, "else nothing moves"
    # That is gathered for as long as the status is, so either may come first, or be still to come.
    assert set(found) - set(MOVED) <= {"SecureTenant many"}
    await fleet.stop()


def test_a_tenant_that_is_refused_everywhere_only_says_so_and_keeps_no_other_waiting() -> None:
    asyncio.run(_stormed())


async def _restarted() -> None:
    fleet = await pooled()
    await fleet.count("acme-a", **{"limits.cpu": "2"})
    await fleet.restart()
    await fleet.count("acme-a", **{"limits.cpu": "2"})
    fleet.engine.machine.tell(("acme",))
    await fleet.rest()
    assert fleet.cluster.writes == []
    await fleet.stop()


def test_a_restart_is_no_reason_to_tell_how_much_is_used() -> None:
    asyncio.run(_restarted())


async def _stays(**spec: Any) -> None:
    fleet = await pooled(**spec)
    await fleet.count("acme-a", **{"limits.cpu": "2"})
    before = len(fleet.cluster.writes)
    await fleet.refuse_pod("acme-a", "3", "2")
    assert written(fleet, before) == []
    await fleet.stop()


def test_fixed_shares_do_not_move() -> None:
    asyncio.run(_stays(quotaMode="Split"))


async def _suspended() -> None:
    fleet = await pooled()
    await fleet.count("acme-a", **{"limits.cpu": "2"})
    spaces = [{"name": each} for each in SPACES]
    quota = {"limits.cpu": 8}
    await fleet.add("acme", namespaces=spaces, quota=quota, reconciliation="Suspended")
    before = len(fleet.cluster.writes)
    await fleet.refuse_pod("acme-a", "3", "2")
    assert written(fleet, before) == []
    (record,) = fleet.engine.machine.tenants.records.values()
    assert all(unit.outcome.ready for unit in record.units.values())
    await fleet.stop()


def test_shares_of_a_suspended_tenant_do_not_move() -> None:
    asyncio.run(_suspended())


async def _unmet() -> None:
    fleet = await pooled()
    for each in SPACES:
        await fleet.count(each, **{"limits.cpu": "4"})
    await fleet.refuse_pod("acme-a", "1", "4")
    (record,) = fleet.engine.machine.tenants.records.values()
    (told,) = (each for each in record.findings if each.reason == status.POOL_EXHAUSTED)
    assert told.informs
    assert told.message.startswith(
        "Refused since the tenant's total is used up: acme-a (limits.cpu). The total is"
        " limits.cpu: 8."
    )
    # What is deleted elsewhere gives room at once.
    await fleet.count("acme-b", **{"limits.cpu": "1"})
    await fleet.count("acme-b", **{"limits.cpu": "1"})
    assert fleet.hard("acme-a") >= 5000
    assert not [each for each in record.findings if each.reason == status.POOL_EXHAUSTED]
    await fleet.stop()


def test_a_total_that_is_used_up_is_said_until_there_is_room() -> None:
    asyncio.run(_unmet())


@pytest.mark.parametrize(
    "message",
    [
        "",
        "exceeded quota: others, requested: pods=1, used: pods=1, limited: pods=1",
        f"exceeded quota: {names.QUOTA}, requested: pods, used: pods=1, limited: pods=1",
        f"exceeded quota: {names.QUOTA}, requested: pods=x, used: pods=1, limited: pods=1",
        f"exceeded quota: {names.QUOTA}, requested: pods=1e999999999, used: a=1, limited: pods=1",
    ],
)
def test_a_message_that_says_nothing_of_our_quota_is_no_refusal(message: str) -> None:
    assert demand.read(message) is None


def test_a_refusal_is_read_as_the_api_server_writes_it() -> None:
    message = (
        'pods "web-1" is forbidden: exceeded quota: securetenant, requested: limits.cpu=500m,'
        "pods=1, used: limits.cpu=3800m,pods=9, limited: limits.cpu=4,pods=9"
    )
    asked, limited = {"limits.cpu": 500, "pods": 1}, {"limits.cpu": 4000, "pods": 9}
    assert demand.read(message) == demand.Refusal(asked, limited)


def book(*, used: str = "4") -> tuple[demand.Demand, list[float]]:
    """Return what is asked for, and a clock that tests set."""
    clock = [1000.0]
    found = demand.Demand(lambda: clock[0])
    found.observe("a", {"pods": used}, {"pods": used})
    return found, clock


def test_who_is_refused_again_after_it_grew_asks_for_four_times_as_much() -> None:
    found, _ = book()
    wanted = []
    for limited in (4, 4, 5, 7):
        found.refuse("a", demand.Refusal({"pods": 1}, {"pods": limited}))
        wish = found.wish("a", {"pods": 4})
        assert wish is not None
        wanted.append(wish.wanted["pods"])
    assert wanted == [12, 12, 36, 132]


def test_a_wish_without_room_lasts_and_one_that_is_met_does_not() -> None:
    found, clock = book()
    found.refuse("a", demand.Refusal({"pods": 1}, {"pods": 4}))
    clock[0] += 60
    assert found.wish("a", {"pods": 4}) is not None
    assert found.wish("a", {"pods": 12}) is None


def test_a_refusal_of_long_ago_does_not_count() -> None:
    found, _ = book()
    assert not found.refuse("a", demand.Refusal({"pods": 1}, {"pods": 4}), age=60)
    assert found.wish("a", {"pods": 4}) is None


def test_what_was_deleted_is_not_asked_for() -> None:
    found, _ = book(used="9")
    found.refuse("a", demand.Refusal({"pods": 1}, {"pods": 9}))
    found.observe("a", {"pods": "8"}, {"pods": "8"})
    wish = found.wish("a", {"pods": 8})
    assert wish is not None
    assert wish.wanted == {"pods": 9}
    found.observe("a", {"pods": "2"}, {"pods": "9"})
    assert found.wish("a", {"pods": 9}) is None
