"""Access that ends: nobody has it from that moment on, and there is one event about it."""

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import factory
from securetenant.api.access import Grant
from securetenant.api.securetenant import TenantSpec
from securetenant.plan import expiry
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

NOON = datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.UTC)
SETTINGS = factory.settings_spec()


def grant(name: str, expires: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "role": "Developer",
        "subjects": [{"kind": "User", "name": f"{name}-user"}],
    }
    return found if expires is None else {**found, "expiresAt": expires}


def spec(*grants: dict[str, Any]) -> TenantSpec:
    return TenantSpec.model_validate(factory.tenant("acme", access=list(grants))["spec"])


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "2026-12-01",
        "2026-12-01T18:00:00",
        "2026-13-01T18:00:00Z",
        "2026-12-01 18:00:00Z",
        "1764612000",
        "٢٠٢٦-12-01T18:00:00Z",
    ],
)
def test_what_is_no_moment_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValidationError, match="a time has a date, seconds and a zone"):
        Grant.model_validate(grant("x", text))


@pytest.mark.parametrize(
    ("text", "is_in_force"),
    [
        ("2026-12-01T12:00:01Z", True),
        ("2026-12-01T12:00:00Z", False),
        ("2026-12-01T13:00:00+01:00", False),
        ("2026-12-01T11:30:00-01:00", True),
        ("2026-12-01T12:00:00.000001Z", True),
    ],
)
def test_a_grant_ends_at_its_moment_in_whatever_zone(text: str, is_in_force: bool) -> None:
    left = expiry.without_ended(spec(grant("x", text), grant("y")), NOON)
    assert [each.name for each in left.access or ()] == ["x", "y"] if is_in_force else ["y"]


@given(st.lists(st.integers(-3, 3), max_size=6), st.integers(-3, 3))
def test_nobody_has_access_by_what_has_ended_and_everybody_by_the_rest(
    hours: list[int], at: int
) -> None:
    times = [NOON + datetime.timedelta(hours=each) for each in hours]
    made = spec(*(grant(f"g{n}", each.isoformat()) for n, each in enumerate(times)), grant("stays"))
    now = NOON + datetime.timedelta(hours=at)
    left = {each.name for each in expiry.without_ended(made, now).access or ()}
    assert left == {"stays", *(f"g{n}" for n, each in enumerate(times) if each > now)}
    # Later, nobody has more.
    later = {
        each.name
        for each in expiry.without_ended(made, now + datetime.timedelta(hours=1)).access or ()
    }
    assert later <= left
    assert [each.at for each in expiry.endings(made)] == sorted(times)


def holders(known: Tenants) -> list[str]:
    record = known.records["acme"]
    return [
        subject.name
        for unit in record.units.values()
        for _, subjects in unit.scope.grants
        for subject in subjects
    ]


def test_a_tenant_that_is_read_at_the_end_has_no_such_access() -> None:
    clock = [NOON]
    known = Tenants(now=lambda: clock[0])
    body = factory.tenant(
        "acme",
        namespaces=[{"name": "acme-a"}],
        access=[grant("x", "2026-12-01T13:00:00Z"), grant("y")],
    )
    known.see("acme", factory.seen(body))
    known.read("acme", SETTINGS, Store())
    assert sorted(holders(known)) == ["x-user", "y-user"]
    clock[0] = NOON + datetime.timedelta(hours=1)
    known.outdate("acme")
    known.read("acme", SETTINGS, Store())
    assert holders(known) == ["y-user"]
    (finding,) = (each for each in known.records["acme"].findings if each.reason == "Expired")
    assert "x (2026-12-01T13:00:00Z)" in finding.message
    assert finding.informs


def test_a_spec_that_is_refused_gives_nothing_back_that_has_ended() -> None:
    clock = [NOON]
    known = Tenants(now=lambda: clock[0])
    body = factory.tenant(
        "acme", namespaces=[{"name": "acme-a"}], access=[grant("x", "2026-12-01T13:00:00Z")]
    )
    known.see("acme", factory.seen(body))
    known.read("acme", SETTINGS, Store())
    clock[0] = NOON + datetime.timedelta(hours=2)
    refused = {**body, "spec": {**body["spec"], "quota": {"cpu": 1}}}
    known.see("acme", factory.seen(refused, 2))
    known.read("acme", SETTINGS, Store())
    assert known.records["acme"].is_refused
    assert holders(known) == []
