"""Host names on a real API server: a name has one owner at a time."""

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Ready, settled
from factory import tenant
from harness import Api, Operator, conditions, wait_for
from securetenant.api import kinds, names
from standing import move


def asking(name: str, *ends: str, **spec: Any) -> dict[str, Any]:
    entries = [{"name": f"{name}-1"}]
    return tenant(name, namespaces=entries, workloads={"hostnames": list(ends)}, **spec)


def in_force(admin: Api, name: str) -> Any:
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, f"{name}-1")
    return policy and policy["spec"]["workloads"]["hostnames"]


def ask(admin: Api, name: str, *ends: str) -> None:
    spec = {"spec": {"workloads": {"hostnames": list(ends)}}}
    admin.patch(kinds.SECURE_TENANT, name, spec).ok()


def told(admin: Api, name: str) -> str:
    found = conditions(settled(admin, name, expected="Failed"))["Ready"]
    assert found["reason"] == "HostnameTaken"
    return str(found["message"])


def test_an_older_tenant_does_not_take_a_name_that_is_in_force(admin: Api, ready: Ready) -> None:
    """S5: age took a name from a tenant that had it in force. Given up, the name changes hands."""
    ready(asking("elder"))
    ready(asking("junior", ".one.house.test"))
    ask(admin, "elder", ".house.test", ".elder.test")
    assert told(admin, "elder") == (
        "Host names that another tenant has: .house.test (tenant junior). Everything else is in"
        " force. Choose ends in spec.workloads.hostnames that do not overlap, or have the other"
        " tenant give them up; if it was deleted, delete its retained namespaces."
    )
    settled(admin, "junior")
    assert in_force(admin, "junior") == [".one.house.test"]
    assert in_force(admin, "elder") == [".elder.test"]
    ask(admin, "junior")
    settled(admin, "elder")
    assert in_force(admin, "junior") == []
    assert in_force(admin, "elder") == [".elder.test", ".house.test"]


def test_what_was_retained_holds_its_names_until_it_is_gone(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    """S5: the names of a deleted SecureTenant went to the next that asked."""
    ready(asking("former", ".kept.test"))
    admin.delete(kinds.SECURE_TENANT, "former").ok()
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "former") is None, what="the end", seconds=30)
    admin.create(kinds.SECURE_TENANT, asking("latter", ".kept.test")).ok()
    assert ".kept.test (tenant former)" in told(admin, "latter")
    assert in_force(admin, "latter") == []
    breaker.delete(kinds.NAMESPACE, "former-1").ok()
    wait_for(lambda: in_force(admin, "latter") == [".kept.test"], what="the name", seconds=60)
    settled(admin, "latter")


@pytest.fixture
def narrow(admin: Api) -> Iterator[None]:
    """Bounds that some tenants pass by their quota."""
    yield
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"bounds": None}}).ok()


def test_a_refused_spec_keeps_its_names_over_a_restart(
    admin: Api, ready: Ready, operator: Operator, narrow: None
) -> None:
    """S5: what is in force is seen in TenantPolicies, whatever the spec says."""
    ready(asking("aged"))
    ready(asking("pinned", ".pin.test", quota={"count/secrets": 10}))
    bounds = {"spec": {"bounds": {"quota": {"count/secrets": 5}}}}
    admin.patch(kinds.TENANCY_SETTINGS, "default", bounds).ok()
    wait_for(
        lambda: (
            conditions(admin.get(kinds.SECURE_TENANT, "pinned"))["Ready"]["reason"] == "BoundPassed"
        ),
        what="the refusal",
    )
    assert operator.stop() == 0
    spec = {"spec": {"workloads": {"hostnames": [".pin.test"]}, "quota": {"count/secrets": 1}}}
    admin.patch(kinds.SECURE_TENANT, "aged", spec).ok()
    operator.start()
    assert ".pin.test (tenant pinned)" in told(admin, "aged")
    assert (in_force(admin, "pinned"), in_force(admin, "aged")) == ([".pin.test"], [])


def ingress(host: str) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web"},
        "spec": {
            "ingressClassName": "public",
            "rules": [{"host": host, "http": {"paths": [path]}}],
        },
    }


