"""Two operators on one cluster: one leads, and whatever becomes of it, they never write together.

Each has a token of its own, so the audit log tells which of them wrote what.
"""

import base64
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import history
from faults.conftest import Apply, settle
from harness import OPERATOR, ROOT, Api, Operator, audit_events, wait_for
from harness import settle as come_to_rest
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

PLANE = {"audit": True}
OLDER = "49d4f0eb078c374e5e2856a6e6376328d7ef454e"
"""It leads by a Lease; its CRDs are those of today: it would change nothing by others."""
LEASE_SECONDS = 3
"""A fifth of what it is by default: the tests wait for it."""


class Replica(Operator):
    """An operator whose requests the audit log tells from those of the other one."""

    def __init__(
        self, target: Instance, admin: Api, folder: Path, source: Path = ROOT / "operator"
    ) -> None:
        folder.mkdir()
        path = f"/api/v1/namespaces/{OPERATOR[0]}/serviceaccounts/{OPERATOR[1]}/token"
        body = {"spec": {"expirationSeconds": 3600}}
        text = str(admin.call("POST", path, body).ok()["status"]["token"])
        payload = text.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        self.credential = f"JTI={claims['jti']}"
        token = folder / "token"
        token.write_text(text, encoding="utf-8")
        login = kubeconfigs.write(
            folder / "kubeconfig",
            server=target.server(),
            authority=target.pki / "ca.crt",
            user={"tokenFile": str(token)},
        )
        super().__init__(
            target, folder / "log", login=login, source=source, lease_seconds=LEASE_SECONDS
        )

    def leads(self) -> bool:
        return self.metric("securetenant_leader") == 1

    def says(self, event: str) -> int:
        """Return how often its log says it."""
        return self.log.read_text(encoding="utf-8").count(f'"{event}"')

    def events(self, target: Instance) -> list[dict[str, Any]]:
        """Return what the audit log says of it."""
        return [each for each in audit_events(target) if credential(each) == self.credential]


def credential(event: dict[str, Any]) -> str:
    extra = event["user"].get("extra") or {}
    return str(next(iter(extra.get("authentication.kubernetes.io/credential-id") or ("",))))


def is_write(event: dict[str, Any]) -> bool:
    return event["verb"] in ("create", "update", "patch", "delete") and (
        event["responseStatus"]["code"] < 300
    )


def is_lease(event: dict[str, Any]) -> bool:
    return bool(event["objectRef"]["resource"] == "leases")


def out_of_turn(target: Instance, replicas: list[Replica]) -> list[str]:
    """Return every write whose writer was not the last one to have written the Lease."""
    mine = {each.credential for each in replicas}
    writes = [each for each in audit_events(target) if is_write(each) and credential(each) in mine]
    found, holder = [], ""
    # The Lease counts from when it was written, anything else from when it came.
    moments = sorted(
        (each["stageTimestamp" if is_lease(each) else "requestReceivedTimestamp"], number)
        for number, each in enumerate(writes)
    )
    for moment, number in moments:
        event = writes[number]
        if is_lease(event):
            holder = credential(event)
        elif credential(event) != holder:
            found.append(f"{moment} {event['verb']} {event['requestURI']}")
    return found


@pytest.fixture(scope="module")
def replicas(
    target: Instance, admin: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Replica]]:
    folder = tmp_path_factory.mktemp("replicas")
    both = [Replica(target, admin, folder / name) for name in "ab"]
    yield both
    assert out_of_turn(target, both) == []
    for each in both:
        if each in Operator.at_work:
            assert each.stop() == 0
        assert "Traceback" not in each.log.read_text(encoding="utf-8")


@pytest.fixture
def pair(replicas: list[Replica]) -> tuple[Replica, Replica]:
    """The one that leads, and the one that stands by."""
    for each in replicas:
        if each not in Operator.at_work:
            each.start(until="Standing by")
    return led_by_one(replicas)


def led_by_one(replicas: list[Replica]) -> tuple[Replica, Replica]:
    def leading() -> list[Replica]:
        return [each for each in replicas if each in Operator.at_work and each.leads()]

    (leader,) = wait_for(leading, what="one to lead", seconds=10 * LEASE_SECONDS)
    (other,) = (each for each in replicas if each is not leader)
    return leader, other


def lease(admin: Api) -> dict[str, Any]:
    return dict(admin.get(kinds.LEASE, OPERATOR[1], OPERATOR[0])["spec"])


def takes_over(replica: Replica) -> None:
    wait_for(replica.leads, what="the other one to lead", seconds=10 * LEASE_SECONDS)


Pair = tuple[Replica, Replica]


def test_a_standby_writes_nothing_and_takes_over_without_a_write(
    target: Instance, admin: Api, pair: Pair, apply: Apply
) -> None:
    leader, standby = pair
    # In another test it may have led.
    first = len(standby.events(target))
    apply("warm", count=2)
    settle(admin, "warm")
    come_to_rest(target)
    assert standby.asked("readyz") == "ok\n"
    assert not [each for each in standby.events(target)[first:] if is_write(each)]
    before = len(standby.events(target))
    assert leader.process is not None
    leader.stop()
    takes_over(standby)
    come_to_rest(target)
    since = standby.events(target)[before:]
    written = [each for each in since if is_write(each) and not is_lease(each)]
    assert [f"{each['verb']} {each['requestURI']}" for each in written] == []


