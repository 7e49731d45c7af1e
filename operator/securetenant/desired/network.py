"""NetworkPolicies: nothing in, nothing out, but DNS, the tenant itself, and what is declared.

NetworkPolicies add up, so each opening is one of its own. Every list is written, empty ones
too: a rule that somebody adds is then overwritten by the next apply.
"""

import functools
from collections import defaultdict
from typing import Any, NamedTuple

from securetenant.api import aside, kinds, names, objects
from securetenant.api.objects import Manifest
from securetenant.desired import openings
from securetenant.desired.openings import Opened
from securetenant.desired.peers import Agreement
from securetenant.desired.scope import Scope

_Rules = list[dict[str, Any]]


def build(scope: Scope) -> tuple[Manifest, ...]:
    """Return the NetworkPolicies of the namespace, were it not quarantined."""
    policies = [_default_deny(scope), *_dns(scope)]
    if scope.same_tenant == "Allow":
        policies.append(_same_tenant(scope))
    policies += _api_server(scope)
    policies += [_opening(scope, each) for each in scope.openings]
    policies += _peers(scope)
    return tuple(policies)


def build_cut(scope: Scope) -> tuple[Manifest, ...]:
    """Return them in quarantine, put aside but for default-deny: nothing in, nothing out."""
    return tuple(
        each if each.ref.name == names.DEFAULT_DENY else _put_aside(each) for each in build(scope)
    )


def _put_aside(manifest: Manifest) -> Manifest:
    """Return a NetworkPolicy as it is, but that it selects no pod."""
    spec = {**manifest.body["spec"], "podSelector": {"matchExpressions": list(aside.MARKS)}}
    return Manifest(manifest.ref, {**manifest.body, "spec": spec})


class Named(NamedTuple):
    """What the namespace is open to by what its tenant declares: sorted, each once."""

    namespaces: tuple[str, ...]
    """Namespaces of peers, as both tenants agree."""
    cidrs: tuple[str, ...]
    """Networks of openings, both directions; their exceptions are not taken out."""


def named(scope: Scope) -> Named:
    """Return the namespaces and networks that the tenant's own NetworkPolicies may name too."""
    return Named(
        tuple(
            sorted(
                {
                    namespace
                    for each in scope.agreements
                    for namespace in (
                        each.target_namespaces
                        if each.source == scope.tenant
                        else each.source_namespaces
                    )
                }
            )
        ),
        tuple(
            sorted({cidr for each in scope.openings if not each.is_platform for cidr in each.cidrs})
        ),
    )


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
    servers = [openings.platform(each.namespace_labels, each.pod_labels) for each in dns.pods]
    servers += [{"ipBlock": {"cidr": address}} for address in dns.addresses]
    if not servers:
        # A rule without peers would allow everybody.
        return []
    ports = [
        {"port": port, "protocol": protocol} for port in dns.ports for protocol in ("UDP", "TCP")
    ]
    return [
        _policy(scope, names.DNS, ("Egress",), ingress=[], egress=[{"to": servers, "ports": ports}])
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


def _api_server(scope: Scope) -> list[Manifest]:
    """Allow the API server, at the addresses of TenancySettings."""
    known = scope.settings.api_server
    if scope.api_server != "Allow" or known is None or not known.addresses:
        return []
    rule = {
        "to": [{"ipBlock": {"cidr": address}} for address in known.addresses],
        "ports": [{"port": port, "protocol": "TCP"} for port in known.ports],
    }
    return [
        _policy(
            scope,
            names.API_SERVER,
            ("Egress",),
            ingress=[],
            egress=[rule],
            declared="spec.network.apiServer",
        )
    ]


def _opening(scope: Scope, opened: Opened) -> Manifest:
    """Return the NetworkPolicy of an opening; its spec is the same object in every namespace."""
    return objects.manifest(
        kinds.NETWORK_POLICY,
        name=opened.name,
        namespace=scope.namespace.name,
        labels=scope.labels,
        annotations={names.DECLARED_ANNOTATION: opened.declared},
        spec=opened.spec,
    )


def _peers(scope: Scope) -> list[Manifest]:
    """Return the NetworkPolicy for each tenant with which this namespace has a flow."""
    agreed: defaultdict[str, list[Agreement]] = defaultdict(list)
    for each in scope.agreements:
        agreed[each.target if each.source == scope.tenant else each.source].append(each)
    return [
        objects.manifest(
            kinds.NETWORK_POLICY,
            name=names.peer(tenant),
            namespace=scope.namespace.name,
            labels=scope.labels,
            annotations={names.DECLARED_ANNOTATION: f"spec.network.peers {tenant}"},
            spec=_peer(tenant, tuple(flows)),
        )
        for tenant, flows in sorted(agreed.items())
    ]


@functools.lru_cache(maxsize=256)
def _peer(tenant: str, agreed: tuple[Agreement, ...]) -> dict[str, Any]:
    """Allow what both declare; the other side's namespaces count while they are that tenant's.

    The spec is the same object in every namespace with the same flows.
    """
    return _spec(
        ("Ingress", "Egress"),
        ingress=[
            {
                "from": _namespaces(tenant, each.source_namespaces),
                "ports": openings.ports(each.ports),
            }
            for each in agreed
            if each.source == tenant
        ],
        egress=[
            {"to": _namespaces(tenant, each.target_namespaces), "ports": openings.ports(each.ports)}
            for each in agreed
            if each.target == tenant
        ],
    )


def _namespaces(tenant: str, namespaces: tuple[str, ...]) -> _Rules:
    """Return the peer for namespaces by name, while they carry the tenant's label."""
    by_name = {
        "key": names.NAMESPACE_NAME_LABEL,
        "operator": "In",
        "values": list(namespaces),
    }
    return [
        {
            "namespaceSelector": {
                "matchLabels": {names.TENANT_LABEL: tenant},
                "matchExpressions": [by_name],
            }
        }
    ]


def _policy(
    scope: Scope,
    name: str,
    types: tuple[str, ...],
    *,
    ingress: _Rules,
    egress: _Rules,
    declared: str = "",
) -> Manifest:
    return objects.manifest(
        kinds.NETWORK_POLICY,
        name=name,
        namespace=scope.namespace.name,
        labels=scope.labels,
        annotations={names.DECLARED_ANNOTATION: declared} if declared else None,
        spec=_spec(types, ingress=ingress, egress=egress),
    )


def _spec(types: tuple[str, ...], *, ingress: _Rules, egress: _Rules) -> dict[str, Any]:
    return {"podSelector": {}, "policyTypes": list(types), "ingress": ingress, "egress": egress}
