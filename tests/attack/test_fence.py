"""Catalogue row H10: what whoever stole the operator's token is refused."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

import factory
from attack_harness import Control, Denial, Policy, verdict
from conftest import settled
from harness import MERGE, Api, conditions, wait_for
from securetenant.api import kinds, names
from stolen_operator import (
    BINDINGS,
    DENY,
    RBAC,
    STOLEN,
    TAKEN,
    bind,
    flow,
    network_policy,
    tenant_peer,
)

BOUNDS = Policy("securetenant-operator-bounds")

pytestmark = pytest.mark.usefixtures("tenants")


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"), [pytest.param(*row[1:], id=row[0]) for row in STOLEN]
)
def test_a_stolen_operator_token_stays_within_its_job(
    method: str, path: str, body: Any, expected: Policy, as_operator: Api, bystander: None
) -> None:
    """H10. RBAC allows each of these; the fence refuses it."""

    def blocked() -> bool:
        denial = Denial(who="operator", method=method, path=path, body=body)
        return verdict(denial.sent({"operator": as_operator}), expected) == "Blocked"

    # Bounds of another test may still be in force for a moment, and refuse it too.
    wait_for(blocked, what="the fence to refuse it")


@contextlib.contextmanager
def bounds(admin: Api, **bounds: Any) -> Iterator[None]:
    """Set bounds for a while."""
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"bounds": bounds}}).ok()
    try:
        yield
    finally:
        admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"bounds": None}}).ok()


@pytest.mark.parametrize(
    ("limits", "path", "body"),
    [
        pytest.param(
            {"groups": ["north-*"]},
            BINDINGS.format("north-1"),
            bind("securetenant:viewer", {"kind": "Group", "name": "strangers"}),
            id="a group beyond the bounds",
        ),
        pytest.param(
            {"users": []},
            BINDINGS.format("north-1"),
            bind("securetenant:viewer", {"kind": "User", "name": "mallory"}),
            id="any user, where none is allowed",
        ),
        pytest.param(
            {"groups": ["north-*"]},
            kinds.FLOW_SCHEMA.path(),
            flow(("Group", "strangers")),
            id="a group beyond the bounds, to let it wait",
        ),
        pytest.param(
            {"users": ["jane"]},
            kinds.FLOW_SCHEMA.path(),
            flow(("User", "mallory")),
            id="a user beyond the bounds, to let him wait",
        ),
        pytest.param(
            {"roles": ["Developer", "Admin"]},
            BINDINGS.format("north-1"),
            bind("securetenant:viewer", {"kind": "Group", "name": "north-admins"}),
            id="a role beyond the bounds",
        ),
        pytest.param(
            {"quota": {"pods": 60}},
            "/api/v1/namespaces/north-1/resourcequotas/securetenant",
            {"spec": {"hard": {"pods": "61"}}},
            id="a quota beyond the bounds",
        ),
        pytest.param(
            {"cidrs": ["10.1.0.0/16"]},
            DENY,
            network_policy(egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]),
            id="a network beyond the bounds",
        ),
        pytest.param(
            {"cidrs": []},
            DENY,
            network_policy(ingress=[{"from": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}]),
            id="any network, where none is allowed",
        ),
        pytest.param(
            {},
            DENY,
            network_policy(egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]),
            id="the cloud's credentials within a network",
        ),
        pytest.param(
            {},
            DENY,
            network_policy(
                egress=[{"to": [{"ipBlock": {"cidr": "fd00::/8", "except": ["fd01::/16"]}}]}]
            ),
            id="the cloud's credentials by IPv6",
        ),
        pytest.param(
            {"peers": ["nor*"]},
            DENY,
            network_policy(egress=[{"to": [tenant_peer("south")]}]),
            id="a peer beyond the bounds",
        ),
        pytest.param({}, "/api/v1/nodes/node-0", TAKEN, id="a node that nobody gave"),
    ],
)
def test_a_stolen_operator_token_stays_within_the_bounds(
    limits: dict[str, Any], path: str, body: Any, as_operator: Api, admin: Api
) -> None:
    """What it may at most do is written by somebody else."""
    creates = path in (BINDINGS.format("north-1"), kinds.FLOW_SCHEMA.path())
    with bounds(admin, **limits):

        def blocked() -> bool:
            answer = as_operator.call(
                "POST" if creates else "PATCH",
                path,
                body,
                content_type="application/json" if creates else MERGE,
                dryRun="All",
            )
            return verdict(answer, BOUNDS) == "Blocked"

        wait_for(blocked, what="the bounds to be in force")


def test_within_the_bounds_the_operator_opens_what_is_declared(
    as_operator: Api, admin: Api
) -> None:
    """Else the refusals above would prove nothing. The platform's own services are no bound."""
    within = [
        {"ipBlock": {"cidr": "10.1.2.0/24"}},
        {"ipBlock": {"cidr": "169.254.0.0/16", "except": ["169.254.0.0/17", "169.254.169.0/24"]}},
        {"ipBlock": {"cidr": "169.254.20.10/32"}},
        tenant_peer("north"),
        tenant_peer("south"),
    ]
    with bounds(admin, cidrs=["10.1.0.0/16", "169.254.0.0/16"], peers=["sou*"]):
        as_operator.call(
            "PATCH", DENY, network_policy(egress=[{"to": within}]), content_type=MERGE, dryRun="All"
        ).ok()


