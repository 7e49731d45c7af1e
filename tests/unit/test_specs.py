"""Specs that the operator refuses by itself, should the API server have let them through."""

from typing import Any

import pytest

from factory import tenant
from securetenant.reconcile.tenants import Tenants


def refusal(body: dict[str, Any]) -> str:
    name = body["metadata"]["name"]
    body["metadata"]["resourceVersion"] = "1"
    known = Tenants()
    known.see(name, body)
    list(known.read(name))
    record = known.get(name)
    assert record is not None
    return record.refusal


def test_a_good_spec_is_not_refused() -> None:
    assert refusal(tenant()) == ""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            tenant(surprise=1),
            "spec.surprise: this operator does not know the field; install the operator that"
            " belongs to the CRD.",
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
    ],
)
def test_a_bad_spec_is_refused_with_its_field(body: dict[str, Any], message: str) -> None:
    """A stored spec may be older than a rule or newer than the operator."""
    assert refusal(body) == message


def test_a_refused_spec_keeps_the_walls_of_the_last_good_one() -> None:
    known = Tenants()
    good, bad = tenant("acme"), tenant("acme", namespaces=[])
    for version, body in enumerate((good, bad), start=1):
        body["metadata"].update(resourceVersion=str(version), generation=version)
        known.see("acme", body)
        list(known.read("acme"))
    record = known.get("acme")
    assert record is not None
    assert record.refusal
    assert set(record.units) == {"acme-a", "acme-b"}


def test_a_namespace_that_leaves_the_spec_is_no_longer_claimed() -> None:
    known = Tenants()
    for version, body in enumerate(
        (tenant("acme"), tenant("acme", namespaces=[{"name": "acme-a"}]))
    ):
        body["metadata"].update(resourceVersion=str(version + 1), generation=version)
        known.see("acme", body)
        list(known.read("acme"))
    assert known.claimants("acme-a") == {"acme"}
    assert known.claimants("acme-b") == set()


def test_the_echo_of_our_own_status_is_no_news() -> None:
    known = Tenants()
    body = tenant("acme")
    body["metadata"].update(resourceVersion="1", generation=1)
    assert known.see("acme", body)
    record = known.get("acme")
    assert record is not None
    record.status = {"observedGeneration": 1}
    echo = {
        **body,
        "metadata": {**body["metadata"], "resourceVersion": "2"},
        "status": record.status,
    }
    assert not known.see("acme", echo)
