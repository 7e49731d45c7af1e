"""NetworkPolicies that tenants make: closed when they reach beyond what the tenant has now."""

from typing import Any

import pytest

import factory
from conftest import Ready, settled
from harness import Api, Operator, conditions, settle, wait_for, writes_by_operator
from securetenant.api import kinds, names
from securetenant.sandbox.instances import Instance
from standing import leaving, member, move


def named(namespace: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {names.NAMESPACE_NAME_LABEL: namespace}}}


def labelled(tenant: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {names.TENANT_LABEL: tenant}}}


def policy(name: str, *peers: Any, **metadata: Any) -> dict[str, Any]:
    """Return a NetworkPolicy that lets these in and out; without peers, everybody."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, **metadata},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": list(peers)} if peers else {}],
            "egress": [{"to": list(peers)} if peers else {}],
        },
    }


def write(api: Api, namespace: str, body: dict[str, Any]) -> None:
    api.create(kinds.NETWORK_POLICY, body, namespace).ok()


def gone(admin: Api, name: str, namespace: str) -> None:
    wait_for(
        lambda: admin.get(kinds.NETWORK_POLICY, name, namespace) is None,
        what=f"NetworkPolicy {name} in {namespace} to be deleted",
        seconds=20,
    )


def told(admin: Api, text: str) -> None:
    def probe() -> bool:
        events = admin.list(kinds.EVENT, "default")
        return any(
            each["reason"] == "NetworkPolicyRemoved" and text in each["note"] for each in events
        )

    wait_for(probe, what=f"the event about {text}")


def isolated(admin: Api, name: str) -> Any:
    return conditions(admin.get(kinds.SECURE_TENANT, name)).get("NetworkIsolated", {})


def test_a_namespace_that_is_deleted_keeps_no_traffic_with_its_tenant(
    sandbox: Instance, admin: Api, ready: Ready
) -> None:
    """Another tenant that makes the namespace again was let in by name."""
    body = leaving("exit", "exit-left", deletionPolicy="Delete")
    ready(body)
    write(member(sandbox, "exit"), "exit-prod", policy("by-name", named("exit-left")))
    write(member(sandbox, "exit"), "exit-prod", policy("own", named("exit-prod")))
    body["spec"]["namespaces"].pop()
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    gone(admin, "by-name", "exit-prod")
    told(
        admin, "NetworkPolicy by-name in exit-prod reached beyond its tenant (namespace exit-left)"
    )
    wait_for(lambda: admin.get(kinds.NAMESPACE, "exit-left") is None, what="the end", seconds=60)
    ready(factory.reusing(factory.tenant("entrant", namespaces=[{"name": "exit-left"}])))
    refused = member(sandbox, "exit").create(
        kinds.NETWORK_POLICY, policy("by-name", named("exit-left")), "exit-prod"
    )
    assert "reaches beyond the tenant" in refused.message
    assert admin.get(kinds.NETWORK_POLICY, "own", "exit-prod") is not None


@pytest.mark.parametrize("mode", ["Enforce", "Audit"])
def test_a_namespace_that_is_relabelled_takes_no_traffic_along(
    mode: str, sandbox: Instance, admin: Api, breaker: Api, ready: Ready
) -> None:
    """Both directions were open between two tenants, and NetworkIsolated was True on both."""
    old, new, left = f"{mode}-old".lower(), f"{mode}-new".lower(), f"{mode}-moved".lower()
    body = leaving(old, left, enforcement=mode)
    ready(body)
    acme = member(sandbox, old)
    write(acme, f"{old}-prod", policy("to-left", named(left)))
    write(acme, left, policy("from-left", named(f"{old}-prod")))
    write(acme, left, policy("by-tenant", labelled(old)))
    write(acme, left, policy("within", {"podSelector": {}}))
    body["spec"]["namespaces"].pop()
    ready(body)
    # Retained, it is still the tenant's.
    assert admin.get(kinds.NETWORK_POLICY, "to-left", f"{old}-prod") is not None
    move(admin, breaker, left, new, enforcement=mode)
    gone(admin, "to-left", f"{old}-prod")
    gone(admin, "from-left", left)
    gone(admin, "by-tenant", left)
    told(admin, f"NetworkPolicy to-left in {old}-prod reached beyond its tenant (namespace {left})")
    told(
        admin,
        f"NetworkPolicy by-tenant in {left} reached beyond its tenant (namespaces of tenant {old})",
    )
    for name in (old, new):
        settled(admin, name)
        assert isolated(admin, name)["reason"] == "AsSpecified"
    # Made again past the admission policies, it goes again.
    write(breaker, f"{old}-prod", policy("to-left", named(left)))
    gone(admin, "to-left", f"{old}-prod")
    write(breaker, left, policy("wide", {"ipBlock": {"cidr": "0.0.0.0/0"}}))
    gone(admin, "wide", left)
    edited = policy("within", labelled(old))["spec"]
    breaker.patch(kinds.NETWORK_POLICY, "within", {"spec": edited}, left).ok()
    gone(admin, "within", left)


def test_what_an_adopted_namespace_brings_along_opens_nothing(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    admin.create(kinds.NAMESPACE, {"metadata": {"name": "brings-along"}}).ok()
    write(admin, "brings-along", policy("everybody"))
    write(admin, "brings-along", policy("block", {"ipBlock": {"cidr": "10.0.0.0/8"}}))
    write(admin, "brings-along", policy("within", {"podSelector": {}}))
    move(admin, breaker, "brings-along", "adopting")
    gone(admin, "everybody", "brings-along")
    gone(admin, "block", "brings-along")
    settled(admin, "adopting")
    assert admin.get(kinds.NETWORK_POLICY, "within", "brings-along") is not None
    told(admin, "NetworkPolicy everybody in brings-along reached beyond its tenant (everybody)")


def test_what_happened_while_the_operator_was_down_is_closed(
    sandbox: Instance, admin: Api, breaker: Api, ready: Ready, operator: Operator
) -> None:
    """The former tenant is gone and its namespaces are retained: nobody else would look there."""
    body = leaving("absent", "absent-left")
    ready(body)
    write(member(sandbox, "absent"), "absent-prod", policy("to-left", named("absent-left")))
    admin.delete(kinds.SECURE_TENANT, "absent").ok()
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "absent") is None, what="the end", seconds=30)
    assert operator.stop() == 0
    move(admin, breaker, "absent-left", "present")
    operator.start()
    settled(admin, "present", seconds=30)
    gone(admin, "to-left", "absent-prod")


def test_one_that_cannot_go_is_named_until_it_is_gone(
    sandbox: Instance, admin: Api, breaker: Api, ready: Ready
) -> None:
    """A finalizer keeps it in force; and a member cannot keep one by a foreground deletion."""
    ready(factory.tenant("clinging", namespaces=[{"name": "clinging-a"}]))
    seen = settle(sandbox)
    hold = policy("held", named("default"), finalizers=["example.com/hold"])
    write(breaker, "clinging-a", hold)

    def reason() -> Any:
        return isolated(admin, "clinging").get("reason")

    wait_for(lambda: reason() == "ForeignNetworkPolicies", what="the condition to name it")
    found = isolated(admin, "clinging")
    assert found["status"] == "False"
    assert found["message"] == (
        "NetworkPolicies that SecureTenant did not make reach beyond tenant clinging:"
        " NetworkPolicy held in clinging-a (namespace default; it is being deleted and has the"
        " finalizers example.com/hold). Delete them, or take these peers out of them."
    )
    settled(admin, "clinging", expected="InProgress")
    writes = [
        each["verb"] for each in writes_by_operator(sandbox)[seen:] if "clinging" in str(each)
    ]
    assert writes.count("delete") == 1
    breaker.patch(
        kinds.NETWORK_POLICY, "held", {"metadata": {"finalizers": None}}, "clinging-a"
    ).ok()
    settled(admin, "clinging")
    assert reason() == "AsSpecified"
    # The deletion that a member would use to keep one alive.
    write(
        breaker, "clinging-a", policy("slow", named("default"), finalizers=["foregroundDeletion"])
    )
    gone(admin, "slow", "clinging-a")


def test_a_suspended_tenant_says_what_is_open(admin: Api, breaker: Api, ready: Ready) -> None:
    body = factory.tenant("idle", namespaces=[{"name": "idle-a"}], reconciliation="Suspended")
    ready({**body, "spec": {**body["spec"], "reconciliation": "Active"}})
    ready(body)
    write(breaker, "idle-a", policy("open"))
    wait_for(lambda: isolated(admin, "idle")["status"] == "False", what="the condition")
    assert (
        "NetworkPolicy open in idle-a (everybody; the operator is suspended"
        in (isolated(admin, "idle")["message"])
    )
    settled(admin, "idle", expected="Failed")
    assert admin.get(kinds.NETWORK_POLICY, "open", "idle-a") is not None
    admin.patch(kinds.SECURE_TENANT, "idle", {"spec": {"reconciliation": "Active"}}).ok()
    gone(admin, "open", "idle-a")
    settled(admin, "idle")
