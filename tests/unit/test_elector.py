"""The Lease by which one of several operators leads: what is asked, and what comes of an answer."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from securetenant.api.objects import Body, Ref
from securetenant.kube.client import Client
from securetenant.kube.elector import REF, SILENCE_SECONDS, Elector
from securetenant.reconcile.errors import ClusterError, ConflictError, UnavailableError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Leases:
    """An API server with one Lease, as the client shows it."""

    body: Body | None = None
    version: int = 0
    fault: ClusterError | None = None
    is_lost: bool = False
    """Whether an answer to a write is lost on its way."""
    asked: list[str] = field(default_factory=list)

    def put(self, body: Body) -> Body:
        self.version += 1
        version = {"resourceVersion": str(self.version)}
        self.body = {**body, "metadata": {**body["metadata"], **version}}
        return self.body

    async def read(self, ref: Ref) -> Body | None:
        assert ref == REF
        self.asked.append("read")
        if self.fault:
            raise self.fault
        return self.body

    async def replace(self, ref: Ref, body: Body) -> Body:
        assert ref == REF
        self.asked.append("replace")
        if self.fault:
            raise self.fault
        there = None if self.body is None else self.body["metadata"]["resourceVersion"]
        if body["metadata"].get("resourceVersion") != there:
            raise ConflictError("the object has been modified (409)")
        answer = self.put(body)
        if self.is_lost:
            raise UnavailableError("the connection was closed")
        return answer


def elector(leases: Leases, clock: Clock, *, unfit: Callable[[], str] = lambda: "") -> Elector:
    return Elector(cast(Client, leases), seconds=15, unfit=unfit, clock=clock)


def turn(elector: Elector) -> None:
    asyncio.run(elector.turn())


def spec(leases: Leases) -> dict[str, Any]:
    assert leases.body is not None
    return dict(leases.body["spec"])


def test_it_makes_the_lease_and_renews_it_with_one_request() -> None:
    """T9: an operator that is away was seen by nobody who asks the cluster."""
    leases, clock = Leases(), Clock()
    leader = elector(leases, clock)
    assert leader.left() <= 0
    turn(leader)
    first = spec(leases)
    assert first["holderIdentity"] == leader.me
    assert (first["leaseDurationSeconds"], first["leaseTransitions"]) == (15, 0)
    assert leader.left() == 10
    clock.now, leases.asked = 2.0, []
    turn(leader)
    assert leases.asked == ["replace"]
    assert spec(leases)["acquireTime"] == first["acquireTime"]
    assert spec(leases)["renewTime"] > first["renewTime"]
    assert leader.left() == 10


def test_what_others_wrote_into_the_lease_stays() -> None:
    leases, clock = Leases(), Clock()
    body = {"metadata": {"name": REF.name, "annotations": {"a": "b"}}, "spec": {"strategy": "S"}}
    leases.put(body)
    leader = elector(leases, clock)
    turn(leader)
    assert leader.left() <= 0, "an empty Lease may have had a holder a moment ago"
    clock.now = 15.0
    turn(leader)
    assert leader.left() == 10
    assert leases.body is not None
    assert leases.body["metadata"]["annotations"] == {"a": "b"}
    assert spec(leases)["strategy"] == "S"


def test_another_one_waits_and_then_counts_the_change_of_leader() -> None:
    leases, clock = Leases(), Clock()
    first, second = elector(leases, clock), elector(leases, clock)
    turn(first)
    turn(second)
    clock.now = 14.9
    turn(second)
    assert second.left() <= 0
    clock.now = 15.0
    turn(second)
    assert second.left() == 10
    assert first.left() <= 0
    assert spec(leases)["leaseTransitions"] == 1
    turn(first)
    turn(first)
    assert first.displaced.is_set()
    assert not second.displaced.is_set()


def test_a_standby_looks_again_when_the_lease_runs_out_and_not_up_to_two_seconds_later() -> None:
    leases, clock, chance = Leases(), Clock(), random.Random(1)
    turn(elector(leases, clock))
    standby = elector(leases, clock)
    turn(standby)
    for now, least, most in ((3.0, 1.6, 2.0), (14.0, 1.0, 1.1), (15.5, 1.6, 2.0)):
        clock.now = now
        assert least <= standby.pause(chance) <= most


def test_a_renewal_whose_answer_is_lost_is_found_again() -> None:
    leases, clock = Leases(), Clock()
    leader = elector(leases, clock)
    turn(leader)
    clock.now, leases.is_lost = 2.0, True
    turn(leader)
    assert leader.left() == 8, "it may write until its last deadline"
    clock.now, leases.is_lost = 4.0, False
    turn(leader)
    assert leader.left() == 10
    assert not leader.displaced.is_set()


def test_after_an_outage_it_goes_on_if_nobody_else_led() -> None:
    leases, clock = Leases(), Clock()
    leader = elector(leases, clock)
    turn(leader)
    leases.fault = UnavailableError("no answer")
    clock.now = 100.0
    turn(leader)
    assert leader.left() <= 0
    assert leader.problem() == (
        "Lease securetenant-system/securetenant-operator is not renewed: no answer"
    )
    leases.fault = None
    turn(leader)
    assert leader.left() == 10
    assert leader.problem() == ""
    assert not leader.displaced.is_set()


def test_one_that_cannot_work_asks_for_nothing() -> None:
    leases, clock = Leases(), Clock()
    idle = elector(leases, clock, unfit=lambda: "not synced yet")
    turn(idle)
    assert leases.asked == []
    clock.now = SILENCE_SECONDS + 1
    assert idle.problem().endswith("is not renewed: not synced yet")


def test_a_standby_is_well() -> None:
    leases, clock = Leases(), Clock()
    leader, standby = elector(leases, clock), elector(leases, clock)
    for _ in range(60):
        clock.now += 2
        turn(leader)
        turn(standby)
    assert standby.problem() == ""
    assert standby.left() <= 0


def test_at_an_orderly_stop_another_one_leads_at_once() -> None:
    leases, clock = Leases(), Clock()
    leader, standby = elector(leases, clock), elector(leases, clock)
    turn(leader)
    turn(standby)
    asyncio.run(leader.release())
    assert leader.left() <= 0
    assert spec(leases)["holderIdentity"] == ""
    turn(standby)
    assert standby.left() == 10


def test_a_standby_lets_go_of_nothing() -> None:
    leases, clock = Leases(), Clock()
    leader, standby = elector(leases, clock), elector(leases, clock)
    turn(leader)
    turn(standby)
    asyncio.run(standby.release())
    assert spec(leases)["holderIdentity"] == leader.me
