"""What objects take of a quota, and what a quota of somebody else leaves for the operator."""

from collections.abc import Mapping
from typing import Any

from securetenant.api import kinds, names, quantities
from securetenant.api.kinds import Kind
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


def of_object(kind: Kind, body: Body) -> dict[str, int]:
    """Return what an object that is no pod takes, in units of each resource.

    Source: Kubernetes documentation, "Resource Quotas".
    """
    found = {kind.counted: 1}
    spec = body.get("spec") or {}
    if kind is kinds.SERVICE:
        ports = spec.get("ports") or ()
        is_balanced = spec.get("type") == "LoadBalancer"
        opens = spec.get("type") == "NodePort" or (
            is_balanced and spec.get("allocateLoadBalancerNodePorts") is not False
        )
        found |= {
            "services": 1,
            "services.loadbalancers": int(is_balanced),
            "services.nodeports": sum(opens or bool(each.get("nodePort")) for each in ports),
        }
    elif kind is kinds.CLAIM:
        asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")
        of_class = f"{spec.get('storageClassName', '')}.storageclass.storage.k8s.io"
        storage = _units("requests.storage", asked)
        found |= {
            "persistentvolumeclaims": 1,
            "requests.storage": storage,
            f"{of_class}/persistentvolumeclaims": 1,
            f"{of_class}/requests.storage": storage,
        }
    return found


def beyond(
    taken: Mapping[str, int], share: Mapping[str, str], what: str = "its pods take"
) -> tuple[str, ...]:
    """Say what ``what`` takes, in units, beyond a namespace's share of its tenant's quota."""
    return tuple(
        f"{what} {key} {quantities.canonical(key, amount)}, and it can have {share[key]}"
        " (spec.quota)"
        for key, amount in sorted(taken.items())
        if key in share and amount > quantities.units(key, share[key])
    )


def crowded(quota: Body, made: Mapping[Kind, int]) -> tuple[str, ...]:
    """Say where a ResourceQuota of somebody else leaves no room for what the operator makes.

    ``made`` says how many objects of each kind are to come. What is not counted yet is not
    enforced yet either.
    """
    metadata, status = quota["metadata"], quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    wanted = {kind.counted: count for kind, count in made.items()}
    wanted["resourcequotas"] = made.get(kinds.RESOURCE_QUOTA, 0)
    return tuple(
        f"ResourceQuota {metadata['name']} allows {key} {hard[key]}, {used.get(key, '0')} are used,"
        f" and the operator makes {count} more: raise its limit or delete it"
        for key, count in sorted(wanted.items())
        if metadata["name"] != names.QUOTA
        and count
        and key in hard
        and _units(key, used.get(key, "0")) + count > _units(key, hard[key])
    )


def _amount(container: Body, part: str, resource: str, given: Mapping[str, Any]) -> int:
    asked = container.get("resources") or {}
    value = (asked.get(part) or {}).get(resource)
    if value is None and part == "requests":
        value = (asked.get("limits") or {}).get(resource)
    if value is None:
        value = given.get(resource, "0")
    return _units(f"{part}.{resource}", value)


def _units(key: str, value: Any) -> int:
    try:
        return quantities.units(key, value)
    except ValueError:
        return 0
