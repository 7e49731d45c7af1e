"""What one pod takes of a quota, and what is left of it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from securetenant.api import quantities
from securetenant.api.objects import Body
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import needs


class Lack(NamedTuple):
    """What does not fit."""

    resource: str
    need: str
    left: str
    hard: str
    gets: bool = False
    """Whether a refused controller gets room from the tenant's pool, while there is any."""


class OutOfBounds(NamedTuple):
    """A container that asks for less or more than it may."""

    container: str
    field: str
    found: str
    bound: str


def lacks(spec: Body, policy: PolicySpec, quota: Body | None) -> Iterator[Lack]:
    """Yield of what a quota has less left than one pod takes; without its status, of nothing."""
    found = (quota or {}).get("status") or {}
    hard, used = found.get("hard") or {}, found.get("used") or {}
    for key, need in sorted(needs.of_pod(spec, policy).items()):
        if key not in hard:
            continue
        left = quantities.units(key, hard[key]) - quantities.units(key, used.get(key, "0"))
        if need > left:
            yield Lack(
                key,
                quantities.canonical(key, need),
                quantities.canonical(key, max(left, 0)),
                str(hard[key]),
                gets=policy.quota_mode == "Pool" and _can_grow(key, need, used, policy),
            )


def _can_grow(key: str, need: int, used: Mapping[str, str], policy: PolicySpec) -> bool:
    """Tell whether the namespace can get so much of the tenant's pool, if others leave it."""
    most = quantities.units(key, policy.quota.get(key, 0))
    return quantities.units(key, used.get(key, 0)) + need <= most


def out_of_bounds(spec: Body, policy: PolicySpec) -> Iterator[OutOfBounds]:
    """Yield what containers ask for beyond what the LimitRange lets one have."""
    limits = policy.container_limits
    for container in _containers(spec):
        asked = container.get("resources") or {}
        for resource in needs.COMPUTE:
            most = limits.max.get(resource)
            value = (asked.get("limits") or {}).get(resource)
            if most is not None and value is not None and _is_more(value, most):
                yield OutOfBounds(
                    str(container.get("name", "")), f"limits.{resource}", str(value), str(most)
                )
            least = limits.min.get(resource)
            value = (asked.get("requests") or {}).get(resource)
            if least is not None and value is not None and _is_more(least, value):
                yield OutOfBounds(
                    str(container.get("name", "")), f"requests.{resource}", str(value), str(least)
                )


def _is_more(value: Any, other: Any) -> bool:
    try:
        return quantities.parse(value) > quantities.parse(other)
    except ValueError:
        return False


def _containers(spec: Body) -> list[Body]:
    return [*spec["containers"], *(spec.get("initContainers") or ())]
