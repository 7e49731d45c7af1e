"""NetworkPolicies: nothing in, nothing out, but DNS and the tenant itself.

NetworkPolicies add up, so each opening is one of its own. Every list is written, empty ones
too: a rule that somebody adds is then overwritten by the next apply.
"""

from typing import Any

from securetenant.api import kinds, names, objects
from securetenant.api.objects import Manifest
from securetenant.desired.scope import Scope

_Rules = list[dict[str, Any]]


def build(scope: Scope) -> tuple[Manifest, ...]:
    """Return the NetworkPolicies of the namespace."""
    policies = [_default_deny(scope), *_dns(scope)]
    if scope.same_tenant == "Allow":
        policies.append(_same_tenant(scope))
    return tuple(policies)


def _default_deny(scope: Scope) -> Manifest:
    """Select every pod, in both directions, and allow nothing.

    Source: Kubernetes documentation, "Network Policies": both policyTypes are written, since
    Egress is not implied.
    """
    return _policy(scope, names.DEFAULT_DENY, ("Ingress", "Egress"), ingress=[], egress=[])


def _dns(scope: Scope) -> list[Manifest]:
    """Allow the cluster's DNS, by pod and by address.

    NodeLocal DNS listens on the node and is no pod to a selector, so it needs its address.
    """
    dns = scope.settings.dns
    peers: _Rules = [
        {
            "namespaceSelector": {"matchLabels": dict(sorted(each.namespace_labels.items()))},
            "podSelector": {"matchLabels": dict(sorted(each.pod_labels.items()))},
        }
        for each in dns.pods
    ]
    peers += [{"ipBlock": {"cidr": address}} for address in dns.addresses]
    if not peers:
        # A rule without peers would allow everybody.
        return []
    ports = [
        {"port": port, "protocol": protocol} for port in dns.ports for protocol in ("UDP", "TCP")
    ]
    return [
        _policy(scope, names.DNS, ("Egress",), ingress=[], egress=[{"to": peers, "ports": ports}])
    ]


def _same_tenant(scope: Scope) -> Manifest:
    """Allow traffic between all namespaces that carry the tenant's label."""
    own = [{"namespaceSelector": {"matchLabels": {names.TENANT_LABEL: scope.tenant}}}]
    return _policy(
        scope,
        names.SAME_TENANT,
        ("Ingress", "Egress"),
        ingress=[{"from": own}],
        egress=[{"to": own}],
    )


def _policy(
    scope: Scope, name: str, types: tuple[str, ...], *, ingress: _Rules, egress: _Rules
) -> Manifest:
    return objects.manifest(
        kinds.NETWORK_POLICY,
        name=name,
        namespace=scope.namespace.name,
        labels=scope.labels,
        spec={
            "podSelector": {},
            "policyTypes": list(types),
            "ingress": ingress,
            "egress": egress,
        },
    )