def test_the_other_one_finishes_what_a_killed_one_began(
    target: Instance, admin: Api, replicas: list[Replica], pair: Pair, apply: Apply
) -> None:
    leader, standby = pair
    apply("killed")
    wait_for(lambda: admin.get(kinds.NAMESPACE, "killed-0-a"), what="work to begin")
    Operator.at_work.discard(leader)
    assert leader.process is not None
    leader.process.kill()
    leader.process.wait(20)
    takes_over(standby)
    settle(admin, "killed")
    assert out_of_turn(target, replicas) == []


def test_one_that_was_frozen_writes_nothing_any_more(
    target: Instance, admin: Api, replicas: list[Replica], pair: Pair, apply: Apply
) -> None:
    """N4: a process that goes on does not know how long it stood still."""
    leader, standby = pair
    apply("frozen")
    wait_for(lambda: admin.get(kinds.NAMESPACE, "frozen-0-a"), what="work to begin")
    before = leader.says("Standing by")
    assert leader.process is not None
    leader.process.send_signal(signal.SIGSTOP)
    try:
        takes_over(standby)
        apply("frozen", pods=60, opened=True)
        settle(admin, "frozen")
    finally:
        leader.process.send_signal(signal.SIGCONT)
    wait_for(
        lambda: leader.says("Standing by") > before,
        what="the frozen one to stand by",
        seconds=10 * LEASE_SECONDS,
    )
    assert standby.leads()
    settle(admin, "frozen")
    assert out_of_turn(target, replicas) == []


def test_at_an_orderly_stop_the_other_one_need_not_wait(
    target: Instance, admin: Api, replicas: list[Replica], pair: Pair, apply: Apply
) -> None:
    leader, standby = pair
    apply("stopped", count=2)
    wait_for(lambda: admin.get(kinds.NAMESPACE, "stopped-0-a"), what="work to begin")
    assert leader.stop() == 0
    takes_over(standby)
    assert lease(admin)["leaseTransitions"] > 0
    settle(admin, "stopped")
    assert out_of_turn(target, replicas) == []


@pytest.mark.parametrize("trouble", ["deleted", "garbage"])
def test_whatever_somebody_does_to_the_lease_one_leads_afterwards(
    trouble: str,
    target: Instance,
    admin: Api,
    replicas: list[Replica],
    pair: Pair,
    apply: Apply,
) -> None:
    before = lease(admin)["renewTime"]
    if trouble == "deleted":
        admin.delete(kinds.LEASE, OPERATOR[1], OPERATOR[0]).ok()
    else:
        spec = {"holderIdentity": "???", "leaseDurationSeconds": 1}
        admin.patch(kinds.LEASE, OPERATOR[1], {"spec": spec}, OPERATOR[0]).ok()

    def is_held() -> bool:
        body = admin.get(kinds.LEASE, OPERATOR[1], OPERATOR[0])
        held = body and body["spec"]["holderIdentity"].partition("_")[2]
        return bool(held and body["spec"]["renewTime"] > before)

    wait_for(is_held, what="one to hold the Lease", seconds=10 * LEASE_SECONDS)
    led_by_one(replicas)
    prefix = f"lease-{trouble}"
    apply(prefix, count=2)
    settle(admin, prefix)
    assert out_of_turn(target, replicas) == []


def test_an_older_version_and_a_newer_one_never_write_together(
    target: Instance,
    admin: Api,
    breaker: Api,
    replicas: list[Replica],
    pair: Pair,
    apply: Apply,
    tmp_path: Path,
) -> None:
    """A rolling upgrade, its way back and the upgrade again, with the newer policies and CRDs."""
    newer, other = pair
    assert other.stop() == 0
    older = Replica(target, admin, tmp_path / "older", source=history.tree(OLDER, tmp_path))
    older.start(until="Standing by")
    try:
        apply("mixed", count=2)
        settle(admin, "mixed")
        come_to_rest(target)
        assert not [each for each in older.events(target) if is_write(each)]
        # The way back.
        assert newer.stop() == 0
        takes_over(older)
        missing = (kinds.NETWORK_POLICY, names.DEFAULT_DENY, "mixed-0-a")
        breaker.delete(*missing).ok()
        wait_for(lambda: admin.get(*missing), what="the repair by the older one", seconds=20)
        # The upgrade again, and this time the older one is killed.
        newer.start(until="Standing by")
        Operator.at_work.discard(older)
        assert older.process is not None
        older.process.kill()
        older.process.wait(20)
        takes_over(newer)
        apply("mixed", count=2, pods=60, opened=True)
        settle(admin, "mixed")
    finally:
        if older in Operator.at_work:
            older.stop()
    assert out_of_turn(target, [*replicas, older]) == []
