"""What a spec can say of a pool, and the messages about everything else."""

from typing import Any

import pytest

from factory import tenant
from securetenant.api.securetenant import TenantSpec
from securetenant.reconcile.tenants import RefusedSpecError, validate


def refusal(quota: dict[str, Any], **spec: Any) -> str:
    """Return why a spec with that part of a namespace is refused."""
    body = tenant("acme", namespaces=[{"name": "acme-a", "quota": quota}], **spec)
    with pytest.raises(RefusedSpecError) as caught:
        validate(TenantSpec, body["spec"])
    return str(caught.value)


@pytest.mark.parametrize("field", ["guaranteed", "max"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"cpu": 1}, "cpu is nothing that spec.quota may limit"),
        ({"count/rolebindings.rbac.authorization.k8s.io": 1}, "is nothing that spec.quota may"),
        ({"pods": "1500m"}, "pods is 1500m; it is counted by whole numbers"),
        ({"pods": -1}, "a quantity is a number of zero or more"),
        ({f"count/a{each}.b": 1 for each in range(17)}, "at most 16"),
    ],
)
def test_a_part_that_nothing_can_keep_is_refused(
    field: str, value: dict[str, Any], message: str
) -> None:
    text = refusal({field: value})
    assert text.startswith(f"spec.namespaces.0.quota.{field}")
    assert message in text


def test_more_is_not_guaranteed_than_the_most() -> None:
    text = refusal({"guaranteed": {"limits.cpu": "2"}, "max": {"limits.cpu": "1500m"}})
    assert "guaranteed is 2 and max is 1500m of limits.cpu: lower the first or raise" in text


@pytest.mark.parametrize("part", [{"guaranteed": {"pods": 1}}, {"max": {"pods": 1}}])
def test_fixed_shares_have_no_bounds_of_a_pool(part: dict[str, Any]) -> None:
    text = refusal(part, quotaMode="Split")
    assert "quotaMode is Split, where shares are fixed: leave guaranteed and max out" in text


@pytest.mark.parametrize(
    "part", [{}, {"hard": {"pods": 1}, "weight": 1}, {"hard": {"pods": 1}, "max": {"pods": 1}}]
)
def test_a_fixed_part_is_nothing_else_too(part: dict[str, Any]) -> None:
    assert "say hard (a fixed part), or any of weight, guaranteed and max" in refusal(part)


def test_an_unknown_mode_is_refused() -> None:
    assert "'Pool' or 'Split'" in refusal({"weight": 1}, quotaMode="Shared")
