"""RoleBindings that tenants and platforms make: named, and closed when a namespace leaves."""

from typing import Any

import pytest

import factory
from attack_harness import may
from conftest import Ready, settled
from harness import Api, conditions, wait_for
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance
from standing import leaving, member, move

RBAC = "rbac.authorization.k8s.io"


def let_in(sandbox: Instance, name: str, left: str, *more: dict[str, str]) -> None:
    """Let a ServiceAccount of one namespace read the Secrets of the other, as its tenant can."""
    account = {"kind": "ServiceAccount", "name": "ci", "namespace": left}
    body = factory.binding(account, *more, role="securetenant:admin")
    member(sandbox, name).create(kinds.ROLE_BINDING, body, f"{name}-prod").ok()


def reads_secrets(admin: Api, namespace: str, left: str) -> bool:
    """Tell whether the ServiceAccount ci of a namespace reads the Secrets of another."""
    return may(
        admin,
        user=f"system:serviceaccount:{left}:ci",
        groups=("system:serviceaccounts", f"system:serviceaccounts:{left}"),
        verb="get",
        resource=":secrets",
        namespace=namespace,
    )


def is_closed(admin: Api, namespace: str) -> bool:
    """Tell whether the RoleBinding is gone."""
    return admin.get(kinds.ROLE_BINDING, "mine", namespace) is None


@pytest.mark.parametrize(("former", "next_one"), [("olda", "newa"), ("newb", "oldb")])
def test_a_namespace_that_is_deleted_keeps_no_rights_in_its_tenant(
    former: str, next_one: str, sandbox: Instance, admin: Api, ready: Ready
) -> None:
    """S3: another tenant makes the namespace again, with a ServiceAccount of the same name."""
    left = f"{former}-staging"
    body = leaving(former, left, deletionPolicy="Delete")
    ready(body)
    let_in(sandbox, former, left)
    wait_for(lambda: reads_secrets(admin, f"{former}-prod", left), what="the right to be seen")
    body["spec"]["namespaces"].pop()
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    wait_for(
        lambda: is_closed(admin, f"{former}-prod"),
        what="the RoleBinding to be deleted",
        seconds=30,
    )
    wait_for(lambda: admin.get(kinds.NAMESPACE, left) is None, what=f"{left} to go", seconds=60)
    ready(factory.tenant(next_one, namespaces=[{"name": left}]))
    assert not reads_secrets(admin, f"{former}-prod", left)

    def told() -> bool:
        events = admin.list(kinds.EVENT, "default")
        return any(
            each["reason"] == "RoleBindingRemoved" and f"{former}-prod" in each["note"]
            for each in events
        )

    wait_for(told, what="the event")


def test_a_namespace_that_is_relabelled_takes_no_rights_along(
    sandbox: Instance, admin: Api, breaker: Api, ready: Ready
) -> None:
    """S3: an administrator who breaks the glass gives it to another tenant, with all it holds."""
    body = leaving("giver", "given-away")
    ready(body)
    let_in(
        sandbox,
        "giver",
        "given-away",
        {"kind": "ServiceAccount", "name": "own", "namespace": "giver-prod"},
    )
    body["spec"]["namespaces"].pop()
    ready(body)
    # Retained, it is still the tenant's, and its ServiceAccounts are named.
    seen = conditions(settled(admin, "giver"))["AccessScoped"]
    assert (seen["status"], seen["reason"]) == ("True", "ForeignBindings")
    assert "RoleBinding mine in giver-prod (ServiceAccounts of given-away)" in seen["message"]
    move(admin, breaker, "given-away", "receiver")
    wait_for(lambda: is_closed(admin, "giver-prod"), what="the RoleBinding to be deleted")
    assert not reads_secrets(admin, "giver-prod", "given-away")


def test_access_of_others_is_named(admin: Api, ready: Ready) -> None:
    """T3: "exactly the access that is granted" was said beside a RoleBinding to admin."""
    ready(factory.tenant("beside", namespaces=[{"name": "beside-a"}]))
    monitor = {"kind": "ServiceAccount", "name": "prometheus", "namespace": "default"}
    person = {"apiGroup": RBAC, "kind": "User", "name": "mallory"}
    body = factory.binding(monitor, person, role="admin")
    admin.create(kinds.ROLE_BINDING, body, "beside-a").ok()

    def named() -> Any:
        found = conditions(admin.get(kinds.SECURE_TENANT, "beside"))["AccessScoped"]
        return found if found["reason"] == "ForeignBindings" else None

    found = wait_for(named, what="the condition to name it")
    assert found["status"] == "True"
    told = (
        "RoleBinding mine in beside-a (ClusterRole admin, User mallory, ServiceAccounts of default)"
    )
    assert told in found["message"]
    # The platform made it, so it stays.
    admin.delete(kinds.ROLE_BINDING, "mine", "beside-a").ok()
    wait_for(lambda: named() is None, what="the condition to forget it")


def test_what_a_member_gave_to_service_accounts_is_named_when_the_member_leaves(
    sandbox: Instance, admin: Api, ready: Ready
) -> None:
    """Access outlived the grant, and AccessScoped said nothing of it."""
    body = leaving("outlived", "outlived-ci")
    ready(body)
    let_in(sandbox, "outlived", "outlived-ci")
    body["spec"]["access"] = []
    ready(body)
    # The rights are the ServiceAccount's: the tenant's own workloads may need them.
    wait_for(
        lambda: reads_secrets(admin, "outlived-prod", "outlived-ci"), what="the right to be seen"
    )
    found = conditions(settled(admin, "outlived"))["AccessScoped"]
    assert (found["status"], found["reason"]) == ("True", "AsSpecified")
    assert found["message"].startswith(
        "RoleBindings of members give rights to ServiceAccounts of this tenant: RoleBinding mine in"
        " outlived-prod. They stay when the member leaves. "
    )
    admin.delete(kinds.ROLE_BINDING, "mine", "outlived-prod").ok()

    def forgotten() -> bool:
        told = conditions(admin.get(kinds.SECURE_TENANT, "outlived"))["AccessScoped"]["message"]
        return "of members" not in told

    wait_for(forgotten, what="the condition to forget it")
