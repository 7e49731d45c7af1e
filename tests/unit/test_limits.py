"""LimitRanges: complete, free of contradictions, never zero."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from securetenant.api import limits, quantities
from securetenant.api.limits import ContainerLimits

amounts = st.sampled_from(
    ["0", "0Mi", "1n", "1m", "10m", "50m", "100m", "500m", "1", "2", "4Mi", "128Mi", "512Mi", "2Gi"]
)
resources = st.fixed_dictionaries({}, optional={"cpu": amounts, "memory": amounts})
bounds = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("min", "defaultRequest", "default", "max"), resources)
)


@given(bounds)
def test_what_is_accepted_gives_bounds_in_rising_order(spec: dict[str, Any]) -> None:
    """Kubernetes refuses a LimitRange whose bounds contradict each other."""
    try:
        effective = limits.effective(ContainerLimits.model_validate(spec))
    except ValidationError:
        return
    for resource in limits.RESOURCES:
        order = [
            quantities.units(resource, bound[resource])
            for bound in (
                effective.min,
                effective.default_request,
                effective.default,
                effective.max,
            )
            if resource in bound
        ]
        assert order == sorted(order)
        assert order[0] > 0, "S15: explicit zero limits would run unlimited (D01)"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"min": {"cpu": 0}}, "min is zero for a resource"),
        ({"min": {"memory": "0Mi"}}, "min is zero for a resource"),
        ({"min": {"cpu": 2}, "max": {"cpu": 1}}, "min is above max"),
        ({"defaultRequest": {"cpu": 2}, "default": {"cpu": 1}}, "defaultRequest is above default"),
        ({"max": {"cpu": "lots"}}, "a quantity is a number of zero or more"),
        ({"max": {"cpu": -1}}, "a quantity is a number of zero or more"),
    ],
)
def test_contradictions_are_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ContainerLimits.model_validate(spec)


@pytest.mark.parametrize("bound", ["min", "defaultRequest", "default", "max"])
@pytest.mark.parametrize("resource", limits.RESOURCES)
@pytest.mark.parametrize("zero", [0, "0", "0Mi", "0e3", "-0", "0.0"])
def test_a_zero_in_any_bound_is_refused(bound: str, resource: str, zero: Any) -> None:
    """S15: a zero in default, defaultRequest or max pulled min to zero, which opens the quota."""
    with pytest.raises(ValidationError, match=f"{bound} is zero for a resource"):
        ContainerLimits.model_validate({bound: {resource: zero}})


def test_less_than_a_unit_is_not_a_zero() -> None:
    """S15: what Kubernetes rounds up to one unit does not become zero here."""
    effective = limits.effective(
        ContainerLimits.model_validate({"max": {"cpu": "1n", "memory": "1m"}})
    )
    assert (effective.min["cpu"], effective.min["memory"]) == ("1m", "1")


def test_our_defaults_give_way_to_what_is_given() -> None:
    effective = limits.effective(ContainerLimits.model_validate({"max": {"cpu": "10m"}}))
    assert (effective.default["cpu"], effective.default_request["cpu"]) == ("10m", "10m")
    effective = limits.effective(ContainerLimits.model_validate({"min": {"cpu": 2}}))
    assert (effective.default["cpu"], effective.default_request["cpu"]) == ("2", "2")
