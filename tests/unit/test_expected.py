"""Which conditions a namespace's objects prove: each by facts of its own."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from factory import seen, settings_spec, tenant
from securetenant.api import kinds, names, status
from securetenant.api.objects import Ref
from securetenant.desired import namespaces, unit
from securetenant.plan import expected, ownership
from securetenant.plan.expected import Expected, Inside
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

NAMESPACE = Ref(kinds.NAMESPACE.name, "", "acme-a")
DENY = Ref(kinds.NETWORK_POLICY.name, "acme-a", names.DEFAULT_DENY)
QUOTA = Ref(kinds.RESOURCE_QUOTA.name, "acme-a", names.QUOTA)
LIMITS = Ref(kinds.LIMIT_RANGE.name, "acme-a", names.LIMITS)
CANARY = Ref(kinds.ROLE_BINDING.name, "acme-a", "securetenant-canary")
POLICY = Ref(kinds.TENANT_POLICY.name, "acme-a", names.POLICY_NAME)
ENFORCE = f"{names.POD_SECURITY_PREFIX}enforce"


def built() -> tuple[Expected, dict[Ref, Any]]:
    """Return what acme-a should be, and its objects as the API server shows them: all is well."""
    tenants = Tenants()
    tenants.see("acme", seen(tenant("acme", namespaces=[{"name": "acme-a"}])))
    tenants.read("acme", settings_spec(), Store())
    scope = tenants.records["acme"].units["acme-a"].scope
    manifests = (namespaces.build_ready(scope, f"uid-of-{POLICY}"), *unit.build(scope)[1:])
    bodies: dict[Ref, Any] = {each.ref: copy.deepcopy(each.body) for each in manifests}
    for ref, body in bodies.items():
        body["metadata"].update(uid=f"uid-of-{ref}", resourceVersion="1")
    bodies[QUOTA]["status"] = {"hard": dict(bodies[QUOTA]["spec"]["hard"])}
    return expected.expect(unit.build(scope)), bodies


def unproved(wanted: Expected, inside: Inside) -> frozenset[str]:
    return expected.unproved(wanted, inside, expected.pending(wanted, inside))


def observed(bodies: dict[Ref, Any]) -> Inside:
    return {ref: ownership.observe(body) for ref, body in bodies.items()}


def lose(ref: Ref) -> Callable[[dict[Ref, Any]], Any]:
    return lambda bodies: bodies.pop(ref)


def alter(ref: Ref, *path: str, to: Any = None) -> Callable[[dict[Ref, Any]], None]:
    """Set a field, or remove it."""

    def change(bodies: dict[Ref, Any]) -> None:
        parent: Any = bodies[ref]
        for key in path[:-1]:
            parent = parent[key]
        parent.pop(path[-1], None)
        if to is not None:
            parent[path[-1]] = to

    return change


def test_where_every_fact_is_seen_every_condition_is_proved() -> None:
    wanted, bodies = built()
    assert expected.pending(wanted, observed(bodies)) == ()
    assert unproved(wanted, observed(bodies)) == frozenset()
    assert expected.is_guarded(wanted, observed(bodies))


@pytest.mark.parametrize(
    ("change", "aspect", "guarded"),
    [
        pytest.param(lose(DENY), status.NETWORK_ISOLATED, False, id="no default-deny"),
        pytest.param(
            alter(DENY, "spec", "ingress", to=[{}]),
            status.NETWORK_ISOLATED,
            False,
            id="an opened default-deny",
        ),
        pytest.param(lose(QUOTA), status.QUOTA_ENFORCED, False, id="no quota"),
        pytest.param(
            alter(QUOTA, "status", to={}),
            status.QUOTA_ENFORCED,
            False,
            id="a quota that nobody counts",
        ),
        pytest.param(
            alter(QUOTA, "status", "hard", "pods"),
            status.QUOTA_ENFORCED,
            True,
            id="a key of it that nobody counts",
        ),
        pytest.param(lose(LIMITS), status.QUOTA_ENFORCED, False, id="no limits"),
        pytest.param(lose(CANARY), status.ACCESS_SCOPED, True, id="a missing binding"),
        pytest.param(
            alter(NAMESPACE, "metadata", "labels", ENFORCE, to="privileged"),
            status.POD_SECURITY_ENFORCED,
            False,
            id="another level",
        ),
        pytest.param(
            alter(NAMESPACE, "metadata", "labels", ENFORCE),
            status.POD_SECURITY_ENFORCED,
            False,
            id="no level",
        ),
        pytest.param(lose(NAMESPACE), status.POD_SECURITY_ENFORCED, False, id="no namespace"),
    ],
)
def test_each_condition_turns_by_its_own_fact_and_by_no_other(
    change: Callable[[dict[Ref, Any]], Any], aspect: str, guarded: bool
) -> None:
    """T1: an uncounted quota left QuotaEnforced True, and turned PodSecurityEnforced."""
    wanted, bodies = built()
    change(bodies)
    assert unproved(wanted, observed(bodies)) == {aspect}
    assert expected.is_guarded(wanted, observed(bodies)) == guarded


def test_a_namespace_that_only_waits_for_its_quota_keeps_its_other_conditions() -> None:
    """T1: the label ready-for comes last; until then Pod Security is there all the same."""
    wanted, bodies = built()
    alter(NAMESPACE, "metadata", "labels", names.READY_FOR_LABEL)(bodies)
    bodies[QUOTA]["status"] = {}
    inside = observed(bodies)
    assert expected.pending(wanted, inside) == (NAMESPACE,)
    assert unproved(wanted, inside) == {status.QUOTA_ENFORCED}
