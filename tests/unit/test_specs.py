"""Specs that the operator refuses by itself, should the API server have let them through."""

from typing import Any

import pytest

from factory import seen, settings_spec, tenant
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Record, Tenants

SETTINGS = settings_spec()
KEPT = "What was in place stays in place, except for what the spec takes away"


def read(known: Tenants, body: dict[str, Any], version: int = 1) -> Record:
    name = body["metadata"]["name"]
    known.see(name, seen(body, version))
    known.read(name, SETTINGS, Store())
    record = known.get(name)
    assert record is not None
    return record


def refusal(body: dict[str, Any]) -> str:
    record = read(Tenants(), body)
    return record.findings[0].message if record.is_refused else ""


def test_a_good_spec_is_not_refused() -> None:
    assert refusal(tenant()) == ""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            tenant(surprise=1),
            "spec.surprise: there is no such field here. If the CRD has it, install the operator"
            " that belongs to the CRD.",
            id="an unknown field",
        ),
        pytest.param(
            tenant("x" * 41, namespaces=[{"name": "abc"}]),
            "metadata.name: a tenant's name has at most 40 lower-case letters, digits and '-',"
            " like acme.",
            id="a name that is too long",
        ),
        pytest.param(
            tenant(namespaces=[]),
            "spec.namespaces: Tuple should have at least 1 item after validation, not 0.",
            id="no namespaces",
        ),
        pytest.param(
            tenant(podSecurity={"level": "privileged"}),
            "spec.podSecurity.level: Input should be 'restricted' or 'baseline'.",
            id="a level that does not exist",
        ),
        pytest.param(
            tenant(workloads={"annotations": ["securetenant.io/*"]}),
            "spec.workloads.annotations.0: annotations under securetenant.io are the operator's"
            " own: leave it out.",
            id="an annotation that the operator trusts",
        ),
    ],
)
def test_a_bad_spec_is_refused_with_its_field(body: dict[str, Any], message: str) -> None:
    """A stored spec may be older than a rule or newer than the operator."""
    assert refusal(body) == f"{message} {KEPT}; correct the spec."


def test_a_refused_spec_keeps_the_walls_of_the_last_good_one() -> None:
    known = Tenants()
    read(known, tenant("acme"), 1)
    record = read(known, tenant("acme", namespaces=[]), 2)
    assert record.is_refused
    assert set(record.units) == {"acme-a", "acme-b"}


def test_a_namespace_that_leaves_the_spec_is_no_longer_claimed() -> None:
    known = Tenants()
    read(known, tenant("acme"), 1)
    read(known, tenant("acme", namespaces=[{"name": "acme-a"}]), 2)
    assert known.claimants("acme-a") == {"acme"}
    assert known.claimants("acme-b") == set()


def test_the_echo_of_our_own_status_is_no_news() -> None:
    known = Tenants()
    body = seen(tenant("acme"), 1)
    assert known.see("acme", body)
    record = known.get("acme")
    assert record is not None
    record.status = {"observedGeneration": 1}
    metadata = {**body["metadata"], "resourceVersion": "2"}
    assert not known.see("acme", {**body, "metadata": metadata, "status": record.status})


def test_a_grant_in_a_namespace_of_others_is_told_and_the_rest_holds() -> None:
    """Unknown means no: the ServiceAccount of another's namespace gets nothing."""
    subjects = [
        {"kind": "Group", "name": "devs"},
        {"kind": "ServiceAccount", "name": "ci", "namespace": "others"},
    ]
    grants = [
        {"name": "devs", "role": "Developer", "subjects": subjects},
        {"name": "ops", "role": "Admin", "subjects": subjects[:1], "namespaces": ["acme-x"]},
    ]
    record = read(Tenants(), tenant("acme", access=grants))
    (finding,) = record.findings
    assert (finding.type, finding.reason) == ("AccessScoped", "UnknownNamespace")
    assert "others (access devs), acme-x (access ops)" in finding.message
    (granted,) = record.units["acme-a"].scope.grants
    assert granted[0] == "Developer"
    assert [each.name for each in granted[1]] == ["devs"]
