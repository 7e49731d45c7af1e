"""All objects of one namespace, in the order in which they are made."""

from securetenant.api.objects import Manifest
from securetenant.desired import access, namespaces, network, policy, quota
from securetenant.desired.scope import Scope


def build(scope: Scope) -> tuple[Manifest, ...]:
    """Return the manifests: the namespace, what holds there, the walls, and access last."""
    return (
        namespaces.build(scope),
        policy.build(scope),
        *network.build(scope),
        *quota.build(scope),
        *access.build(scope),
    )