def policies(admin: Api, name: str) -> Any:
    found = conditions(admin.get(kinds.SECURE_TENANT, name)).get("PoliciesInForce", {})
    return found if found.get("reason") == "ForeignHostnames" else None


def test_an_ingress_that_moves_along_with_its_namespace_is_named(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    """Two tenants served one host name, and nothing said so."""
    workloads = {"hostnames": [".mover.test"], "ingressClasses": ["public"]}
    entries = [{"name": "mover-1"}, {"name": "mover-left"}]
    body = tenant("mover", namespaces=entries, workloads=workloads)
    ready(body)
    admin.create(kinds.INGRESS, ingress("shop.mover.test"), "mover-left").ok()
    assert policies(admin, "mover") is None
    body["spec"]["namespaces"].pop()
    ready(body)
    move(admin, breaker, "mover-left", "mover-taker")
    found = wait_for(lambda: policies(admin, "mover-taker"), what="the condition to name it")
    assert found["status"] == "False"
    assert found["message"] == (
        "Ingresses from before serve host names that spec.workloads.hostnames do not cover, or more"
        " than are looked at: Ingress web in mover-left (shop.mover.test (tenant mover)). The"
        " operator does not delete them. Delete them, or change their hosts."
    )
    settled(admin, "mover-taker", expected="Failed")
    events = admin.list(kinds.EVENT, "default")
    assert any(
        each["reason"] == "ForeignHostnames" and "mover-left" in each["note"] for each in events
    )
    admin.delete(kinds.INGRESS, "web", "mover-left").ok()
    settled(admin, "mover-taker")
    assert policies(admin, "mover-taker") is None


def test_an_ingress_whose_host_name_the_tenant_gave_up_is_named(admin: Api, ready: Ready) -> None:
    workloads = {"hostnames": [".shrink.test"], "ingressClasses": ["public"]}
    body = tenant("shrink", namespaces=[{"name": "shrink-1"}], workloads=workloads)
    ready(body)
    admin.create(kinds.INGRESS, ingress("shop.shrink.test"), "shrink-1").ok()
    ask(admin, "shrink", ".other.test")
    found = wait_for(lambda: policies(admin, "shrink"), what="the condition to name it")
    assert found["status"] == "True"
    assert "Ingress web in shrink-1 (shop.shrink.test)" in found["message"]
    # Nobody else has the name, so the tenant is ready; until somebody has.
    settled(admin, "shrink")
    ready(asking("heir", ".shrink.test"))
    settled(admin, "shrink", expected="Failed")
    assert (
        "shop.shrink.test (tenant heir)"
        in conditions(admin.get(kinds.SECURE_TENANT, "shrink"))["PoliciesInForce"]["message"]
    )
    ask(admin, "heir")
    settled(admin, "shrink")
    ask(admin, "shrink", ".shrink.test")
    wait_for(lambda: policies(admin, "shrink") is None, what="the condition to forget it")


def test_a_name_that_is_written_into_a_retained_namespace_is_taken_out_again(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    """Nothing is repaired there, so a thief of the operator's token left a name behind."""
    both = [{"name": "forger-1"}, {"name": "forger-2"}]
    ready(tenant("forger", namespaces=both, workloads={"hostnames": [".forger.test"]}))
    ready(asking("wronged", ".wronged.test"))
    ready(tenant("forger", namespaces=both[:1], workloads={"hostnames": [".forger.test"]}))

    def retained() -> Any:
        found = admin.get(kinds.NAMESPACE, "forger-2")
        return found["metadata"]["labels"].get(names.STATE_LABEL) == names.RETAINED

    wait_for(retained, what="the namespace to be retained")
    forged = {"spec": {"workloads": {"hostnames": [".forger.test", ".www.wronged.test"]}}}
    breaker.patch(kinds.TENANT_POLICY, names.POLICY_NAME, forged, "forger-2").ok()

    def there() -> Any:
        policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "forger-2")
        return policy["spec"]["workloads"]["hostnames"]

    wait_for(lambda: there() == [".forger.test"], what="the name to be taken out")
    settled(admin, "wronged")
    assert in_force(admin, "wronged") == [".wronged.test"]
