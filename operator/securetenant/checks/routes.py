"""Which routes of the Gateway API a namespace refuses, and why.

The rules of the policy securetenant-routes, said once more in Python.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from securetenant.api.tenantpolicy import PolicySpec
from securetenant.api.workloads import serves
from securetenant.checks import annotations
from securetenant.checks.objects import is_pattern

Body = Mapping[str, Any]

_GROUP = "gateway.networking.k8s.io"


def serves_beyond(route: Body, namespace: str, policy: PolicySpec) -> Iterator[str]:
    """Yield how a new route serves what is not the tenant's, or sends traffic elsewhere."""
    spec = route.get("spec") or {}
    hosts = spec.get("hostnames") or ()
    if not hosts:
        yield "hostnames"
    yield from (
        f"hostname {each}" for each in hosts if not serves(policy.workloads.hostnames, each)
    )
    for each in spec.get("parentRefs") or ():
        parent = f"{each.get('namespace') or namespace}/{each['name']}"
        if (each.get("kind", "Gateway"), each.get("group", _GROUP)) != ("Gateway", _GROUP) or (
            parent not in policy.workloads.gateways
        ):
            yield f"parent {parent}"
    rules = spec.get("rules") or ()
    for target in _targets(rules):
        if (target.get("namespace") or namespace) != namespace:
            yield f"backend {target['namespace']}/{target.get('name', '')}"
        if (target.get("kind", "Service"), target.get("group", "")) != ("Service", ""):
            yield f"backend of kind {target.get('kind', '')}"
    for each in _filters(rules):
        if "extensionRef" in each:
            yield f"filter {each['extensionRef'].get('kind', '')}"
    yield from (f"pattern {each}" for each in _patterns(rules) if not is_pattern(each))
    carried = route["metadata"].get("annotations") or {}
    for key in annotations.on_routes(carried, policy.workloads.annotations):
        yield f"annotation {key}"


def _filters(rules: Any) -> Iterator[Body]:
    for rule in rules:
        yield from rule.get("filters") or ()
        for each in rule.get("backendRefs") or ():
            yield from each.get("filters") or ()


def _targets(rules: Any) -> Iterator[Body]:
    for rule in rules:
        yield from rule.get("backendRefs") or ()
    for each in _filters(rules):
        for field in ("requestMirror", "externalAuth"):
            found = (each.get(field) or {}).get("backendRef")
            if found is not None:
                yield found


def _patterns(rules: Any) -> Iterator[str]:
    """Yield every regular expression by which requests are matched."""
    for rule in rules:
        for match in rule.get("matches") or ():
            found = [*(match.get("headers") or ()), *(match.get("queryParams") or ())]
            matched = (match.get("path"), match.get("method"))
            found += [each for each in matched if isinstance(each, dict)]
            for each in found:
                if each.get("type") == "RegularExpression":
                    for field in ("value", "service", "method"):
                        if field in each:
                            yield str(each[field])
