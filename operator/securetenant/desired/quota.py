"""ResourceQuota and LimitRange: how much the namespace and each container may use."""

from collections.abc import Mapping

from securetenant.api import kinds, names, objects, quantities, quotas
from securetenant.api.objects import Manifest
from securetenant.desired.scope import Scope

_ROOM = 50
"""NetworkPolicies, and RoleBindings, that a tenant may make in a namespace."""


def build(scope: Scope, *, network_policies: int, role_bindings: int) -> tuple[Manifest, ...]:
    """Return the LimitRange, then the ResourceQuota.

    The two numbers are how many of them the operator makes here. The quota demands requests and
    limits of every container; the LimitRange gives them to those that name none, so it comes first.
    """
    own = (network_policies, role_bindings)
    extra = {key: str(count + _ROOM) for key, count in zip(quotas.COUNTED_BESIDE, own, strict=True)}
    return (_limit_range(scope), _resource_quota(scope, extra))


def lifted(manifest: Manifest) -> Manifest:
    """Return the ResourceQuota without what limits the number of NetworkPolicies and RoleBindings.

    For the moment in which one of the operator's own is missing and the tenant's fill the room:
    whatever room were added, the tenant's next ones could take it. Nothing else is uncounted.
    """
    hard = {
        key: value
        for key, value in manifest.body["spec"]["hard"].items()
        if key not in quotas.COUNTED_BESIDE
    }
    body = {**manifest.body, "spec": {**manifest.body["spec"], "hard": hard}}
    return Manifest(manifest.ref, body)


def _limit_range(scope: Scope) -> Manifest:
    """Return the LimitRange with all four maps, as the API server would complete them."""
    limits = scope.limits
    item: dict[str, object] = {
        "type": "Container",
        "default": limits.default,
        "defaultRequest": limits.default_request,
        "min": limits.min,
    }
    if limits.max:
        item["max"] = limits.max
    return objects.manifest(
        kinds.LIMIT_RANGE,
        name=names.LIMITS,
        namespace=scope.namespace.name,
        labels=scope.labels,
        spec={"limits": [item]},
    )


def _resource_quota(scope: Scope, extra: Mapping[str, str]) -> Manifest:
    """Return the ResourceQuota; scopes are written empty, since a scope would exempt pods."""
    bounded = (scope.settings.bounds and scope.settings.bounds.quota) or {}
    share = {
        key: quantities.plus(key, value, quotas.surplus(key, bounded))
        for key, value in scope.share.items()
    }
    return objects.manifest(
        kinds.RESOURCE_QUOTA,
        name=names.QUOTA,
        namespace=scope.namespace.name,
        labels=scope.labels,
        spec={"hard": {**share, **extra}, "scopes": []},
    )
