"""NetworkPolicies: nothing in, nothing out."""

from securetenant.api import kinds, names, objects
from securetenant.api.objects import Manifest
from securetenant.desired.scope import Scope


def build(scope: Scope) -> tuple[Manifest, ...]:
    """Return the NetworkPolicies of the namespace."""
    return (_default_deny(scope),)


def _default_deny(scope: Scope) -> Manifest:
    """Select every pod, in both directions, and allow nothing.

    Source: Kubernetes documentation, "Network Policies": both policyTypes are written, since
    Egress is not implied; both lists are written empty, so that a rule added by somebody else
    is overwritten by the next apply.
    """
    return objects.manifest(
        kinds.NETWORK_POLICY,
        name=names.DEFAULT_DENY,
        namespace=scope.namespace.name,
        labels=scope.labels,
        spec={
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [],
        },
    )
