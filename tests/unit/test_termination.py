"""Namespaces that are being deleted: what they wait for, and when a person has to look."""

import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from factory import seen, settings_spec, tenant
from harness import conditions
from kstatus import compute
from securetenant.api import kinds, names, status
from securetenant.api.objects import Ref
from securetenant.plan import claim, ownership, termination
from securetenant.plan.brake import Brake
from securetenant.plan.claim import Claim
from securetenant.plan.ownership import NamespaceFacts, Observed
from securetenant.reconcile.departures import Departures
from securetenant.reconcile.resting import Resting
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants
from securetenant.status.outcome import Outcome
from securetenant.status.tenant import Subject, summarize

NOW = datetime.datetime(2026, 11, 28, 12, 0, tzinfo=datetime.UTC)
HELD = (
    "Some content in the namespace has finalizers remaining: example.com/x in 1 resource instances"
)


def namespace(*, deleted_at: str = "2026-11-28T11:59:00Z", **metadata: Any) -> dict[str, Any]:
    """Return a namespace of acme that is being deleted, as the API server shows it."""
    told = [
        {"type": "NamespaceDeletionContentFailure", "status": "False", "message": "all is well"},
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": f"{HELD} "},
    ]
    return {
        "kind": "Namespace",
        "metadata": {
            "name": "stuck-a",
            "uid": "u",
            "resourceVersion": "1",
            "labels": {names.TENANT_LABEL: "acme"},
            "deletionTimestamp": deleted_at,
            **metadata,
        },
        "status": {"conditions": told},
    }


def facts(**changes: Any) -> NamespaceFacts:
    found = ownership.observe(namespace(**changes)).facts
    assert isinstance(found, NamespaceFacts)
    return found


def test_what_holds_a_namespace_is_remembered_and_bounded() -> None:
    """T7: anybody chooses the names of finalizers, and how many."""
    assert facts().remaining == HELD
    own = facts(finalizers=["example.com/y"]).remaining
    assert own == f"{HELD}; the Namespace itself has the finalizers example.com/y"
    many = facts(finalizers=[f"example.com/{number}" for number in range(10_000)])
    assert len(many.remaining) == 400


def test_a_namespace_that_is_there_remembers_no_such_thing() -> None:
    body = namespace()
    del body["metadata"]["deletionTimestamp"]
    found = ownership.observe(body).facts
    assert isinstance(found, NamespaceFacts)
    assert (found.deleted_at, found.remaining) == ("", "")


@pytest.mark.parametrize(
    ("deleted_at", "seconds"),
    [("2026-11-28T11:59:00Z", 540), ("2026-11-28T11:50:00Z", 0), ("2026-11-27T00:00:00Z", 0)],
)
def test_ten_minutes_are_too_long(deleted_at: str, seconds: float) -> None:
    assert termination.stuck_in(facts(deleted_at=deleted_at), NOW) == seconds


def test_a_namespace_that_is_deleted_under_its_tenant_says_what_holds_it() -> None:
    """T7: "it is made again afterwards" did not say after what."""
    observed = Observed(1, "u", b"", facts())
    verdict = claim.judge("acme", "uid", "stuck-a", observed, None)
    assert verdict.claim is Claim.TERMINATING
    assert verdict.message == (
        f"Namespace stuck-a ({HELD}) is being deleted; it is made again afterwards."
    )


def departures(store: Store) -> Departures:
    """Return what only looks."""
    resting = Resting(store=store, tenants=Tenants, settings=settings_spec, now=lambda: NOW)
    machine = SimpleNamespace(store=store, resting=resting, now=lambda: NOW)
    return Departures(cast("Any", machine), (), Brake())


@pytest.mark.parametrize(
    ("deleted_at", "reason", "kstatus", "wait", "told"),
    [
        ("2026-11-28T11:59:00Z", status.TERMINATING, "InProgress", 540, "are being deleted"),
        ("2026-11-28T11:00:00Z", status.NAMESPACE_STUCK, "Failed", 0, "do not terminate"),
    ],
)
def test_a_namespace_that_left_the_list_is_named_from_its_deletion_until_it_is_gone(
    deleted_at: str, reason: str, kstatus: str, wait: float, told: str
) -> None:
    """NamespacesReady was True, as specified, for ten minutes; and True when it was stuck."""
    store, tenants = Store(), Tenants()
    body = namespace(deleted_at=deleted_at)
    store.put(Ref(kinds.NAMESPACE.name, "", "stuck-a"), ownership.observe(body))
    tenants.see("acme", seen(tenant("acme")))
    tenants.read("acme", settings_spec(), store)
    (finding,), again = departures(store).stuck("acme", tenants.records["acme"])
    assert (finding.reason, again) == (reason, wait)
    named = f"stuck-a (since {deleted_at}: {HELD})."
    advice = f" {termination.ADVICE}." if reason == status.NAMESPACE_STUCK else ""
    assert finding.message == (f"Namespaces that left spec.namespaces {told}: {named}{advice}")
    outcomes = [Outcome(namespace="acme-a")]
    document = summarize(Subject(generation=1, outcomes=outcomes, findings=(finding,)), {}, NOW)
    body = {"metadata": {"generation": 1}, "status": document}
    assert compute(body) == kstatus
    said = conditions(body)
    assert (said["NamespacesReady"]["status"], said["NamespacesReady"]["reason"]) == (
        "False",
        reason,
    )
    assert said["Ready"]["status"] == "False"


def teardown(store: Store) -> Any:
    """Tear acme down as far as it goes by what is known."""
    tenants = Tenants()
    tenants.see("acme", seen(tenant("acme", deletionPolicy="Delete")))
    tenants.read("acme", settings_spec(), store)
    step = departures(store).tear_down("acme", tenants.records["acme"], settings_spec())
    with pytest.raises(StopIteration) as done:
        step.send(None)
    return done.value.value


def test_a_teardown_says_what_it_waits_for_and_asks_for_help_in_the_end() -> None:
    """T7: "Left: stuck-a" said neither that it waits nor why."""
    store = Store()
    ref = Ref(kinds.NAMESPACE.name, "", "stuck-a")
    store.put(ref, ownership.observe(namespace()))
    step = teardown(store)
    assert (step.finding.reason, step.wait) == (status.TERMINATING, 540)
    waits = f"Waiting for these namespaces to terminate: stuck-a ({HELD})"
    assert step.finding.message == waits
    late = namespace(deleted_at="2026-11-28T11:00:00Z", resourceVersion="2")
    store.put(ref, ownership.observe(late))
    step = teardown(store)
    assert (step.finding.reason, step.wait) == (status.NAMESPACE_STUCK, 0)
    assert step.finding.message == f"{waits}. {termination.ADVICE}"


def test_a_teardown_that_has_not_begun_names_what_it_lets_go_of() -> None:
    """T7: what nobody deleted yet does not terminate."""
    store = Store()
    body = namespace()
    del body["metadata"]["deletionTimestamp"]
    store.put(Ref(kinds.NAMESPACE.name, "", "stuck-a"), ownership.observe(body))
    step = teardown(store)
    assert step.finding.message == "The operator lets go of namespace stuck-a"
    assert step.leftovers == ["stuck-a"]
