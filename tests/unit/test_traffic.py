"""NetworkPolicies of others: what each reaches beyond its tenant."""

from typing import Any

import pytest

from securetenant.api import names
from securetenant.plan import traffic
from securetenant.plan.traffic import Reach

OWN = frozenset({"acme-a", "acme-b"})


def policy(*peers: Any, direction: str = "ingress") -> dict[str, Any]:
    """Return a NetworkPolicy with one rule of these peers."""
    rule = {"from" if direction == "ingress" else "to": list(peers)} if peers else {}
    metadata = {"name": "mine", "namespace": "acme-a", "uid": "u", "resourceVersion": "7"}
    return {"metadata": metadata, "spec": {"podSelector": {}, direction: [rule]}}


def by(**labels: str) -> dict[str, Any]:
    keys = {"name": names.NAMESPACE_NAME_LABEL, "tenant": names.TENANT_LABEL}
    return {
        "namespaceSelector": {"matchLabels": {keys.get(key, key): labels[key] for key in labels}}
    }


def among(key: str, operator: str, *values: str) -> dict[str, Any]:
    expression = {"key": key, "operator": operator, "values": list(values)}
    return {"namespaceSelector": {"matchExpressions": [expression]}}


def beyond(body: dict[str, Any], *, apart: bool = False) -> tuple[str, ...]:
    return traffic.beyond(traffic.observe(body), "acme-a", Reach("acme", OWN.__contains__, apart))


@pytest.mark.parametrize("direction", ["ingress", "egress"])
@pytest.mark.parametrize(
    ("peers", "told", "told_apart"),
    [
        ((), ("everybody",), ("everybody",)),
        (({"podSelector": {}},), (), ()),
        ((by(name="acme-a"),), (), ()),
        ((by(name="acme-b"),), (), ("namespace acme-b",)),
        ((by(name="acme-b"), by(name="gone")), ("namespace gone",), None),
        ((by(tenant="acme"),), (), ("namespaces of tenant acme",)),
        ((by(tenant="beta"),), ("namespaces of tenant beta",), None),
        ((by(tenant="acme", name="gone"),), (), ("namespace gone",)),
        ((by(tenant="beta", name="acme-b"),), (), ("namespace acme-b",)),
        ((by(tenant="beta", name="beta-a"),), ("namespace beta-a",), None),
        ((by(name="acme-b", team="x"),), (), ("namespace acme-b",)),
        ((by(team="x"),), ("namespaces by other labels",), None),
        (({"namespaceSelector": {}},), ("every namespace",), None),
        (({"ipBlock": {"cidr": "10.0.0.0/8"}},), ("addresses 10.0.0.0/8",), None),
        ((among(names.NAMESPACE_NAME_LABEL, "In", "acme-b", "gone"),), ("namespace gone",), None),
        (
            (among(names.NAMESPACE_NAME_LABEL, "NotIn", "gone"),),
            ("namespaces by other labels",),
            None,
        ),
        ((among(names.TENANT_LABEL, "Exists"),), ("namespaces by other labels",), None),
        ((among(names.TENANT_LABEL, "In", "acme"),), (), ("namespaces of tenant acme",)),
    ],
)
def test_a_network_policy_is_judged_by_what_the_tenant_has_now(
    direction: str,
    peers: tuple[Any, ...],
    told: tuple[str, ...],
    told_apart: tuple[str, ...] | None,
) -> None:
    body = policy(*peers, direction=direction)
    assert beyond(body) == told
    if told_apart is not None:
        assert beyond(body, apart=True) == told_apart


def test_more_names_than_a_tenant_can_have_are_not_remembered() -> None:
    found = traffic.observe(policy(*(by(name=f"n-{number}") for number in range(5000))))
    assert len(found.peers) == 2000
    assert found.beyond == ("more than 2000 namespaces",)


def test_one_that_is_being_deleted_is_in_force_until_its_finalizers_are_gone() -> None:
    body = policy(by(name="gone"))
    body["metadata"]["finalizers"] = ["example.com/hold"]
    assert traffic.observe(body).held == ()
    body["metadata"]["deletionTimestamp"] = "2026-11-29T00:00:00Z"
    assert traffic.observe(body).held == ("example.com/hold",)
