"""Answers that are late, lost, broken, refused or doubled: nothing is lost, nothing is opened."""

import time
from typing import Any

import pytest

from faults import world
from faults.conftest import Apply, settle
from faults.proxy import Answer, Delay, Fault, HalfLine, Lost, Proxy, Twice, nothing, some
from harness import Api, Operator, wait_for
from securetenant.api import kinds, names

PLANE: dict[str, bool] = {}
"""Nothing happens to the programs themselves."""
OUTAGE_SECONDS = 60


@pytest.fixture(scope="module")
def history(admin: Api) -> world.History:
    """All that happens in namespaces while there are faults."""
    return world.History(admin)


def is_kopf(request: Any) -> bool:
    return str(request.headers.get("User-Agent", "")).endswith("/kopf")


@pytest.mark.parametrize(
    ("prefix", "faults", "part"),
    [
        pytest.param("delay", [Delay(seconds=0.5), Delay(seconds=2)], 0.3, id="answers are late"),
        pytest.param("lost", [Lost()], 0.3, id="answers break off, though the write landed"),
        pytest.param("half", [HalfLine()], 0.9, id="watches break off within an event"),
        pytest.param("twice", [Twice()], 1.0, id="events come twice"),
        pytest.param("err", [Answer(status=500), Answer(status=503)], 0.4, id="some 500 and 503"),
        pytest.param("conflict", [Answer(status=409)], 0.3, id="some 409"),
        pytest.param("gone", [Answer(status=410)], 0.3, id="some 410"),
        pytest.param(
            "mixed",
            [Delay(seconds=0.3), Lost(), HalfLine(), Twice(), Answer(status=500)],
            0.4,
            id="all of it at once",
        ),
    ],
)
def test_a_fleet_changes_through_a_bad_network(
    prefix: str,
    faults: list[Fault],
    part: float,
    admin: Api,
    operator: Operator,
    proxy: Proxy,
    apply: Apply,
    history: world.History,
) -> None:
    """Made, changed and drifted while it lasts; in the end everything is as the specs say."""
    chosen = some(*faults, part=part)
    # What ends kopf, and that it is started again, is a test of its own.
    proxy.choose = lambda request: None if is_kopf(request) else chosen(request)
    try:
        apply(prefix)
        wait_for(
            lambda: admin.get(kinds.NAMESPACE, f"{prefix}-3-a"), what="work to begin", seconds=60
        )
        apply(prefix, pods=60, opened=True)
        if prefix not in ("half", "twice"):
            time.sleep(2)  # The fault lasts a while; nothing is waited for.
    finally:
        proxy.choose = nothing
    settle(admin, prefix)
    assert history.unguarded(prefix) == []


def test_a_storm_of_429_is_waited_out(
    admin: Api, operator: Operator, proxy: Proxy, apply: Apply
) -> None:
    """``Retry-After`` is honoured: while it storms, few requests are sent."""
    seen: list[float] = []

    def refuse(_: Any) -> Fault:
        seen.append(time.monotonic())
        return Answer(status=429, headers={"Retry-After": "1"})

    apply("storm")
    settle(admin, "storm")
    proxy.choose = refuse
    try:
        apply("storm", pods=80, opened=True)
        before = len(seen)
        time.sleep(5)  # The storm itself.
        sent = len(seen) - before
    finally:
        proxy.choose = nothing
    settle(admin, "storm")
    # Five units, a handful of watches: what asks again asks about once a second.
    assert sent < 400


def test_a_minute_of_500_is_waited_out(
    admin: Api, operator: Operator, proxy: Proxy, apply: Apply
) -> None:
    proxy.choose = lambda _: Answer(status=500)
    try:
        apply("minute")
        time.sleep(OUTAGE_SECONDS)  # The outage itself.
        assert admin.get(kinds.NAMESPACE, "minute-0-a") is None
    finally:
        proxy.choose = nothing
    settle(admin, "minute")


def test_a_wall_that_is_deleted_during_an_outage_comes_back(
    admin: Api, breaker: Api, operator: Operator, proxy: Proxy, apply: Apply
) -> None:
    apply("razed")
    settle(admin, "razed")
    proxy.choose = lambda _: Answer(status=503)
    try:
        for kind, name in (
            (kinds.NETWORK_POLICY, names.DEFAULT_DENY),
            (kinds.RESOURCE_QUOTA, names.QUOTA),
        ):
            breaker.delete(kind, name, "razed-0-a").ok()
        opened: Any = {"spec": {"ingress": [{}]}}
        breaker.patch(kinds.NETWORK_POLICY, names.DEFAULT_DENY, opened, "razed-1-a").ok()
        time.sleep(2)  # The outage itself.
    finally:
        proxy.choose = nothing
    wait_for(lambda: not world.differences(admin, "razed"), what="the walls", seconds=60)


def test_a_rotated_authority_is_trusted_without_a_restart(
    admin: Api, operator: Operator, proxy: Proxy, apply: Apply
) -> None:
    """Both kopf and our own client read it again."""
    apply("rotated")
    settle(admin, "rotated")
    proxy.rotate()
    apply("rotated", pods=70)
    settle(admin, "rotated")
    apply("rotated-new")
    settle(admin, "rotated-new")


def test_a_token_that_is_worth_nothing_any_more_is_read_again(
    admin: Api, operator: Operator, proxy: Proxy, apply: Apply
) -> None:
    """The ServiceAccount is made anew, so every old token is refused (401)."""
    apply("token")
    settle(admin, "token")
    path = f"/api/v1/namespaces/{names.OPERATOR_NAMESPACE}/serviceaccounts/securetenant-operator"
    body = admin.call("GET", path).ok()
    admin.call("DELETE", path).ok()
    fresh = {"metadata": {"name": body["metadata"]["name"], "labels": body["metadata"]["labels"]}}
    admin.call("POST", path.rpartition("/")[0], fresh).ok()
    apply("token", pods=75)
    # The kubelet brings the new one a while later.
    time.sleep(2)
    proxy.renew_token()
    settle(admin, "token")


def test_kopf_is_started_again_when_it_dies(
    admin: Api, operator: Operator, proxy: Proxy, apply: Apply
) -> None:
    """410 on its watch ends kopf; what changed and what went meanwhile is not missed."""
    died = "The watch on SecureTenants and settings died"

    def expire(request: Any) -> Fault | None:
        return Answer(status=410) if is_kopf(request) else None

    apply("kopf")
    settle(admin, "kopf")
    before = operator.log.read_text().count(died)
    proxy.choose = expire
    try:
        proxy.hang_up()
        wait_for(
            lambda: operator.log.read_text().count(died) > before,
            what="kopf to die",
            seconds=60,
        )
        apply("kopf", pods=66)
        admin.delete(kinds.SECURE_TENANT, "kopf-3").ok()
    finally:
        proxy.choose = nothing
    wait_for(
        lambda: admin.get(kinds.SECURE_TENANT, "kopf-3") is None, what="the deletion", seconds=60
    )
    settle(admin, "kopf")
