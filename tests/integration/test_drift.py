"""Whatever somebody does to a managed object, it is undone."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from conftest import Ready
from factory import tenant
from harness import JSON_PATCH, Api, Operator, settle, wait_for, writes_by_operator
from securetenant.api import kinds, names
from securetenant.plan import ownership
from securetenant.sandbox.instances import Instance

WALL = (kinds.NETWORK_POLICY, names.DEFAULT_DENY)
POLICY = (kinds.TENANT_POLICY, names.POLICY_NAME)
QUOTA = (kinds.RESOURCE_QUOTA, names.QUOTA)
LIMITS = (kinds.LIMIT_RANGE, names.LIMITS)
BINDING = (kinds.ROLE_BINDING, names.role_binding("Viewer"))
Attack = Callable[[Api, str], Any]


def _patch(what: tuple[kinds.Kind, str], body: Any) -> Attack:
    return lambda admin, namespace: admin.patch(what[0], what[1], body, namespace).ok()


def _apply(spec: dict[str, Any], labels: dict[str, str]) -> Attack:
    def attack(admin: Api, namespace: str) -> None:
        body = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": names.DEFAULT_DENY, "namespace": namespace, "labels": labels},
            "spec": spec,
        }
        admin.apply(kinds.NETWORK_POLICY, body, manager="somebody").ok()

    return attack


def _remade_with_scopes(admin: Api, namespace: str) -> None:
    """A scope cannot be changed, so the quota has to be another object: H07."""
    admin.delete(*QUOTA, namespace).ok()
    body = {
        "metadata": {"name": names.QUOTA, "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}},
        "spec": {"hard": {"pods": "9999"}, "scopes": ["Terminating"]},
    }
    # The operator may have been faster; then the quota is as it should be already.
    admin.create(kinds.RESOURCE_QUOTA, body, namespace)


def _remade_with_role(admin: Api, namespace: str) -> None:
    """A roleRef cannot be changed either."""
    admin.delete(*BINDING, namespace).ok()
    body = {
        "metadata": {
            "name": names.role_binding("Viewer"),
            "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY},
        },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "User", "name": "mallory"}],
    }
    admin.create(kinds.ROLE_BINDING, body, namespace)


ATTACKS: list[Any] = [
    pytest.param(WALL, lambda admin, ns: admin.delete(*WALL, ns).ok(), id="delete the wall"),
    pytest.param(
        WALL, _patch(WALL, {"spec": {"ingress": [{}]}}), id="add an ingress rule for everybody"
    ),
    pytest.param(
        WALL,
        _apply({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}, {}),
        id="take the wall over as another field manager",
    ),
    pytest.param(
        WALL, _apply({"podSelector": {}}, {"extra": "label"}), id="apply a label beside ours"
    ),
    pytest.param(
        WALL,
        _patch(WALL, {"metadata": {"labels": {names.MANAGED_BY_LABEL: None}}}),
        id="strip the label by which we watch",
    ),
    pytest.param(
        WALL,
        _patch(WALL, {"spec": {"podSelector": {"matchLabels": {"none": "such"}}}}),
        id="let it select no pod",
    ),
    pytest.param(QUOTA, lambda admin, ns: admin.delete(*QUOTA, ns).ok(), id="delete the quota"),
    pytest.param(QUOTA, _patch(QUOTA, {"spec": {"hard": {"pods": "9999"}}}), id="raise the quota"),
    pytest.param(QUOTA, _patch(QUOTA, {"spec": {"hard": {"pods": None}}}), id="drop a quota's key"),
    pytest.param(
        QUOTA, _patch(QUOTA, {"spec": {"hard": {"count/foos.x.io": "1"}}}), id="add a quota's key"
    ),
    pytest.param(QUOTA, _remade_with_scopes, id="make the quota anew, for some pods only"),
    pytest.param(LIMITS, _patch(LIMITS, {"spec": {"limits": []}}), id="empty the limits"),
    pytest.param(BINDING, lambda admin, ns: admin.delete(*BINDING, ns).ok(), id="take access away"),
    pytest.param(
        BINDING,
        _patch(BINDING, {"subjects": [{"kind": "Group", "name": "system:authenticated"}]}),
        id="give access to everybody",
    ),
    pytest.param(BINDING, _remade_with_role, id="bind another role under our name"),
    pytest.param(
        POLICY, _patch(POLICY, {"spec": {"tenant": "another"}}), id="edit the TenantPolicy"
    ),
]


@pytest.fixture(scope="module")
def namespace(admin: Api, operator: Operator) -> str:
    """One namespace for all attacks of this file; each leaves it as it was."""
    subjects = [{"kind": "Group", "name": "auditors"}]
    body = tenant(
        "drift",
        namespaces=[{"name": "drift-a", "labels": {"env": "prod"}}],
        access=[{"name": "audit", "role": "Viewer", "subjects": subjects}],
    )
    admin.create(kinds.SECURE_TENANT, body).ok()
    wait_for(lambda: admin.get(*WALL, "drift-a"), what="the wall")
    wait_for(
        lambda: (
            admin.get(kinds.SECURE_TENANT, "drift")["status"].get("namespaces", {}).get("ready")
        ),
        what="the tenant to be ready",
    )
    return "drift-a"


@pytest.mark.parametrize(("what", "attack"), ATTACKS)
def test_a_changed_wall_is_put_back(
    what: tuple[kinds.Kind, str], attack: Attack, admin: Api, breaker: Api, namespace: str
) -> None:
    before = ownership.owned(admin.get(*what, namespace))
    attack(breaker, namespace)

    def back() -> bool:
        found = admin.get(*what, namespace)
        return found is not None and ownership.owned(found) == before

    wait_for(back, what=f"{what[1]} to be as before")


def _is_ready(admin: Api, namespace: str) -> bool:
    """Tell whether the namespace's gate is open for the TenantPolicy that lies there."""
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, namespace)
    labels = admin.get(kinds.NAMESPACE, namespace)["metadata"]["labels"]
    return bool(policy and labels.get(names.READY_FOR_LABEL) == policy["metadata"]["uid"])


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(
            {"pod-security.kubernetes.io/enforce": "privileged"}, id="weaken Pod Security"
        ),
        pytest.param({"pod-security.kubernetes.io/enforce": None}, id="drop Pod Security"),
        pytest.param({names.TENANT_LABEL: None}, id="strip the tenant"),
        pytest.param({"securetenant.io/invented": "x"}, id="add a label under our prefix"),
        pytest.param({"env": "test"}, id="change a label of the spec"),
        pytest.param({names.MANAGED_BY_LABEL: "Helm"}, id="claim the namespace for Helm"),
    ],
)
def test_a_changed_label_of_a_namespace_is_put_back(
    labels: dict[str, str | None], admin: Api, breaker: Api, namespace: str
) -> None:
    # What another test did may still be on its way back.
    wait_for(lambda: _is_ready(admin, namespace), what="the namespace to be ready")
    before = admin.get(kinds.NAMESPACE, namespace)["metadata"]["labels"]
    breaker.patch(kinds.NAMESPACE, namespace, {"metadata": {"labels": labels}}).ok()

    def found() -> Any:
        return admin.get(kinds.NAMESPACE, namespace)["metadata"]["labels"]

    with contextlib.suppress(AssertionError):
        wait_for(lambda: found() == before, what="the labels to be as before")
    assert found() == before