def test_the_operator_binds_accounts_of_the_same_tenant(as_operator: Api) -> None:
    """S2. Else the refusals above would prove nothing."""
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": "north-2"}
    as_operator.call(
        "POST", BINDINGS.format("north-1"), bind("securetenant:viewer", subject), dryRun="All"
    ).ok()


def test_no_tenant_says_whose_its_namespace_is(north: Api) -> None:
    """S2: neither by an account of that name, nor by giving the verb away."""
    inside = "/api/v1/namespaces/north-1/serviceaccounts"
    account = {"metadata": {"name": names.membership("south")}}
    answer = north.call("POST", inside, account, dryRun="All")
    assert verdict(answer, Policy("securetenant-managed")) == "Blocked"
    rule = {"apiGroups": [names.GROUP], "resources": ["tenantpolicies"], "verbs": ["belong"]}
    role = {"metadata": {"name": "mine"}, "rules": [rule]}
    where = f"/apis/{RBAC}/v1/namespaces/north-1/roles"
    assert verdict(north.call("POST", where, role, dryRun="All"), Control.ESCALATION) == "Blocked"


def test_within_the_bounds_the_operator_says_who_queues_where(as_operator: Api, admin: Api) -> None:
    """Else the refusals above would prove nothing. An answer of 409 comes after all rules."""
    body = flow(("Group", "north-devs"), ("User", "jane"))
    with bounds(admin, groups=["north-*"], users=["jane"]):
        answer = as_operator.create(kinds.FLOW_SCHEMA, body, dryRun="All")
    assert answer.status in (201, 409), answer


def test_bounds_that_exclude_a_tenant_take_nothing_away(admin: Api) -> None:
    before = admin.get(kinds.ROLE_BINDING, "securetenant-admin", "north-1")
    with bounds(admin, groups=["others-*"], quota={"pods": 100}):
        wait_for(
            lambda: "Stalled" in conditions(admin.get(kinds.SECURE_TENANT, "north")),
            what="the condition",
        )
        found = conditions(admin.get(kinds.SECURE_TENANT, "north"))["Stalled"]
        assert found["reason"] == "BoundPassed"
        assert found["message"] == (
            "access admins names Group north-admins, the bound is others-* (TenancySettings). What"
            " was in place stays in place, except for what the spec takes away."
        )
        after = admin.get(kinds.ROLE_BINDING, "securetenant-admin", "north-1")
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
    settled(admin, "north")


@pytest.mark.parametrize(
    ("peer", "verdicts"),
    [({"podSelector": {}}, "Blocked"), (tenant_peer("north"), "deleted")],
)
def test_of_the_network_policies_of_members_only_those_that_open_other_namespaces_can_go(
    peer: Any, verdicts: str, north: Api, as_operator: Api, admin: Api
) -> None:
    """The operator deletes what reaches beyond a tenant; the rest is the tenant's."""
    name = f"fenced-{verdicts.lower()}"
    body = network_policy(ingress=[{"from": [peer]}])
    north.create(kinds.NETWORK_POLICY, {**body, "metadata": {"name": name}}, "north-1").ok()
    path = kinds.NETWORK_POLICY.path("north-1", name)
    answer = as_operator.call("DELETE", path, dryRun="All")
    if verdicts == "Blocked":
        assert verdict(answer, Policy("securetenant-operator-fence-walls")) == "Blocked"
    else:
        answer.ok()
    admin.delete(kinds.NETWORK_POLICY, name, "north-1").ok()


@pytest.mark.parametrize(
    ("kind", "name", "is_removed"),
    [
        ("User", "system:serviceaccount:south-1:ci", True),
        ("Group", "system:serviceaccounts:south-1", True),
        ("User", "system:serviceaccount:north-1:ci", False),
        ("Group", "system:serviceaccounts:north-1", False),
        ("Group", "south-admins", False),
    ],
)
def test_of_the_bindings_of_others_only_those_to_accounts_of_other_namespaces_can_go(
    kind: str, name: str, is_removed: bool, breaker: Api, as_operator: Api
) -> None:
    """An account of another namespace can be named as a user and as a group too."""
    body = factory.binding({"apiGroup": RBAC, "kind": kind, "name": name})
    body["metadata"] = {"name": f"fenced-{name.replace(':', '-')}"}
    breaker.create(kinds.ROLE_BINDING, body, "north-1").ok()
    path = kinds.ROLE_BINDING.path("north-1", body["metadata"]["name"])
    answer = as_operator.call("DELETE", path, dryRun="All")
    if is_removed:
        # The operator itself may have been faster.
        assert answer.status in (200, 404), answer.message
    else:
        assert verdict(answer, Policy("securetenant-operator-fence-walls")) == "Blocked"
    breaker.delete(kinds.ROLE_BINDING, body["metadata"]["name"], "north-1")
