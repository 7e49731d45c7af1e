"""What takes away reaches a real cluster at once: refused specs, retained and doomed namespaces."""

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Ready
from factory import tenant
from harness import Api, Operator, conditions, settle, wait_for, writes_by_operator
from securetenant.api import kinds, names
from securetenant.sandbox.instances import Instance


def grants(*groups: str) -> list[dict[str, Any]]:
    subjects = [{"kind": "Group", "name": each} for each in groups]
    return [{"name": "devs", "role": "Developer", "subjects": subjects}]


def holders(admin: Api, namespace: str) -> list[str]:
    body = admin.get(kinds.ROLE_BINDING, names.role_binding("Developer"), namespace)
    return [each["name"] for each in body.get("subjects") or ()] if body else []


def lockdown(admin: Api, namespace: str) -> tuple[str, str]:
    """Return what the label says, and what the TenantPolicy tells."""
    labels = admin.get(kinds.NAMESPACE, namespace)["metadata"]["labels"]
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, namespace)
    return labels.get(names.LOCKDOWN_LABEL, "None"), policy["spec"]["lockdown"]


def change(admin: Api, name: str, **spec: Any) -> None:
    admin.patch(kinds.SECURE_TENANT, name, {"spec": spec}).ok()


def wait_until(
    admin: Api, namespace: str, *, left: list[str], locked: str, seconds: float = 20
) -> None:
    wanted = (left, (locked, locked))
    wait_for(
        lambda: (holders(admin, namespace), lockdown(admin, namespace)) == wanted,
        what=f"{namespace} to be {wanted}",
        seconds=seconds,
    )


def reason(admin: Api, name: str) -> str:
    return str(conditions(admin.get(kinds.SECURE_TENANT, name))["Ready"]["reason"])


@pytest.fixture
def narrow(admin: Api) -> Iterator[dict[str, Any]]:
    """Bounds that every tenant passes by its quota: all specs are refused meanwhile."""
    before = admin.get(kinds.TENANCY_SETTINGS, "default")["spec"]["teardownsPerHour"]
    yield {"bounds": {"quota": {"count/secrets": 0}}}
    spec = {"bounds": None, "teardownsPerHour": before}
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": spec}).ok()


def refused(name: str, *groups: str) -> dict[str, Any]:
    """Return a tenant that passes the bounds above, and no others."""
    return tenant(name, quota={"count/secrets": 10}, access=grants(*groups))


def test_a_refused_spec_freezes_and_withdraws_everywhere(
    admin: Api, ready: Ready, narrow: dict[str, Any]
) -> None:
    """S6: ``lockdown: Frozen`` and a withdrawn grant do nothing while the spec is refused.

    Namespace b was retained before: what takes away reaches it too.
    """
    ready(refused("bites", "stays", "leaves"))
    change(admin, "bites", namespaces=[{"name": "bites-a"}])
    wait_for(
        lambda: (
            admin.get(kinds.NAMESPACE, "bites-b")["metadata"]["labels"][names.STATE_LABEL]
            == names.RETAINED
        ),
        what="the namespace to be retained",
    )
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": narrow}).ok()
    wait_for(lambda: reason(admin, "bites") == "BoundPassed", what="the refusal")
    for each in ("bites-a", "bites-b"):
        assert holders(admin, each) == ["leaves", "stays"], "bounds take nothing away"
    change(admin, "bites", lockdown="Frozen", access=grants("stays", "comes"))
    for each in ("bites-a", "bites-b"):
        wait_until(admin, each, left=["stays"], locked="Frozen")
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
        path = f"/api/v1/namespaces/{each}/configmaps"
        answer = admin.call("POST", path, config, dryRun="All")
        assert "'securetenant-lockdown'" in answer.message
    assert reason(admin, "bites") == "BoundPassed"


def test_a_spec_that_is_refused_since_before_the_operator_started_withdraws_too(
    sandbox: Instance, admin: Api, ready: Ready, operator: Operator, narrow: dict[str, Any]
) -> None:
    """S6: after a restart nobody knows the last good spec; what takes away is applied all the same.

    And nothing is written twice.
    """
    ready(refused("waits", "stays", "leaves"))
    assert operator.stop() == 0
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": narrow}).ok()
    change(admin, "waits", lockdown="Frozen", access=grants("stays"))
    operator.start()
    for each in ("waits-a", "waits-b"):
        wait_until(admin, each, left=["stays"], locked="Frozen")
    seen = settle(sandbox)
    assert operator.stop() == 0
    operator.start()
    settle(sandbox)
    ours = [
        event["requestURI"]
        for event in writes_by_operator(sandbox)[seen:]
        if (event["objectRef"].get("namespace") or "").startswith("waits-")
        or event["objectRef"].get("name", "").startswith("waits-")
    ]
    assert ours == []
    change(admin, "waits", lockdown="None")
    change(admin, "waits", access=[])
    wait_until(admin, "waits-a", left=[], locked="Frozen")


def test_a_retained_namespace_follows_what_takes_away_and_is_thawed_again(
    admin: Api, ready: Ready
) -> None:
    """S6: restrictions do not reach retained namespaces."""
    ready(tenant("cold", access=grants("stays", "leaves")))
    ready(tenant("cold", namespaces=[{"name": "cold-a"}], access=grants("stays", "leaves")))
    change(admin, "cold", lockdown="Frozen", access=grants("stays"))
    wait_until(admin, "cold-b", left=["stays"], locked="Frozen")
    change(admin, "cold", lockdown="None", access=grants("stays", "leaves"))
    wait_until(admin, "cold-a", left=["leaves", "stays"], locked="None")
    wait_until(admin, "cold-b", left=["stays"], locked="None")


def test_a_tenant_that_waits_for_its_teardown_can_be_frozen(
    admin: Api, ready: Ready, narrow: dict[str, Any]
) -> None:
    """S6: a deleted SecureTenant may wait for hours, and its members work on meanwhile."""
    ready({**tenant("doomed", access=grants("stays", "leaves"), deletionPolicy="Delete")})
    patched = admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"teardownsPerHour": 0}})
    generation = patched.ok()["metadata"]["generation"]
    wait_for(
        lambda: (
            admin.get(kinds.TENANCY_SETTINGS, "default")["status"]["observedGeneration"]
            == generation
        ),
        what="the operator to see the settings",
    )
    admin.delete(kinds.SECURE_TENANT, "doomed").ok()
    wait_for(lambda: reason(admin, "doomed") == "TeardownDelayed", what="the condition")
    change(admin, "doomed", lockdown="Frozen", access=grants("stays"))
    for each in ("doomed-a", "doomed-b"):
        wait_until(admin, each, left=["stays"], locked="Frozen")
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"teardownsPerHour": 100}}).ok()
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "doomed") is None, what="the end", seconds=60)