def test_a_repair_is_announced_with_the_field_and_its_author(
    breaker: Api, admin: Api, ready: Ready
) -> None:
    """Of a tenant of its own: of one that is attacked all the time not every repair is told."""
    ready(tenant("announced", namespaces=[{"name": "announced-a"}]))
    _apply({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}, {})(
        breaker, "announced-a"
    )

    def told() -> bool:
        return any(
            "securetenant-default-deny in announced-a was changed by somebody (spec."
            in event["note"]
            for event in admin.list(kinds.EVENT, "default")
            if event["reason"] == "DriftRepaired"
        )

    wait_for(told, what="the event")


def test_labels_of_other_tools_stay(admin: Api, breaker: Api, namespace: str) -> None:
    """A namespace is shared: a mesh or a cost tool may label it, with keys of its own."""
    wait_for(
        lambda: (
            names.READY_FOR_LABEL in admin.get(kinds.NAMESPACE, namespace)["metadata"]["labels"]
        ),
        what="the namespace to be repaired after other tests",
    )
    admin.patch(kinds.NAMESPACE, namespace, {"metadata": {"labels": {"mesh": "on"}}}).ok()
    before = admin.get(kinds.NAMESPACE, namespace)["metadata"]["labels"]
    breaker.patch(
        kinds.NAMESPACE,
        namespace,
        [{"op": "remove", "path": "/metadata/labels/securetenant.io~1tenant"}],
        content_type=JSON_PATCH,
    ).ok()

    def labels() -> Any:
        return admin.get(kinds.NAMESPACE, namespace)["metadata"]["labels"]

    wait_for(lambda: labels() == before, what="our label to be back, beside the other")


def test_a_deleted_namespace_is_made_again_with_its_walls(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    ready(tenant("phoenix", namespaces=[{"name": "phoenix-a"}]))
    uid = admin.get(kinds.NAMESPACE, "phoenix-a")["metadata"]["uid"]
    breaker.delete(kinds.NAMESPACE, "phoenix-a").ok()

    def again() -> bool:
        found = admin.get(kinds.NAMESPACE, "phoenix-a")
        return bool(found and found["metadata"]["uid"] != uid and admin.get(*WALL, "phoenix-a"))

    wait_for(again, what="a new namespace with its wall", seconds=60)


def test_an_object_that_only_claims_to_be_ours_is_removed(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    """Our label on a foreign NetworkPolicy would hide an opening among our own."""
    ready(tenant("claims", namespaces=[{"name": "claims-a"}]))
    body = {
        "metadata": {"name": "sneaky", "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}},
        "spec": {"podSelector": {}, "ingress": [{}]},
    }
    breaker.create(kinds.NETWORK_POLICY, body, "claims-a").ok()
    wait_for(
        lambda: admin.get(kinds.NETWORK_POLICY, "sneaky", "claims-a") is None,
        what="the impostor to go",
    )


def test_a_repair_costs_few_writes(
    sandbox: Instance, admin: Api, breaker: Api, namespace: str
) -> None:
    """One apply for one deletion: the repair does not echo."""
    before = settle(sandbox)
    breaker.delete(*WALL, namespace).ok()
    wait_for(lambda: admin.get(*WALL, namespace), what="the wall")
    breaker.delete(*WALL, namespace).ok()
    wait_for(lambda: admin.get(*WALL, namespace), what="the wall again")
    verbs = [
        (event["verb"], event["objectRef"]["resource"])
        for event in writes_by_operator(sandbox)[before:]
    ]
    assert verbs.count(("patch", "networkpolicies")) == 2
    events = {("create", "events"), ("patch", "events")}
    statuses = {("patch", "securetenants"), ("patch", "tenantpolicies")}
    assert set(verbs) <= {("patch", "networkpolicies"), *events, *statuses}
