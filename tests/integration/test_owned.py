"""A tenant's own namespaces on a real API server: what it names and does not own opens nothing."""

from collections import Counter
from typing import Any

import pytest

import factory
from conftest import Ready, settled
from factory import tenant
from harness import Api, conditions, settle, wait_for, wait_for_account, writes_by_operator
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

GRANT = {"name": "admins", "role": "Admin"}


def own(admin: Api, namespace: str) -> Any:
    body = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, namespace)
    return body and body["spec"]["access"]["serviceAccountNamespaces"]


def open_to(namespace: str) -> dict[str, Any]:
    selector = {"matchLabels": {names.NAMESPACE_NAME_LABEL: namespace}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "open"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"namespaceSelector": selector}]}],
        },
    }


@pytest.mark.parametrize("name", ["reaches", "grasps"])
def test_naming_an_existing_namespace_gives_a_tenant_no_way_to_it(
    name: str, sandbox: Instance, admin: Api, ready: Ready
) -> None:
    """S9: with ``monitoring`` in its list a tenant bound its accounts and opened traffic to it.

    Once the namespace is gone, the name is the tenant's, and in every list.
    """
    theirs = f"monitoring-{name}"
    admin.create(kinds.NAMESPACE, {"metadata": {"name": theirs}}).ok()
    wait_for_account(admin, theirs)
    subjects = [{"kind": "Group", "name": f"{name}-admins"}]
    entries = [{"name": f"{name}-a"}, {"name": theirs}]
    body = tenant(name, namespaces=entries, access=[{**GRANT, "subjects": subjects}])
    admin.create(kinds.SECURE_TENANT, body).ok()
    assert conditions(settled(admin, name, expected="Failed"))["Ready"]["reason"] == "Conflict"
    wait_for(
        lambda: admin.get(kinds.ROLE_BINDING, names.role_binding("Admin"), f"{name}-a"),
        what="the members' access",
    )
    assert own(admin, f"{name}-a") == [f"{name}-a"]
    member = Api(kubeconfigs.for_user(sandbox, f"{name}-admin", (f"{name}-admins",)))
    account = {"kind": "ServiceAccount", "name": "default", "namespace": theirs}
    binding = factory.binding(account, role="securetenant:viewer")
    answer = member.create(kinds.ROLE_BINDING, binding, f"{name}-a", dryRun="All")
    assert "'securetenant-access'" in answer.message
    answer = member.create(kinds.NETWORK_POLICY, open_to(theirs), f"{name}-a", dryRun="All")
    assert "'securetenant-network'" in answer.message
    admin.delete(kinds.NAMESPACE, theirs).ok()
    settled(admin, name)
    assert own(admin, f"{name}-a") == own(admin, theirs) == sorted([f"{name}-a", theirs])
    member.create(kinds.ROLE_BINDING, binding, f"{name}-a", dryRun="All").ok()


def test_what_becomes_another_s_leaves_the_lists_of_all_other_namespaces(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    """S9: ownership can change while the spec stays as it is."""
    ready(tenant("loses", namespaces=[{"name": "loses-a"}, {"name": "loses-b"}]))
    assert own(admin, "loses-a") == ["loses-a", "loses-b"]
    change = {"metadata": {"labels": {names.TENANT_LABEL: "somebody"}}}
    breaker.patch(kinds.NAMESPACE, "loses-b", change).ok()
    wait_for(lambda: own(admin, "loses-a") == ["loses-a"], what="the list to be shorter")
    change = {"metadata": {"labels": {names.TENANT_LABEL: "loses"}}}
    breaker.patch(kinds.NAMESPACE, "loses-b", change).ok()
    both = ["loses-a", "loses-b"]
    wait_for(lambda: own(admin, "loses-a") == both, what="the list to be as before")


def test_many_namespaces_that_come_into_being_write_each_tenant_policy_once(
    sandbox: Instance, admin: Api, ready: Ready
) -> None:
    """S9: a list of those that exist would be rewritten in all by each that is created."""
    before = settle(sandbox)
    names_of_it = [{"name": f"crowd-{number:02}"} for number in range(20)]
    ready(tenant("crowd", namespaces=names_of_it, quota=factory.enough(20)))
    settle(sandbox)
    written = Counter(
        event["objectRef"]["namespace"]
        for event in writes_by_operator(sandbox)[before:]
        if event["objectRef"]["resource"] == "tenantpolicies"
        and event["objectRef"].get("subresource") is None
        and event["objectRef"]["namespace"].startswith("crowd-")
    )
    assert written == {f"crowd-{number:02}": 1 for number in range(20)}
