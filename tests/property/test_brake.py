"""The brake on deletions: whatever is asked for whenever, with restarts in between."""

import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from securetenant.plan.brake import Brake, Decision

START = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)

steps = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d"]),
        st.integers(0, 45),
        st.booleans(),
        st.sampled_from(["save", "lose", "restart"]),
    ),
    max_size=40,
)


@given(steps, st.integers(1, 3))
def test_no_more_tenants_lose_namespaces_within_an_hour_than_are_allowed(
    history: Any, allowed: int
) -> None:
    """S11: the hourly count is forgotten by a restart.

    The platform team stops everything now and then; a place that was entered is kept for its hour.
    Whatever is not stored does not begin, so a restart at any moment forgets nothing that began.
    """
    brake, now, stored = Brake(), START, dict[str, Any]()
    brake.load(stored, now)
    entered: dict[str, datetime.datetime] = {}
    kept: dict[str, datetime.datetime] = {}
    for uid, minutes, is_stopped, then in history:
        most = 0 if is_stopped else allowed
        now += datetime.timedelta(minutes=minutes)
        decision = brake.decide(uid, f"tenant-{uid}", most, now)
        if decision.wait:
            # A place that is not stored is lost.
            entered.pop(uid, None)
            entered.update({each: time for each, time in kept.items() if each == uid})
        elif decision.is_unsaved or now - entered[uid] > HOUR + datetime.timedelta(seconds=1):
            assert not is_stopped, "0 stops everything, what was begun too"
            entered[uid] = now
            assert len([each for each in entered.values() if now - each <= HOUR]) <= most
        if decision.is_unsaved and then == "save":
            stored = {"teardowns": brake.stored()}
            assert f"tenant-{uid}" in brake.saved(stored)
            assert brake.decide(uid, f"tenant-{uid}", most, now) == Decision()
            kept = {each["uid"]: entered[each["uid"]] for each in stored["teardowns"]}
        if then == "restart":
            brake = Brake()
            brake.load(stored, now)
            brake.load({}, now)
            entered = dict(kept)


@given(st.lists(st.integers(0, 7200), max_size=8), st.integers(0, 3))
def test_whoever_waits_as_long_as_is_said_finds_room(ages: list[int], most: int) -> None:
    brake = Brake()
    times = [START - datetime.timedelta(seconds=each) for each in ages]
    entries = [
        {"uid": str(number), "tenant": "x", "began": each.strftime("%Y-%m-%dT%H:%M:%SZ")}
        for number, each in enumerate(times)
    ]
    brake.load({"teardowns": entries}, START)
    now, turns = START, 0
    while most and (wait := brake.wait("new", most, now)):
        now += datetime.timedelta(seconds=wait)
        turns += 1
    assert turns <= len(ages)
    assert most or brake.wait("new", most, now) > 0


def test_what_was_stored_by_somebody_else_is_read_leniently_and_never_waits_for_the_future() -> (
    None
):
    brake = Brake()
    good = {"uid": "a", "tenant": "x", "began": "2126-01-01T00:00:00Z"}
    bad: list[Any] = ["x", {}, {"uid": "b", "tenant": "x", "began": "yesterday"}, None]
    brake.load({"teardowns": [good, *bad]}, START)
    assert 3600 <= brake.wait("new", 1, START) <= 3601
    assert brake.wait("new", 2, START) == 0
