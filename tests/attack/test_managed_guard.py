"""Managed objects in ways that are not plain edits: migration, status, prepared names."""

from typing import Any

import pytest

import factory
from attack_harness import MANAGED, Policy, verdict
from harness import Api
from securetenant.api import kinds, names
from securetenant.sandbox.instances import Instance
from stolen_operator import RBAC

pytestmark = pytest.mark.usefixtures("tenants")

MANAGED_OBJECTS = [
    (kinds.TENANT_POLICY, names.POLICY_NAME),
    (kinds.NETWORK_POLICY, names.DEFAULT_DENY),
    (kinds.RESOURCE_QUOTA, names.QUOTA),
    (kinds.LIMIT_RANGE, names.LIMITS),
    (kinds.ROLE_BINDING, names.CANARY),
]


@pytest.mark.parametrize(
    ("kind", "name"), MANAGED_OBJECTS, ids=lambda each: getattr(each, "name", "")
)
def test_storage_version_migration_writes_every_managed_object(
    kind: kinds.Kind, name: str, victim: str, admin: Api
) -> None:
    """H15: an update that changes nothing passes."""
    body = admin.get(kind, name, victim)
    admin.call("PUT", kind.path(victim, name), body).ok()
    body["metadata"]["labels"]["touched"] = "yes"
    answer = admin.call("PUT", kind.path(victim, name), body, dryRun="All")
    assert verdict(answer, MANAGED) == "Blocked"


@pytest.mark.parametrize(
    ("kind", "name", "subresource"),
    [
        (kinds.RESOURCE_QUOTA, names.QUOTA, "status"),
        (kinds.TENANT_POLICY, names.POLICY_NAME, "status"),
    ],
)
def test_nobody_writes_the_status_that_others_count_by(
    kind: kinds.Kind, name: str, subresource: str, victim: str, admin: Api
) -> None:
    body = admin.get(kind, name, victim)
    body["status"] = {"hard": {"pods": "99999"}} if kind is kinds.RESOURCE_QUOTA else {}
    path = kind.path(victim, name, subresource)
    assert verdict(admin.call("PUT", path, body, dryRun="All"), MANAGED) == "Blocked"


def test_nobody_prepares_one_of_our_names(victim: str, admin: Api) -> None:
    """By generateName the final name is not known when the rule is asked."""
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"generateName": "securetenant-"},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "r"},
        "subjects": [],
    }
    assert (
        verdict(admin.create(kinds.ROLE_BINDING, binding, victim, dryRun="All"), MANAGED)
        == "Blocked"
    )


@pytest.mark.parametrize("selector", ["", names.MANAGED_SELECTOR])
@pytest.mark.parametrize(
    ("kind", "name"), MANAGED_OBJECTS, ids=lambda each: getattr(each, "name", "")
)
def test_managed_objects_are_not_deleted_as_a_collection(
    kind: kinds.Kind, name: str, selector: str, victim: str, admin: Api
) -> None:
    """A15: each object of the collection is asked about."""
    params = {"labelSelector": selector} if selector else {}
    answer = admin.call("DELETE", kind.path(victim), dryRun="All", **params)
    assert verdict(answer, MANAGED) == "Blocked"


@pytest.mark.parametrize(
    ("kind", "name"), MANAGED_OBJECTS, ids=lambda each: getattr(each, "name", "")
)
def test_the_label_of_a_managed_object_is_not_taken_off(
    kind: kinds.Kind, name: str, victim: str, admin: Api
) -> None:
    """A16: without it the operator would not watch the object, and the next edit would pass."""
    labels = {"metadata": {"labels": {names.MANAGED_BY_LABEL: None}}}
    answer = admin.patch(kind, name, labels, victim, dryRun="All")
    assert verdict(answer, MANAGED) == "Blocked"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([{}], id="emptied"),
        pytest.param(
            [
                {
                    "manager": "kubectl; everything as specified",
                    "operation": "Update",
                    "time": "2027-01-01T00:00:00Z",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:spec": {}},
                }
            ],
            id="forged",
        ),
    ],
)
@pytest.mark.parametrize(
    ("kind", "name"), MANAGED_OBJECTS, ids=lambda each: getattr(each, "name", "")
)
def test_nobody_writes_down_who_changed_a_managed_object(
    kind: kinds.Kind, name: str, fields: Any, victim: str, admin: Api
) -> None:
    """It is the author that an event names, and it can be made as long as an object may be."""
    version = admin.get(kind, name, victim)["apiVersion"]
    told = [{**each, "apiVersion": version} if each else each for each in fields]
    patch = {"metadata": {"managedFields": told}}
    answer = admin.patch(kind, name, patch, victim, dryRun="All")
    assert verdict(answer, MANAGED) == "Blocked"


