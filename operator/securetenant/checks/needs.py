"""What one pod takes of a quota."""

from collections.abc import Mapping
from typing import Any

from securetenant.api import quantities
from securetenant.api.objects import Body
from securetenant.api.tenantpolicy import PolicySpec

COMPUTE = ("cpu", "memory", "ephemeral-storage")


def of_pod(spec: Body, policy: PolicySpec) -> dict[str, int]:
    """Return what one pod takes, in units of each resource; defaults filled in.

    Source: Kubernetes documentation, "Init Containers", resource sharing: the larger of what all
    containers take together and what the largest init container takes.
    """
    found = {"pods": 1, "count/pods": 1}
    for part, given in (
        ("requests", policy.container_limits.default_request),
        ("limits", policy.container_limits.default),
    ):
        for resource in COMPUTE:
            key = f"{part}.{resource}"
            running = [_amount(each, part, resource, given) for each in spec["containers"]]
            first = [
                _amount(each, part, resource, given) for each in spec.get("initContainers") or ()
            ]
            found[key] = max([sum(running), *first])
    return found


def beyond(taken: Mapping[str, int], share: Mapping[str, str]) -> tuple[str, ...]:
    """Say what pods take, in units, beyond a namespace's share of its tenant's quota."""
    return tuple(
        f"its pods take {key} {quantities.canonical(key, amount)}, and its share is {share[key]}"
        " (spec.quota)"
        for key, amount in sorted(taken.items())
        if key in share and amount > quantities.units(key, share[key])
    )


def _amount(container: Body, part: str, resource: str, given: Mapping[str, Any]) -> int:
    asked = container.get("resources") or {}
    value = (asked.get(part) or {}).get(resource)
    if value is None and part == "requests":
        value = (asked.get("limits") or {}).get(resource)
    if value is None:
        value = given.get(resource, "0")
    try:
        return quantities.units(f"{part}.{resource}", value)
    except ValueError:
        return 0
