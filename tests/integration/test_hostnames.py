"""Host names on a real API server: a name has one owner at a time."""

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Ready, settled
from factory import tenant
from harness import Api, Operator, conditions, wait_for
from securetenant.api import kinds, names


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