def test_nobody_becomes_an_owner_of_fields_by_applying_what_is_there(
    victim: str, admin: Api
) -> None:
    body = admin.get(kinds.NETWORK_POLICY, names.DEFAULT_DENY, victim)
    applied = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": names.DEFAULT_DENY, "namespace": victim},
        "spec": body["spec"],
    }
    answer = admin.apply(kinds.NETWORK_POLICY, applied, manager="mallory")
    assert verdict(answer, MANAGED) == "Blocked"


def test_nobody_puts_the_label_on_an_object_of_his_own(victim: str, admin: Api) -> None:
    metadata = {"name": "mine", "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}}
    answer = admin.create(
        kinds.RESOURCE_QUOTA, {"metadata": metadata, "spec": {}}, victim, dryRun="All"
    )
    assert verdict(answer, MANAGED) == "Blocked"


@pytest.fixture(scope="module")
def left_over(admin: Api, sandbox: Instance) -> Api:
    """Somebody who was cluster-admin in a namespace before it was a tenant's."""
    subject = {"kind": "User", "name": "left-over", "apiGroup": RBAC}
    for namespace in ("north-1", "south-1"):
        binding = factory.binding(subject, role="cluster-admin")
        body = {**binding, "metadata": {"name": "left-over"}}
        admin.create(kinds.ROLE_BINDING, body, namespace).ok()
    return Api(sandbox.admin_kubeconfig, speaking_as="left-over")


@pytest.mark.parametrize(
    ("kind", "name"), MANAGED_OBJECTS, ids=lambda each: getattr(each, "name", "")
)
def test_a_left_over_binding_opens_no_wall(
    kind: kinds.Kind, name: str, victim: str, left_over: Api
) -> None:
    """H06: every right in the namespace, and neither the verb nor the group."""
    labels = {"metadata": {"labels": {"x": "y"}}}
    for answer in (
        left_over.patch(kind, name, labels, victim, dryRun="All"),
        left_over.call("DELETE", kind.path(victim, name), dryRun="All"),
        left_over.call("DELETE", kind.path(victim), dryRun="All"),
    ):
        assert verdict(answer, MANAGED) == "Blocked"


def test_a_left_over_binding_lets_nobody_else_in(victim: str, left_over: Api) -> None:
    """H11."""
    stranger = {"kind": "User", "name": "friend", "apiGroup": RBAC}
    body = factory.binding(stranger, role="view")
    answer = left_over.create(kinds.ROLE_BINDING, body, victim, dryRun="All")
    assert verdict(answer, Policy("securetenant-access")) == "Blocked"


def test_every_verb_on_our_kinds_is_not_enough(victim: str, admin: Api, sandbox: Instance) -> None:
    """H05: the verb override by a wildcard, and the rights of an editor; not the group."""
    rules = [
        {"apiGroups": ["securetenant.io"], "resources": ["*"], "verbs": ["*"]},
        {
            "apiGroups": ["networking.k8s.io"],
            "resources": ["networkpolicies"],
            "verbs": ["delete", "patch"],
        },
    ]
    name = f"editor-{victim}"
    subject = {"kind": "User", "name": name, "apiGroup": RBAC}
    admin.create(kinds.CLUSTER_ROLE, {"metadata": {"name": name}, "rules": rules}).ok()
    binding = {**factory.binding(subject, role=name), "metadata": {"name": name}}
    body = {**binding, "kind": "ClusterRoleBinding"}
    admin.create(kinds.CLUSTER_ROLE_BINDING, body).ok()
    editor = Api(sandbox.admin_kubeconfig, speaking_as=name)
    for kind, wall in (
        (kinds.TENANT_POLICY, names.POLICY_NAME),
        (kinds.NETWORK_POLICY, names.DEFAULT_DENY),
    ):
        answer = editor.call("DELETE", kind.path(victim, wall), dryRun="All")
        assert verdict(answer, MANAGED) == "Blocked"
    admin.delete(kinds.CLUSTER_ROLE_BINDING, name).ok()
    admin.delete(kinds.CLUSTER_ROLE, name).ok()
