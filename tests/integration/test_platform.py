"""What the operator sees of the platform: its policies, and who could get around them."""

from typing import Any

import pytest

import factory
from conftest import Ready, settled
from harness import MERGE, Api, Operator, conditions, wait_for
from securetenant.api import kinds

RBAC = "rbac.authorization.k8s.io"


def test_a_policy_that_somebody_changes_is_noticed(admin: Api, ready: Ready) -> None:
    """Edited, deleted, extended by an exemption, unlabelled: each within seconds."""
    name = ready(factory.tenant())["metadata"]["name"]
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    path = f"{policies}/securetenant-mirror-pods"
    body = admin.call("GET", path).ok()
    fresh = {
        key: body[key]
        if key != "metadata"
        else {
            "name": body["metadata"]["name"],
            "labels": body["metadata"]["labels"],
        }
        for key in ("apiVersion", "kind", "metadata", "spec")
    }
    exemption = {"name": "extra", "expression": "false"}
    exempted = {"spec": {"matchConditions": [*body["spec"]["matchConditions"], exemption]}}
    ignored = {"spec": {"failurePolicy": "Ignore"}}
    unlabelled = {"metadata": {"labels": {"app.kubernetes.io/part-of": None}}}

    def noticed() -> dict[str, Any]:
        found: dict[str, Any] = conditions(admin.get(kinds.SECURE_TENANT, name))["PoliciesInForce"]
        return found

    for change in (exempted, ignored, unlabelled, None):
        if change:
            admin.call("PATCH", path, change, content_type=MERGE).ok()
        else:
            admin.call("DELETE", path).ok()
        wait_for(lambda: noticed()["status"] == "False", what="the condition")
        found = noticed()
        assert found["reason"] == "PoliciesChanged"
        assert "ValidatingAdmissionPolicy securetenant-mirror-pods" in found["message"]
        wait_for(
            lambda: (
                conditions(admin.get(kinds.TENANCY_SETTINGS, "default"))["PoliciesInForce"][
                    "status"
                ]
                == "False"
            ),
            what="the condition of TenancySettings",
        )
        admin.call("DELETE", path)
        admin.call("POST", policies, fresh).ok()
        settled(admin, name)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"validationActions": ["Audit"]}, id="it denies no more"),
        pytest.param(
            {"matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}},
            id="it looks elsewhere",
        ),
        pytest.param({"paramRef": None}, id="it has no parameter"),
    ],
)
def test_a_binding_that_somebody_weakens_is_noticed(
    change: dict[str, Any], admin: Api, ready: Ready
) -> None:
    """The policy itself is untouched, and enforces nothing."""
    name = ready(factory.tenant())["metadata"]["name"]
    path = kinds.VALIDATING_BINDING.path("", "securetenant-mirror-pods")
    spec = admin.call("GET", path).ok()["spec"]
    admin.call("PATCH", path, {"spec": change}, content_type=MERGE).ok()

    def noticed() -> Any:
        found = conditions(admin.get(kinds.SECURE_TENANT, name))["PoliciesInForce"]
        return found["message"] if found["status"] == "False" else None

    try:
        message = wait_for(noticed, what="the condition")
        assert "ValidatingAdmissionPolicyBinding securetenant-mirror-pods was changed" in message
    finally:
        back = {key: spec.get(key) for key in change}
        admin.call("PATCH", path, {"spec": back}, content_type=MERGE).ok()
    settled(admin, name)


def test_who_else_could_get_around_the_policies_is_listed(admin: Api, operator: Operator) -> None:
    body = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "too-much"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "backup", "namespace": "velero"}],
    }
    path = f"/apis/{RBAC}/v1/clusterrolebindings"

    def told(type_: str) -> Any:
        settings = admin.get(kinds.TENANCY_SETTINGS, "default")
        return conditions(settings).get(type_, {"status": "not said yet"})

    def found() -> Any:
        return told("OverrideHeldAsExpected")

    wait_for(lambda: told("Ready")["status"] == "True", what="the platform to be in order")
    admin.call("POST", path, body).ok()
    wait_for(lambda: found()["status"] == "False", what="the stranger to be listed")
    assert "ServiceAccount velero/backup" in found()["message"]
    # It opens nothing by itself.
    assert told("Ready")["status"] == "True"
    admin.call("DELETE", f"{path}/too-much").ok()
    wait_for(lambda: found()["status"] == "True", what="the stranger to be gone")


