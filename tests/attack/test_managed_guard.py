"""Managed objects in ways that are not plain edits: migration, status, prepared names."""

import pytest

from attack_harness import Policy, verdict
from harness import Api
from securetenant.api import kinds, names

RBAC = "rbac.authorization.k8s.io"
MANAGED = Policy("securetenant-managed")

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
