"""Shares into which no pod of default size fits."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from factory import seen, settings_spec, tenant
from securetenant.api import kinds, limits, names, quantities, status
from securetenant.api.objects import Ref
from securetenant.desired import unit
from securetenant.plan import ledger, ownership, shares
from securetenant.plan.ledger import Part
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

DEFAULT = {"pods": 50, "count/configmaps": 200, "limits.cpu": 8, "requests.cpu": 4}
NEEDS = shares.needs(limits.effective(None))


def read(number: int, settings: Any = None, **spec: Any) -> Tenants:
    """Read a tenant with so many namespaces."""
    tenants = Tenants()
    spaces = spec.pop("namespaces", [{"name": f"acme-{each:03}"} for each in range(number)])
    tenants.see("acme", seen(tenant("acme", namespaces=spaces, **spec)))
    tenants.read("acme", settings_spec(**(settings or {"defaultQuota": DEFAULT})), Store())
    return tenants


def test_shares_that_hold_no_pod_of_default_size_are_said_with_what_would_be_enough() -> None:
    """T2: 110 namespaces on a default quota were Ready, 60 of which could hold no pod."""
    (finding,) = read(110, quotaMode="Split").records["acme"].findings
    assert (finding.type, finding.reason) == (status.QUOTA_ENFORCED, status.SHARE_TOO_SMALL)
    assert finding.message == (
        "No pod of default size fits into the share of acme-000, acme-001, acme-002 and 107 more"
        " (limits.cpu is 72m and it takes 500m; pods is 0 and it takes 1; requests.cpu is 36m and"
        " it takes 50m). Write at least limits.cpu: 55, pods: 110, requests.cpu: 5500m into"
        " spec.quota, name fewer namespaces, give these a larger weight, or lower"
        " spec.containerLimits"
    )
    enough = {"limits.cpu": 55, "pods": 110, "requests.cpu": "5500m"}
    assert read(110, quota=enough, quotaMode="Split").records["acme"].findings == ()


def test_a_share_of_zero_of_anything_else_is_said_and_keeps_nothing_from_being_ready() -> None:
    """T2: 90 of 110 namespaces could have no volume claim, and nothing said so."""
    settings = {"defaultQuota": {"persistentvolumeclaims": 2, "services": 3, "secrets": 0}}
    (finding,) = read(3, settings=settings, quotaMode="Split").records["acme"].findings
    assert finding.informs
    assert (finding.type, finding.reason) == (status.QUOTA_ENFORCED, status.SHARE_TOO_SMALL)
    assert finding.message == (
        "A share is zero where the total is less than one for each namespace:"
        " persistentvolumeclaims (acme-002). Raise it in spec.quota, or give a namespace that needs"
        " some a weight or a fixed part."
    )


def test_what_the_platform_asked_for_is_not_too_small() -> None:
    """T2: a total of zero and a part that is fixed are wishes."""
    assert read(3, quota={"pods": 0}).records["acme"].findings == ()
    fixed = [{"name": "acme-a", "quota": {"hard": {"pods": 0}}}, {"name": "acme-b"}]
    assert read(2, namespaces=fixed).records["acme"].findings == ()


def test_smaller_defaults_make_a_share_large_enough() -> None:
    """T2: the need is what a container gets that says nothing."""
    assert read(20).records["acme"].findings
    small = {"default": {"cpu": "100m"}}
    assert read(20, containerLimits=small).records["acme"].findings == ()


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 9), min_size=1),
    st.fixed_dictionaries({key: st.integers(1, 3 * need) for key, need in NEEDS.items()}),
)
def test_what_is_said_to_be_enough_is(weights: dict[str, int], total: dict[str, int]) -> None:
    """T2: the advice in the message is right for every weight, and not for less than it needs."""
    parts = {name: Part(weight, {}) for name, weight in weights.items()}
    split = ledger.balance(total, parts, {}, {}).shares
    found = shares.too_small(NEEDS, total, parts, split)
    raised = {**total, **{each.resource: each.enough for each in found}}
    again = ledger.balance(raised, parts, {}, {}).shares
    assert shares.too_small(NEEDS, raised, parts, again) == ()


def hard(tenants: Tenants, namespace: str) -> dict[str, str]:
    wanted = tenants.records["acme"].units[namespace]
    bodies = {each.ref: each.body for each in unit.build(wanted.scope)}
    ref = Ref(kinds.RESOURCE_QUOTA.name, namespace, names.QUOTA)
    return dict(bodies[ref]["spec"]["hard"])


def test_what_the_cluster_puts_into_every_namespace_has_room_beside_the_share() -> None:
    """T2: namespaces had neither kube-root-ca.crt nor the ServiceAccount default."""
    counted = {
        "configmaps": 1,
        "count/configmaps": 1,
        "count/serviceaccounts": 1,
        "count/limitranges": 1,
        "count/resourcequotas": 1,
        "count/tenantpolicies.securetenant.io": 1,
        "count/roles.rbac.authorization.k8s.io": 1,
    }
    tenants = read(3, settings={"defaultQuota": counted})
    for namespace, mine in (("acme-000", 1), ("acme-001", 0), ("acme-002", 0)):
        found = hard(tenants, namespace)
        assert {key: found[key] for key in counted} == {
            key: str(mine + (not key.startswith("count/roles"))) for key in counted
        }
        policy = tenants.records["acme"].units[namespace].scope.share
        assert policy["configmaps"] == str(mine), "the share is the tenant's"


def test_a_bound_holds_for_what_lies_beside_the_share_too() -> None:
    """T2: the policies hold the operator to bounds.quota, so nothing is added to such a key."""
    bounds = {"quota": {"configmaps": 5}}
    tenants = read(1, settings={"defaultQuota": {"configmaps": 5}, "bounds": bounds})
    assert hard(tenants, "acme-000")["configmaps"] == "5"


def test_what_only_a_bound_names_is_counted_but_for_devices() -> None:
    """A ResourceQuota without a key limits nothing of it, but for what pods.yaml looks up there."""
    bounds = {"quota": {"configmaps": 5, "requests.example.com/gpu": 2}}
    found = hard(read(1, settings={"bounds": bounds, "defaultQuota": {"pods": 3}}), "acme-000")
    assert found["configmaps"] == "5"
    assert "requests.example.com/gpu" not in found


def test_no_cpu_limits_are_refused_where_they_are_bounded() -> None:
    bounds = {"quota": {"limits.cpu": 5}}
    limits = {"containerLimits": {"cpuLimit": "None"}}
    settings = {"bounds": bounds, "defaultQuota": {"pods": 3}}
    record = read(1, settings=settings, **limits).records["acme"]
    assert record.is_refused
    assert record.findings[0].message.startswith("nothing counts limits.cpu, the bound is 5")


def test_the_platform_decides_about_cpu_limits_where_a_tenant_says_nothing() -> None:
    settings = {
        "defaultQuota": {"pods": 3, "limits.cpu": 8},
        "containerLimits": {"cpuLimit": "None"},
    }
    assert "limits.cpu" not in hard(read(1, settings=settings), "acme-000")
    for wish in (
        {"containerLimits": {"cpuLimit": "Required"}},
        {"containerLimits": {"max": {"cpu": 2}}},
        {"quota": {"limits.cpu": 4}},
    ):
        assert "limits.cpu" in hard(read(1, settings=settings, **wish), "acme-000")


def test_room_beside_the_share_is_no_part_of_the_total() -> None:
    """T2: what is in force is read back without it, so shares neither shrink nor wait."""
    tenants, store = read(3, settings={"defaultQuota": {"configmaps": 9}}), Store()
    for namespace in tenants.records["acme"].units:
        found = hard(tenants, namespace)
        assert found["configmaps"] == "4"
        body = {
            "kind": "ResourceQuota",
            "metadata": {"uid": namespace, "resourceVersion": "1"},
            "spec": {"hard": found},
            "status": {"hard": found},
        }
        ref = Ref(kinds.RESOURCE_QUOTA.name, namespace, names.QUOTA)
        store.put(ref, ownership.observe(body))
    tenants.read("acme", settings_spec(defaultQuota={"configmaps": 9}), store)
    record = tenants.records["acme"]
    assert not record.is_waiting
    assert {each.share["configmaps"] for each in record.units.values()} == {3}
    assert {each.given["configmaps"] for each in record.units.values()} == {3}
    assert quantities.plus("requests.cpu", "500m", 0) == "500m"