def test_a_policy_that_is_gone_is_announced_and_measured(
    admin: Api, operator: Operator, ready: Ready
) -> None:
    """An alarm needs neither kubectl nor luck: an event on each tenant, and a metric."""
    body = ready(factory.tenant())
    name, uid = body["metadata"]["name"], body["metadata"]["uid"]
    path = f"{kinds.VALIDATING_POLICY.path()}/securetenant-canary"
    policy = admin.call("GET", path).ok()
    assert operator.metric("securetenant_policies_in_force") == 1
    admin.call("DELETE", path).ok()

    def announced() -> list[str]:
        events = admin.list(kinds.EVENT, "default")
        return [
            each["note"]
            for each in events
            if each["regarding"].get("uid") == uid and each["reason"] == "PoliciesChanged"
        ]

    try:
        wait_for(announced, what="the event")
        (note,) = announced()
        assert note == (
            "ValidatingAdmissionPolicy securetenant-canary is missing. Install the policies:"
            " kubectl apply -k manifests/policies"
        )
        assert operator.metric("securetenant_policies_in_force") == 0
    finally:
        metadata = {key: policy["metadata"][key] for key in ("name", "labels")}
        fresh = {"metadata": metadata, "spec": policy["spec"]}
        admin.create(kinds.VALIDATING_POLICY, fresh).ok()
    settled(admin, name)
    assert operator.metric("securetenant_policies_in_force") == 1


@pytest.mark.parametrize("name", ["securetenant:aggregate-to-developer", "securetenant:canary"])
def test_a_role_of_tenants_that_somebody_widens_is_noticed(
    name: str, admin: Api, operator: Operator, ready: Ready
) -> None:
    """S13: who may do more in each namespace is said on each tenant and on the settings."""
    tenant = ready(factory.tenant())["metadata"]["name"]
    path = kinds.CLUSTER_ROLE.path("", name)
    rules = admin.call("GET", path).ok()["rules"]
    more = {"apiGroups": [""], "resources": ["podtemplates"], "verbs": ["get"]}
    admin.call("PATCH", path, {"rules": [*rules, more]}, content_type=MERGE).ok()
    expected = (
        f"ClusterRole {name} also allows get on podtemplates. Restore what differs: kubectl apply"
        " -k manifests/roles"
    )

    def told() -> Any:
        found = conditions(admin.get(kinds.SECURE_TENANT, tenant))
        return found if found["PoliciesInForce"]["status"] == "False" else None

    def in_force() -> Any:
        return conditions(admin.get(kinds.TENANCY_SETTINGS, "default"))["PoliciesInForce"]

    try:
        found = wait_for(told, what="the condition")
        assert found["PoliciesInForce"]["reason"] == "RolesChanged"
        assert found["PoliciesInForce"]["message"] == expected
        is_held = name == "securetenant:aggregate-to-developer"
        assert (found["AccessScoped"]["status"] == "False") == is_held
        if is_held:
            assert found["AccessScoped"]["message"] == expected
        wait_for(
            lambda: (in_force()["status"], in_force()["message"]) == ("False", expected),
            what="the condition of TenancySettings",
        )
    finally:
        admin.call("PATCH", path, {"rules": rules}, content_type=MERGE).ok()
    settled(admin, tenant)
    wait_for(lambda: in_force()["status"] == "True", what="the roles to be as before")


def test_a_role_of_the_operator_that_somebody_widens_is_told_on_the_settings(
    admin: Api, operator: Operator, ready: Ready
) -> None:
    """S13: tenants hold no right by it, so nothing of theirs is said to be wrong."""
    tenant = ready(factory.tenant())["metadata"]["name"]
    path = kinds.CLUSTER_ROLE.path("", "securetenant-verifier")
    rules = admin.call("GET", path).ok()["rules"]
    secrets = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}
    admin.call("PATCH", path, {"rules": [*rules, secrets]}, content_type=MERGE).ok()

    def told() -> Any:
        return conditions(admin.get(kinds.TENANCY_SETTINGS, "default"))["PoliciesInForce"]

    try:
        wait_for(lambda: told()["status"] == "False", what="the condition")
        assert told()["reason"] == "RolesChanged"
        assert "securetenant-verifier also allows list on secrets" in told()["message"]
        found = conditions(admin.get(kinds.SECURE_TENANT, tenant))
        assert found["PoliciesInForce"]["status"] == "True"
    finally:
        admin.call("PATCH", path, {"rules": rules}, content_type=MERGE).ok()
    wait_for(lambda: told()["status"] == "True", what="the role to be as before")


def test_a_priority_level_that_queues_nobody_is_noticed(admin: Api, operator: Operator) -> None:
    """S13: it was enough that there is one of that name. Its numbers are the platform team's."""
    path = kinds.PRIORITY_LEVEL.path("", "securetenant-tenants")
    limited = admin.call("GET", path).ok()["spec"]["limited"]

    def set(change: Any) -> None:
        admin.call("PATCH", path, {"spec": {"limited": change}}, content_type=MERGE).ok()

    def told() -> Any:
        return conditions(admin.get(kinds.TENANCY_SETTINGS, "default"))["FairnessInForce"]

    try:
        set({"nominalConcurrencyShares": 50})
        set({"limitResponse": {"type": "Reject", "queuing": None}})
        wait_for(lambda: told()["reason"] == "PriorityLevelChanged", what="the condition")
        assert "has limitResponse Reject" in told()["message"]
    finally:
        set({**limited})
    wait_for(lambda: told()["status"] == "True", what="the level to be as before")
