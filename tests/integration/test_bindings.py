"""RoleBindings that tenants and platforms make: named, and closed when a namespace leaves."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

import factory
from attack_harness import may
from conftest import Ready, settled
from harness import Api, conditions, wait_for
from securetenant.api import kinds, names
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


@contextlib.contextmanager
def undeletable(breaker: Api, namespace: str, name: str) -> Iterator[None]:
    """Let the API server refuse the deletion of one RoleBinding, as somebody's webhook can."""
    metadata = {"name": f"{namespace}-{name}"}
    rule = {
        "apiGroups": [RBAC],
        "apiVersions": ["v1"],
        "resources": ["rolebindings"],
        "operations": ["DELETE"],
    }
    home = {"matchLabels": {names.NAMESPACE_NAME_LABEL: namespace}}
    spec = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": home},
        "validations": [
            {"expression": f"oldObject.metadata.name != '{name}'", "message": "it is kept here"}
        ],
    }
    bound = {"policyName": metadata["name"], "validationActions": ["Deny"]}
    breaker.create(kinds.VALIDATING_POLICY, {"metadata": metadata, "spec": spec}).ok()
    breaker.create(kinds.VALIDATING_BINDING, {"metadata": metadata, "spec": bound}).ok()
    path = f"{kinds.ROLE_BINDING.path(namespace)}/{name}"
    wait_for(
        lambda: "kept here" in breaker.call("DELETE", path, dryRun="All").message,
        what="the refusal to be in force",
    )
    yield
    breaker.delete(kinds.VALIDATING_BINDING, metadata["name"]).ok()
    breaker.delete(kinds.VALIDATING_POLICY, metadata["name"]).ok()


def lists_pods(admin: Api, namespace: str, group: str) -> bool:
    """Tell whether members of a group read a namespace."""
    return may(
        admin, user="somebody", groups=(group,), verb="list", resource=":pods", namespace=namespace
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
    ready(factory.reusing(factory.tenant(next_one, namespaces=[{"name": left}])))
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


def scoped(admin: Api, name: str) -> Any:
    """Return the condition about access."""
    return conditions(admin.get(kinds.SECURE_TENANT, name)).get("AccessScoped", {})


def nailed(name: str) -> dict[str, Any]:
    """Return a tenant with two RoleBindings, whose namespace goes with it."""
    grants = [
        {"name": role, "role": role, "subjects": [{"kind": "Group", "name": f"{name}-{role}"}]}
        for role in ("Admin", "Viewer")
    ]
    namespaces = [{"name": f"{name}-a"}]
    return factory.tenant(name, namespaces=namespaces, access=grants, deletionPolicy="Delete")


def test_a_role_binding_that_cannot_be_deleted_keeps_no_rights_of_a_deleted_tenant(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    """The first that was refused kept the others and the namespace, with all rights."""
    ready(nailed("nailed"))
    with undeletable(breaker, "nailed-a", "securetenant-admin"):
        admin.delete(kinds.SECURE_TENANT, "nailed").ok()
        wait_for(
            lambda: "deletionTimestamp" in admin.get(kinds.NAMESPACE, "nailed-a")["metadata"],
            what="the namespace to be deleted",
            seconds=20,
        )
        for role in ("Admin", "Viewer"):
            assert not lists_pods(admin, "nailed-a", f"nailed-{role}")
        wait_for(
            lambda: any(
                "RoleBinding securetenant-admin in nailed-a" in each["note"]
                and "kept here" in each["note"]
                for each in admin.list(kinds.EVENT, "default")
            ),
            what="an event that names what stays",
        )
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "nailed") is None, what="the end", seconds=60)


def test_a_role_binding_with_a_finalizer_keeps_no_rights_of_a_deleted_tenant(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    """It was taken for deleted, and gave its rights for as long as the finalizer was there."""
    ready(nailed("glued"))
    hold = {"metadata": {"finalizers": ["example.com/hold"]}}
    breaker.patch(kinds.ROLE_BINDING, "securetenant-admin", hold, "glued-a").ok()
    admin.delete(kinds.SECURE_TENANT, "glued").ok()
    wait_for(
        lambda: "deletionTimestamp" in admin.get(kinds.NAMESPACE, "glued-a")["metadata"],
        what="the namespace to be deleted",
        seconds=20,
    )
    assert admin.get(kinds.ROLE_BINDING, "securetenant-admin", "glued-a") is not None
    for role in ("Admin", "Viewer"):
        assert not lists_pods(admin, "glued-a", f"glued-{role}")
    free = {"metadata": {"finalizers": None}}
    breaker.patch(kinds.ROLE_BINDING, "securetenant-admin", free, "glued-a").ok()
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "glued") is None, what="the end", seconds=60)


