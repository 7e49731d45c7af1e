"""What the people on call see: metrics that rise when something is wrong, a log that tells."""

import re

from conftest import Ready, settled
from factory import tenant
from harness import Api, Operator, wait_for
from securetenant.api import kinds, names
from securetenant.telemetry.metrics import Metrics


def failures(operator: Operator) -> float:
    """Return how many pieces of work went wrong so far."""
    found = re.findall(
        r'^securetenant_reconcile_seconds_count\{.*result="failed".*\} (\S+)$',
        operator.asked("metrics"),
        re.MULTILINE,
    )
    return sum(map(float, found))


def test_a_healthy_tenant_raises_no_alarm(admin: Api, ready: Ready, operator: Operator) -> None:
    """O1: waiting for a quota to be counted was counted as a failure, for every new tenant."""
    before = failures(operator)
    ready(tenant("calm"))
    assert failures(operator) == before


def test_a_tenant_that_is_not_ready_is_counted(admin: Api, operator: Operator) -> None:
    """O3: nothing counted them."""
    admin.create(kinds.NAMESPACE, {"metadata": {"name": "occupied"}}).ok()
    admin.create(kinds.SECURE_TENANT, tenant("unhappy", namespaces=[{"name": "occupied"}])).ok()
    settled(admin, "unhappy", expected="Failed")
    assert operator.metric("securetenant_tenants_not_ready") >= 1
    admin.delete(kinds.SECURE_TENANT, "unhappy").ok()


def test_each_tenant_is_counted_once_and_forgotten_when_it_is_gone() -> None:
    metrics = Metrics()

    def count() -> int:
        found = re.search(
            rb"^securetenant_tenants_not_ready (\S+)$", metrics.exposition(), re.MULTILINE
        )
        assert found is not None
        return int(float(found[1]))

    for tenant_name, is_ready, counted in (
        ("a", False, 1),
        ("a", False, 1),
        ("b", False, 2),
        ("a", True, 1),
    ):
        metrics.stood(tenant_name, is_ready=is_ready)
        assert count() == counted
    metrics.forgot("b")
    assert count() == 0


def test_the_log_tells_what_was_made_repaired_and_let_go(
    admin: Api, breaker: Api, ready: Ready, operator: Operator
) -> None:
    """O2: it held nothing that the operator did."""
    ready(tenant("logged", namespaces=[{"name": "logged-a"}]))
    breaker.delete(kinds.NETWORK_POLICY, names.DEFAULT_DENY, "logged-a").ok()
    wait_for(
        lambda: admin.get(kinds.NETWORK_POLICY, names.DEFAULT_DENY, "logged-a"), what="the repair"
    )
    admin.delete(kinds.SECURE_TENANT, "logged").ok()
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "logged") is None, what="the end", seconds=20)

    wait_for_line(operator, "Namespace logged-a of tenant logged is created")
    wait_for_line(
        operator, f"NetworkPolicy {names.DEFAULT_DENY} in logged-a was deleted; it is back"
    )
    wait_for_line(operator, "Namespace logged-a is retained")


def wait_for_line(operator: Operator, line: str) -> None:
    wait_for(lambda: line in operator.log.read_text(encoding="utf-8"), what=line)


def test_the_settings_tell_by_events_what_became_of_them(
    admin: Api, operator: Operator, ready: Ready
) -> None:
    """O4: a policy that was changed, and that it is right again, stood in the status alone."""
    path = kinds.VALIDATING_BINDING.path("", "securetenant-token-hints")
    before = admin.call("GET", path).ok()["spec"]["validationActions"]

    def told(reason: str) -> bool:
        return any(
            each["reason"] == reason and "PoliciesInForce" in each["note"]
            for each in admin.list(kinds.EVENT, "default")
            if each["regarding"]["kind"] == kinds.TENANCY_SETTINGS.name
        )

    admin.patch(
        kinds.VALIDATING_BINDING,
        "securetenant-token-hints",
        {"spec": {"validationActions": ["Audit"]}},
    ).ok()
    try:
        wait_for(lambda: told("PoliciesChanged"), what="the event", seconds=20)
    finally:
        back = {"spec": {"validationActions": before}}
        admin.patch(kinds.VALIDATING_BINDING, "securetenant-token-hints", back).ok()
    wait_for(lambda: told("AsSpecified"), what="the other event", seconds=20)
