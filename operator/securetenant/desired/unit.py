"""All objects of one namespace, in the order in which they are made."""

from securetenant.api.objects import Manifest
from securetenant.desired import namespaces, network, policy
from securetenant.desired.scope import Scope


def build(scope: Scope) -> tuple[Manifest, ...]:
    """Return the manifests: the namespace first, then what holds there, then the walls."""
    return (namespaces.build(scope), policy.build(scope), *network.build(scope))