@pytest.mark.parametrize("mode", ["Enforce", "Audit"])
def test_a_withdrawn_grant_gives_no_rights_while_its_role_binding_cannot_be_deleted(
    mode: str, admin: Api, breaker: Api, ready: Ready
) -> None:
    """What is missing is put back meanwhile, and the other grants are withdrawn too."""
    name = f"stuck-{mode}".lower()
    body = nailed(name)
    body["spec"]["enforcement"] = mode
    ready(body)
    body["spec"]["access"] = []
    with undeletable(breaker, f"{name}-a", "securetenant-admin"):
        admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
        wait_for(
            lambda: (
                not any(
                    lists_pods(admin, f"{name}-a", f"{name}-{role}") for role in ("Admin", "Viewer")
                )
            ),
            what="the rights to go",
        )
        wait_for(lambda: scoped(admin, name)["status"] == "False", what="the condition")
        breaker.delete(kinds.NETWORK_POLICY, names.DEFAULT_DENY, f"{name}-a").ok()
        wait_for(
            lambda: admin.get(kinds.NETWORK_POLICY, names.DEFAULT_DENY, f"{name}-a"),
            what="the NetworkPolicy to be back",
            seconds=30,
        )
    settled(admin, name, seconds=60)


def test_a_foreign_role_binding_that_cannot_be_deleted_is_named_and_keeps_nothing_else(
    sandbox: Instance, admin: Api, breaker: Api, ready: Ready
) -> None:
    """The namespace stayed with all rights, and a RoleBinding after it was never tried."""
    body = leaving("barred", "barred-left", deletionPolicy="Delete")
    ready(body)
    let_in(sandbox, "barred", "barred-left")
    account = {"kind": "ServiceAccount", "name": "ci", "namespace": "barred-left"}
    second = factory.binding(account, role="securetenant:admin")
    second["metadata"]["name"] = "other"
    member(sandbox, "barred").create(kinds.ROLE_BINDING, second, "barred-prod").ok()
    with undeletable(breaker, "barred-prod", "mine"):
        body["spec"]["namespaces"].pop()
        admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
        wait_for(lambda: admin.get(kinds.NAMESPACE, "barred-left") is None, what="end", seconds=60)
        assert admin.get(kinds.ROLE_BINDING, "other", "barred-prod") is None
        wait_for(lambda: scoped(admin, "barred")["status"] == "False", what="the condition")
        found = scoped(admin, "barred")
        assert found["reason"] == "ForeignBindings"
        assert (
            "RoleBinding mine in barred-prod (ServiceAccounts of barred-left; the API server"
            " refused to delete it: " in found["message"]
        )
        # Nobody gets the name while its ServiceAccounts would have rights elsewhere.
        heir = factory.tenant("successor-of-barred", namespaces=[{"name": "barred-left"}])
        admin.create(kinds.SECURE_TENANT, factory.reusing(heir)).ok()
        wait_for(
            lambda: (
                conditions(admin.get(kinds.SECURE_TENANT, "successor-of-barred"))
                .get("Ready", {})
                .get("reason")
                == "ForeignBindings"
            ),
            what="the heir to say what it waits for",
        )
        assert admin.get(kinds.NAMESPACE, "barred-left") is None
    settled(admin, "successor-of-barred", seconds=60)
    assert is_closed(admin, "barred-prod")
    settled(admin, "barred", seconds=30)


def test_a_foreign_role_binding_counts_as_deleted_once_it_is_gone(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    """One that a finalizer keeps gave rights, and AccessScoped said nothing of it."""
    ready(factory.tenant("lender", namespaces=[{"name": "lender-a"}]))
    ready(factory.tenant("lent", namespaces=[{"name": "lent-a"}]))
    account = {"kind": "ServiceAccount", "name": "ci", "namespace": "lender-a"}
    body = factory.binding(account, role="securetenant:admin")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    breaker.create(kinds.ROLE_BINDING, body, "lent-a").ok()
    wait_for(lambda: scoped(admin, "lent")["status"] == "False", what="the condition")
    assert scoped(admin, "lent")["message"] == (
        "RoleBindings that SecureTenant did not make give rights to ServiceAccounts of namespaces"
        " that are not the tenant's: RoleBinding mine in lent-a (ServiceAccounts of lender-a; it is"
        " being deleted and has the finalizers example.com/hold). Delete them, or take these"
        " subjects out of them."
    )
    free = {"metadata": {"finalizers": None}}
    breaker.patch(kinds.ROLE_BINDING, "mine", free, "lent-a").ok()
    settled(admin, "lent")
    assert scoped(admin, "lent")["reason"] == "AsSpecified"
